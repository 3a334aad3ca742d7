#pragma once

#include <array>
#include <optional>
#include <utility>

namespace drawbridge {

// The pairs of a closed set that the model and the wire both have: one table serves both ways.
template <typename Value, typename Wire, size_t kPairs>
struct WireEnum {
  std::array<std::pair<Value, Wire>, kPairs> pairs;

  // The first pair's for a value outside the set, which only a bad cast makes.
  constexpr Wire ToWire(Value value) const {
    for (const auto& [known, wire] : pairs) {
      if (known == value) return wire;
    }
    return pairs.front().second;
  }

  // nullopt for a number that is not in the set.
  constexpr std::optional<Value> FromWire(Wire wire) const {
    for (const auto& [value, known] : pairs) {
      if (known == wire) return value;
    }
    return std::nullopt;
  }
};

template <typename Value, typename Wire, size_t kPairs>
constexpr WireEnum<Value, Wire, kPairs> ToWireEnum(const std::pair<Value, Wire> (&pairs)[kPairs]) {
  return {std::to_array(pairs)};
}

}  // namespace drawbridge
