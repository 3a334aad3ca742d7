#pragma once

#include <map>
#include <optional>
#include <vector>

#include "model/definition.h"
#include "model/ids.h"

namespace drawbridge {

// A partition to place, with the relay that has it now.
struct Placeable {
  PartitionKey key;
  BridgeId bridge;
  std::optional<RelayName> owner;
};

// A relay that may be given partitions.
struct Candidate {
  RelayName name;
  Labels labels;
  // Can take new partitions: it is connected. One whose lease still runs keeps what it has.
  bool can_take = false;
};

// Whether the relay has every label that the placement asks for.
bool MayRun(const Labels& relay, const Labels& placement);

// Decides which relay carries which partition: each bridge is spread over the relays that may run
// it, to a difference of at most one partition, and whatever can stay where it is stays. A pure
// function of its arguments: the same fleet gives the same answer.
class Assigner {
 public:
  using Placement = std::map<PartitionKey, RelayName>;

  // Partitions that nobody may run are missing from the answer.
  static Placement Place(const std::vector<Placeable>& partitions,
                         const std::map<BridgeId, Labels>& placements,
                         const std::vector<Candidate>& candidates);
};

}  // namespace drawbridge
