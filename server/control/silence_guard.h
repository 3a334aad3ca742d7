#pragma once

#include <map>
#include <set>
#include <vector>

#include "base/clock.h"
#include "model/ids.h"

namespace drawbridge {

// A relay that is enrolled and has not said that it leaves.
struct RelayPresence {
  RelayName relay;
  bool is_silent = false;      // not connected, for longer than its lease
  bool is_owner = false;       // of a partition
  bool was_connected = false;  // since the server started
};

// If most relays fall silent at once, the fault is more likely here than there: the server then
// suspects itself, and takes nothing from anybody. It does so until most of those relays are back,
// however long that takes, or the rest of them is enrolled no more. Thread-compatible.
class SilenceGuard {
 public:
  // Relays that fall silent within `span` of one another do so at once.
  explicit SilenceGuard(Duration span) : span_(span) {}

  // All of them, as they are now. Whether that changed the answer.
  bool See(const std::vector<RelayPresence>& relays, BootTime now);

  bool is_suspect() const { return !suspects_.empty(); }
  // Whose silence it is about, those that are back included.
  const std::set<RelayName>& suspects() const { return suspects_; }

 private:
  const Duration span_;
  std::map<RelayName, BootTime> silent_since_;  // as it was seen, whatever leases say
  std::set<RelayName> suspects_;
};

}  // namespace drawbridge
