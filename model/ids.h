#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

#include <fmt/format.h>

namespace drawbridge {

// A number or name that cannot be mistaken for another kind's. A value.
template <typename Tag, typename Rep>
struct Id {
  Rep value{};

  friend auto operator<=>(const Id&, const Id&) = default;
};

using BridgeId = Id<struct BridgeTag, int64_t>;          // never used again
using StreamId = Id<struct StreamTag, int64_t>;          // never used again
using CredentialId = Id<struct CredentialTag, int64_t>;  // never used again
using RelayName = Id<struct RelayTag, std::string>;      // never used again
using PartitionNumber = int32_t;

// One partition of one stream.
struct PartitionKey {
  StreamId stream;
  PartitionNumber partition = 0;

  friend auto operator<=>(const PartitionKey&, const PartitionKey&) = default;
};

}  // namespace drawbridge

template <typename Tag, typename Rep>
struct std::hash<drawbridge::Id<Tag, Rep>> {
  size_t operator()(const drawbridge::Id<Tag, Rep>& id) const { return std::hash<Rep>{}(id.value); }
};

template <>
struct std::hash<drawbridge::PartitionKey> {
  size_t operator()(const drawbridge::PartitionKey& key) const {
    // Unsigned: a peer may name any id.
    return std::hash<uint64_t>{}(static_cast<uint64_t>(key.stream.value) * 100'003 +
                                 static_cast<uint64_t>(key.partition));
  }
};

template <typename Tag, typename Rep>
struct fmt::formatter<drawbridge::Id<Tag, Rep>> : fmt::formatter<Rep> {
  auto format(const drawbridge::Id<Tag, Rep>& id, format_context& context) const {
    return fmt::formatter<Rep>::format(id.value, context);
  }
};
