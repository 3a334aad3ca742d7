#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace drawbridge {

// What an operator can set; docs/operations.md lists it.
struct RelaySettings {
  std::filesystem::path state;  // identity and journal; mode 0700
  std::string server;           // empty: as enrolment said
  size_t memory_limit = size_t{256} << 20;
};

// The whole relay: journal, lanes and the session with the server. It runs from Start() until it
// dies. Runs on the thread that made it.
class Relay {
 public:
  static StatusOr<std::unique_ptr<Relay>> Start(const RelaySettings& settings, const Clock& clock);
  // Gives everything back before it ends: what is in flight is confirmed and committed.
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

 private:
  struct Parts;
  explicit Relay(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace drawbridge
