#pragma once

#include <algorithm>
#include <map>

#include "base/clock.h"
#include "model/ids.h"

namespace drawbridge {

struct LeaseSettings {
  Duration ttl = std::chrono::seconds(30);
  Duration heartbeat_interval = std::chrono::seconds(5);

  // What the server waits for before it gives up a silent relay: the relay counts its lease from
  // the sending of a heartbeat, the server from its receipt, and clocks differ in rate.
  Duration reclaim_after() const { return ttl * 5 / 4 + std::chrono::seconds(5); }
};

// Until when each relay may be running what it was given. A lease only saves duplicates: what makes
// a second writer harmless is the fence in the database. After a start of the server every lease
// counts as just renewed: relays could not renew it before. Thread-compatible.
class LeaseTable {
 public:
  LeaseTable(LeaseSettings settings, BootTime started_at)
      : settings_(settings), started_at_(started_at), all_renewed_at_(started_at) {}

  const LeaseSettings& settings() const { return settings_; }

  void Renew(const RelayName& relay, BootTime now) { renewed_at_[relay] = now; }
  // The server was cut off from relays, which could not renew theirs: as after its start. It makes
  // none of them less silent.
  void RenewAll(BootTime now) { all_renewed_at_ = now; }

  bool HasRunOut(const RelayName& relay, BootTime now) const {
    return now - std::max(LastHeard(relay), all_renewed_at_) >= settings_.reclaim_after();
  }
  Duration SilentFor(const RelayName& relay, BootTime now) const { return now - LastHeard(relay); }

 private:
  BootTime LastHeard(const RelayName& relay) const {
    const auto found = renewed_at_.find(relay);
    return found == renewed_at_.end() ? started_at_ : found->second;
  }

  LeaseSettings settings_;
  BootTime started_at_;
  BootTime all_renewed_at_;
  std::map<RelayName, BootTime> renewed_at_;
};

}  // namespace drawbridge
