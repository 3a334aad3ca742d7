#include "server/control/assigner.h"

#include <algorithm>

namespace drawbridge {
namespace {

// The share of one bridge that each relay has.
using Shares = std::map<RelayName, std::vector<PartitionKey>>;

// Spreads one bridge's partitions. `totals` counts what relays carry of other bridges: among equals
// the least loaded is chosen.
void PlaceBridge(const std::vector<const Placeable*>& partitions,
                 const std::vector<const Candidate*>& candidates,
                 std::map<RelayName, size_t>& totals, Assigner::Placement& placement) {
  Shares shares;
  std::vector<RelayName> takers;
  for (const Candidate* candidate : candidates) {
    shares[candidate->name] = {};
    if (candidate->can_take) takers.push_back(candidate->name);
  }
  std::vector<PartitionKey> homeless;
  for (const Placeable* partition : partitions) {
    const auto share = partition->owner ? shares.find(*partition->owner) : shares.end();
    if (share == shares.end()) {
      homeless.push_back(partition->key);
    } else {
      share->second.push_back(partition->key);
    }
  }
  const auto load = [&](const RelayName& name) {
    return std::tuple(shares[name].size(), totals[name] + shares[name].size(), name);
  };
  if (!takers.empty()) {
    for (const PartitionKey key : homeless) {
      const auto least = std::ranges::min_element(
          takers, [&](const auto& a, const auto& b) { return load(a) < load(b); });
      shares[*least].push_back(key);
    }
    // Moves the least: one partition at a time from the fullest to the emptiest.
    while (true) {
      const auto least = std::ranges::min_element(
          takers, [&](const auto& a, const auto& b) { return load(a) < load(b); });
      const auto most = std::ranges::max_element(
          takers, [&](const auto& a, const auto& b) { return load(a) < load(b); });
      if (shares[*most].size() <= shares[*least].size() + 1) break;
      shares[*least].push_back(shares[*most].back());
      shares[*most].pop_back();
    }
  }
  for (const auto& [name, keys] : shares) {
    totals[name] += keys.size();
    for (const PartitionKey key : keys) placement.emplace(key, name);
  }
}

}  // namespace

bool MayRun(const Labels& relay, const Labels& placement) {
  return std::ranges::all_of(placement, [&](const auto& label) {
    const auto found = relay.find(label.first);
    return found != relay.end() && found->second == label.second;
  });
}

Assigner::Placement Assigner::Place(const std::vector<Placeable>& partitions,
                                    const std::map<BridgeId, Labels>& placements,
                                    const std::vector<Candidate>& candidates) {
  std::map<BridgeId, std::vector<const Placeable*>> by_bridge;
  for (const Placeable& partition : partitions) by_bridge[partition.bridge].push_back(&partition);
  Placement placement;
  std::map<RelayName, size_t> totals;
  for (const auto& [bridge, its_partitions] : by_bridge) {
    const auto labels = placements.find(bridge);
    if (labels == placements.end()) continue;
    std::vector<const Candidate*> eligible;
    for (const Candidate& candidate : candidates) {
      if (MayRun(candidate.labels, labels->second)) eligible.push_back(&candidate);
    }
    PlaceBridge(its_partitions, eligible, totals, placement);
  }
  return placement;
}

}  // namespace drawbridge
