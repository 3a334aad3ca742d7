#pragma once

#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "base/clock.h"
#include "model/ids.h"

// When a partition leaves the relay that has it.

namespace drawbridge {

// A partition's owner, as the server sees it.
enum class OwnerState {
  kNone,
  kRevoked,
  kRunning,   // connected, and may be running the partition
  kReleased,  // connected, and does not run it
  kLeased,    // not connected, and within its lease
  kSilent,    // not connected, and its lease has run out
};

// What matters for a partition that is not where it is wanted.
struct OwnerCase {
  OwnerState owner = OwnerState::kNone;
  bool is_wanted = false;    // some relay shall run it
  bool has_taker = false;    // another relay can take it now
  bool may_reclaim = false;  // silent relays may lose what they have
  bool is_overdue = false;   // its owner was told long ago to release it
};

// Why the partition changes hands now, for the log; nullopt: it stays with its token. A new token
// fences the owner, so a silent one keeps the old one while nobody else can go on: it may be
// delivering, and all of that would be delivered again. Pure.
std::optional<std::string_view> WhyToReassign(const OwnerCase& partition);

// Partitions that run where they should not. A lane that hangs releases nothing, while its relay
// goes on to answer. Thread-compatible.
class ReleaseWatch {
 public:
  // How long a relay may take.
  explicit ReleaseWatch(Duration patience) : patience_(patience) {}

  // Of a partition that shall leave its relay, asked at every turn: whether it takes too long.
  bool IsOverdue(PartitionKey key, BootTime now) {
    return now - since_.try_emplace(key, now).first->second >= patience_;
  }
  // Forgets all others: they have left, or may stay.
  void KeepOnly(const std::set<PartitionKey>& leaving) {
    std::erase_if(since_, [&](const auto& one) { return !leaving.contains(one.first); });
  }

 private:
  const Duration patience_;
  std::map<PartitionKey, BootTime> since_;
};

// Lets one relay in 10 s lose what it had, so that a fault that looks like many deaths does little
// harm before it is noticed. Thread-compatible.
class ReclaimPace {
 public:
  bool Allows(const RelayName& relay, BootTime now) const {
    return !last_ || last_->relay == relay || now - last_->at >= kSpan;
  }
  void Reclaimed(const RelayName& relay, BootTime now) {
    // The same relay's turn does not grow by all that it loses.
    if (!last_ || now - last_->at >= kSpan) last_ = {relay, now};
  }

 private:
  static constexpr Duration kSpan = std::chrono::seconds(10);

  struct Turn {
    RelayName relay;
    BootTime at;
  };
  std::optional<Turn> last_;
};

}  // namespace drawbridge
