#include "server/control/assignment_plan.h"

#include <algorithm>
#include <utility>

#include "model/definition.h"

namespace drawbridge {
namespace {

const StoredEndpoint* FindEndpoint(const DesiredState& stored, const std::string& name) {
  const auto found = std::ranges::find_if(
      stored.endpoints, [&](const auto& endpoint) { return endpoint.spec.name == name; });
  return found == stored.endpoints.end() ? nullptr : &*found;
}

// Flows from this bridge's target cluster into its source cluster.
auto ReverseFlowsOf(const DesiredState& stored, const StoredEndpoint& source,
                    const StoredEndpoint& target) {
  const auto known = [](const StoredEndpoint& endpoint) {
    return KnownEndpoint{endpoint.spec, endpoint.cluster_id};
  };
  decltype(BridgeAssignment::reverse_flows) flows;
  for (const StoredBridge& other : stored.bridges) {
    const StoredEndpoint* const from = FindEndpoint(stored, other.spec.source.endpoint);
    const StoredEndpoint* const to = FindEndpoint(stored, other.spec.target.endpoint);
    if (from == nullptr || to == nullptr) continue;
    if (AreSameCluster(known(*from), known(target)) && AreSameCluster(known(*to), known(source))) {
      flows.emplace_back(other.spec.source.topics, other.spec.target.topic);
    }
  }
  return flows;
}

// Those of a stream's partitions that a relay owns and shall keep.
std::vector<PartitionAssignment> PartitionsOf(const StoredStream& stream, const RelayName& relay,
                                              const DesiredState& stored,
                                              const Assigner::Placement& placement) {
  std::vector<PartitionAssignment> partitions;
  for (const StoredPartition& partition : stored.PartitionsOf(stream.id)) {
    if (partition.owner != relay) continue;
    const auto placed = placement.find(partition.key);
    if (placed == placement.end() || placed->second != relay) continue;
    partitions.push_back({.partition = partition.key.partition,
                          .token = partition.token,
                          .start = partition.checkpoint});
  }
  return partitions;
}

// A relay's share of a bridge; nullopt: it has none.
std::optional<BridgeAssignment> ShareOf(const StoredBridge& bridge, const RelayName& relay,
                                        const DesiredState& stored,
                                        const Assigner::Placement& placement,
                                        const std::map<BridgeId, SurveyState>& surveys) {
  const StoredEndpoint* const source = FindEndpoint(stored, bridge.spec.source.endpoint);
  const StoredEndpoint* const target = FindEndpoint(stored, bridge.spec.target.endpoint);
  if (source == nullptr || target == nullptr) return std::nullopt;
  const auto found = surveys.find(bridge.id);
  const SurveyState survey = found == surveys.end() ? SurveyState{} : found->second;

  BridgeAssignment share{.bridge = bridge.id,
                         .generation = bridge.generation,
                         .spec = bridge.spec,
                         .source = source->spec,
                         .target = target->spec,
                         .source_secret = SecretOf(stored, source->spec),
                         .target_secret = SecretOf(stored, target->spec),
                         .source_cluster_id = bridge.source_cluster_id,
                         .target_cluster_id = bridge.target_cluster_id,
                         .surveys = survey.surveyor == relay,
                         .reverse_flows = {},
                         .streams = {}};
  for (const StoredStream& stream : stored.streams) {
    if (stream.bridge != bridge.id) continue;
    StreamAssignment part{
        .stream = stream.id,
        .topic = stream.topic,
        .target_topic = stream.target_topic,
        .source_epoch = stream.source_epoch,
        .is_paused = stream.is_paused || bridge.is_paused || survey.Stops(stream.topic),
        .partitions = PartitionsOf(stream, relay, stored, placement)};
    if (!part.partitions.empty()) share.streams.push_back(std::move(part));
  }
  if (!share.surveys && share.streams.empty()) return std::nullopt;
  if (share.surveys) share.reverse_flows = ReverseFlowsOf(stored, *source, *target);
  return share;
}

// What stays the same while records flow.
Assignments WithoutProgress(Assignments assignments) {
  assignments.revision = 0;
  for (BridgeAssignment& bridge : assignments.bridges) {
    for (StreamAssignment& stream : bridge.streams) {
      for (PartitionAssignment& partition : stream.partitions) partition.start = {};
    }
  }
  return assignments;
}

}  // namespace

std::optional<SecretRef> SecretOf(const DesiredState& stored, const EndpointSpec& endpoint) {
  const auto found =
      std::ranges::find(stored.credentials, endpoint.credential(), &StoredCredential::name);
  if (found == stored.credentials.end()) return std::nullopt;
  return SecretRef{.credential = found->id, .version = found->version};
}

Assignments AssignmentsFor(const RelayName& relay, const DesiredState& stored,
                           const Assigner::Placement& placement,
                           const std::map<BridgeId, SurveyState>& surveys) {
  Assignments assignments{
      .incarnation = stored.incarnation, .revision = stored.revision, .bridges = {}};
  for (const StoredBridge& bridge : stored.bridges) {
    if (auto share = ShareOf(bridge, relay, stored, placement, surveys)) {
      assignments.bridges.push_back(*std::move(share));
    }
  }
  return assignments;
}

bool SaysTheSame(const Assignments& a, const Assignments& b) {
  return WithoutProgress(a) == WithoutProgress(b);
}

bool Names(const Assignments& assignments, PartitionKey key) {
  return std::ranges::any_of(assignments.bridges, [&](const BridgeAssignment& bridge) {
    const auto stream = std::ranges::find(bridge.streams, key.stream, &StreamAssignment::stream);
    return stream != bridge.streams.end() &&
           std::ranges::find(stream->partitions, key.partition, &PartitionAssignment::partition) !=
               stream->partitions.end();
  });
}

}  // namespace drawbridge
