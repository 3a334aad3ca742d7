#include "relay/opensearch/address_ring.h"

#include <algorithm>
#include <utility>

namespace drawbridge {
namespace {

// One that is left alone no more is asked with the next request; where there is none its trouble is
// no news after so long.
constexpr Duration kStillNews = std::chrono::seconds(30);
constexpr Duration kRestLeastMost = std::chrono::minutes(5);

}  // namespace

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

void AddressRing::Answered(size_t address) {
  Address& its = addresses_[address];
  its.backoff.Reset();
  its.down_until = {};
  its.away.reset();
}

void AddressRing::StayedAway(size_t address, Status why, BootTime sent_at, BootTime now) {
  Address& its = addresses_[address];
  const Duration least = std::min<Duration>(3 * (now - sent_at), kRestLeastMost);
  // What was sent before it was seen to be away says nothing else.
  const bool is_known = its.away && sent_at <= its.tried_at;
  Duration rest = is_known ? least : its.backoff.Next();
  while (rest < least) rest = its.backoff.Next();
  its.tried_at = now;
  its.down_until = std::max(its.down_until, now + rest);
  its.away = {.why = std::move(why), .since = its.away ? its.away->since : now};
}

std::optional<AddressRing::Away> AddressRing::LongestAway(BootTime now) const {
  std::optional<Away> longest;
  for (const Address& address : addresses_) {
    if (!address.away || now >= address.down_until + kStillNews) continue;
    if (!longest || address.away->since < longest->since) longest = address.away;
  }
  return longest;
}

}  // namespace drawbridge
