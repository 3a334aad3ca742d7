#include "server/control/fleet_view.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace drawbridge {
namespace {

SeenCondition OfServer(BridgeId bridge, Reason reason, std::string text) {
  return {{.side = Side::kServer,
           .reason = reason,
           .text = std::move(text),
           .bridge = bridge,
           .stream = std::nullopt,
           .partition = std::nullopt,
           .topic = {},
           .age = std::nullopt,
           .blocks = false},
          RelayName{}};
}

// " with the labels cloud=oci, region=fra"; nothing if any relay may.
std::string LabelsWanted(const Labels& placement) {
  std::vector<std::string> labels;
  for (const auto& [key, value] : placement) labels.push_back(fmt::format("{}={}", key, value));
  return labels.empty() ? "" : fmt::format(" with the labels {}", fmt::join(labels, ", "));
}

Condition TwinOf(Duration age) {
  return {.side = Side::kRelay,
          .reason = Reason::kDuplicateIdentity,
          .text =
              "another process uses this relay's identity and is turned away: stop one of the "
              "two, and give a cloned machine an identity of its own",
          .bridge = {},
          .stream = std::nullopt,
          .partition = std::nullopt,
          .topic = {},
          .age = age,
          .blocks = false};
}

// The oldest generation that a relay still runs.
int64_t ObservedGeneration(const StoredBridge& bridge, const FleetEvidence& evidence) {
  int64_t observed = bridge.generation;
  for (const auto& [name, relay] : evidence.relays) {
    const auto converged = relay.converged.find(bridge.id);
    if (converged != relay.converged.end()) observed = std::min(observed, converged->second);
  }
  return observed;
}

FleetView::Bridge BridgeOf(const StoredBridge& bridge, const SurveyState& survey,
                           const FleetEvidence& evidence) {
  FleetView::Bridge seen{.observed_generation = ObservedGeneration(bridge, evidence),
                         .surveyor = survey.surveyor,
                         .surveyed_at = survey.succeeded_at,
                         .conditions = evidence.observations.ConditionsOf(bridge.id)};
  for (const Condition& condition : survey.conditions) {
    seen.conditions.push_back({condition, survey.surveyor.value_or(RelayName{})});
  }
  if (evidence.is_storage_degraded) {
    seen.conditions.push_back(
        OfServer(bridge.id, Reason::kStorageDegraded,
                 "the server's disk is full or failing: make room there. Records keep flowing; "
                 "checkpoints wait in the relays' journals"));
  }
  if (!seen.surveyor) {
    seen.conditions.push_back(
        OfServer(bridge.id, Reason::kNoRelay,
                 fmt::format("no relay that may run this bridge is connected: start one{}",
                             LabelsWanted(bridge.spec.placement))));
  }
  return seen;
}

}  // namespace

FleetView ViewOf(DesiredState stored, const FleetEvidence& evidence, BootTime now,
                 WallTime wall_now) {
  FleetView view;
  view.stored = std::move(stored);
  view.at = wall_now;
  const auto survey_of = [&](BridgeId bridge) {
    const auto found = evidence.surveys.find(bridge);
    return found == evidence.surveys.end() ? SurveyState{} : found->second;
  };
  for (const StoredRelay& relay : view.stored.relays) {
    FleetView::Relay& seen = view.relays[relay.name];
    seen.last_seen = relay.last_seen;
    const auto found = evidence.relays.find(relay.name);
    if (found == evidence.relays.end()) continue;
    seen.is_connected = found->second.is_connected;
    if (found->second.last_seen) seen.last_seen = found->second.last_seen;
    if (found->second.twin_age) seen.conditions.push_back(TwinOf(*found->second.twin_age));
  }
  for (const StoredBridge& bridge : view.stored.bridges) {
    const SurveyState survey = survey_of(bridge.id);
    view.bridges.emplace(bridge.id, BridgeOf(bridge, survey, evidence));
    if (survey.surveyor) ++view.relays[*survey.surveyor].surveys;
    for (const StoredStream& stream : view.stored.streams) {
      if (stream.bridge != bridge.id) continue;
      for (const StoredPartition& partition : view.stored.PartitionsOf(stream.id)) {
        const bool has_condition = evidence.observations.HasCondition(bridge.id, partition.key) ||
                                   survey.Blocks(stream.topic);
        view.partitions[partition.key] = evidence.observations.StatusOf(
            partition, stream.is_paused || bridge.is_paused, has_condition, now, wall_now);
        if (partition.owner) ++view.relays[*partition.owner].partitions;
      }
    }
  }
  return view;
}

}  // namespace drawbridge
