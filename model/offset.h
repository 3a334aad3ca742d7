#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>

#include <fmt/format.h>

namespace drawbridge {

// A position in a partition's log. Offsets rise but may have holes.
struct Offset {
  int64_t value = 0;

  friend auto operator<=>(const Offset&, const Offset&) = default;
};

// The offset after this one, whether or not a record is there.
constexpr Offset Next(Offset offset) { return {offset.value + 1}; }

// The offsets from `first` up to, but not including, `end`.
struct OffsetRange {
  Offset first;
  Offset end;

  bool empty() const { return end <= first; }
  // Upper bound of the records in it: offsets may have holes.
  int64_t size() const { return std::max<int64_t>(0, end.value - first.value); }

  friend bool operator==(const OffsetRange&, const OffsetRange&) = default;
};

}  // namespace drawbridge

template <>
struct fmt::formatter<drawbridge::Offset> : fmt::formatter<int64_t> {
  auto format(drawbridge::Offset offset, format_context& context) const {
    return fmt::formatter<int64_t>::format(offset.value, context);
  }
};
