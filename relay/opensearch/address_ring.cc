#include "relay/opensearch/address_ring.h"

#include <algorithm>

namespace drawbridge {

std::optional<size_t> AddressRing::Choose(BootTime now) {
  for (size_t i = 0; i < addresses_.size(); ++i) {
    const size_t address = (next_ + i) % addresses_.size();
    if (addresses_[address].down_until > now) continue;
    next_ = address + 1;
    return address;
  }
  // The one that was tried longest ago: whoever comes back first shall be found soon.
  const auto oldest = std::ranges::min_element(addresses_, {}, &Address::tried_at);
  if (oldest->MayBeTried() > now) return std::nullopt;
  return static_cast<size_t>(oldest - addresses_.begin());
}

BootTime AddressRing::MayBeAsked() const {
  return std::ranges::min(addresses_, {}, &Address::MayBeTried).MayBeTried();
}

void AddressRing::StayedAway(size_t address, BootTime now) {
  addresses_[address].tried_at = now;
  addresses_[address].down_until = now + addresses_[address].backoff.Next();
}

}  // namespace drawbridge
