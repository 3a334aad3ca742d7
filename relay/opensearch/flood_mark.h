#pragma once

#include <optional>
#include <string_view>

namespace drawbridge {

// When an engine locks the indexes of a node whose disk fills up (flood stage). A value.
class FloodMark {
 public:
  // As the engine's settings say it: of the disk a part ("95%", "0.95"), or bytes that stay free
  // ("500mb"). Of a part the headroom is the most that has to stay free ("100gb"), whatever the
  // part of a large disk would be; empty or "-1": there is none. nullopt: it cannot be told.
  static std::optional<FloodMark> Read(std::string_view mark, std::string_view headroom);

  // The bytes that a disk of so many must have free.
  double FreeLeast(double disk_bytes) const;

 private:
  double used_part_ = 1;
  std::optional<double> bytes_;  // of free space, in place of a part
  std::optional<double> headroom_;
};

}  // namespace drawbridge
