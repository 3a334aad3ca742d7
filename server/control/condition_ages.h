#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "server/control/fleet_observations.h"

namespace drawbridge {

// Since when conditions have been there, where whoever saw them does not say: those of surveys, and
// the server's own. Runs on one thread.
class ConditionAges {
 public:
  // All that are there at this moment: the others have ended.
  void See(const std::vector<SeenCondition>& conditions, BootTime now);

  // Tells the age of those that have none.
  void AddTo(std::vector<SeenCondition>& conditions, BootTime now) const;

 private:
  // What makes two of them the same one; texts may change.
  struct Key {
    explicit Key(const Condition& condition);
    friend auto operator<=>(const Key&, const Key&) = default;

    BridgeId bridge;
    Side side;
    Reason reason;
    std::optional<StreamId> stream;
    std::optional<PartitionNumber> partition;
    std::string topic;
  };

  std::map<Key, BootTime> since_;
};

}  // namespace drawbridge
