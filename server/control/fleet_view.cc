#include "server/control/fleet_view.h"

#include <algorithm>
#include <iterator>
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

// A stream's topic that the source had, and has no more.
SeenCondition GoneOf(const StoredBridge& bridge, const StoredStream& stream,
                     const RelayName& surveyor) {
  return {
      {.side = Side::kSource,
       .reason = Reason::kTopicNotFound,
       .text = fmt::format("{} shows no topic {} any more: if it was deleted, leave it out of "
                           "source.topics; else grant READ and DESCRIBE on it to the endpoint's "
                           "user",
                           bridge.spec.source.endpoint, stream.topic),
       .bridge = bridge.id,
       .stream = stream.id,
       .partition = std::nullopt,
       .topic = stream.topic,
       .age = std::nullopt,
       .blocks = false},
      surveyor};
}

bool IsGone(const StoredBridge& bridge, const StoredStream& stream, const SurveyState& survey) {
  return stream.is_selected && survey.Misses(stream.topic, bridge.generation);
}

SurveyState SurveyOf(BridgeId bridge, const FleetEvidence& evidence) {
  const auto found = evidence.surveys.find(bridge);
  return found == evidence.surveys.end() ? SurveyState{} : found->second;
}

std::vector<SeenCondition> ConditionsOf(const StoredBridge& bridge, const DesiredState& stored,
                                        const SurveyState& survey, const FleetEvidence& evidence) {
  std::vector<SeenCondition> conditions = evidence.observations.ConditionsOf(bridge.id);
  const RelayName surveyor = survey.surveyor.value_or(RelayName{});
  for (const Condition& condition : survey.conditions) conditions.push_back({condition, surveyor});
  for (const StoredStream& stream : stored.streams) {
    if (stream.bridge != bridge.id || !IsGone(bridge, stream, survey)) continue;
    conditions.push_back(GoneOf(bridge, stream, surveyor));
  }
  if (evidence.is_storage_degraded) {
    conditions.push_back(
        OfServer(bridge.id, Reason::kStorageDegraded,
                 "the server's disk is full or failing: make room there. Records keep flowing; "
                 "checkpoints wait in the relays' journals"));
  }
  if (!survey.surveyor) {
    conditions.push_back(
        OfServer(bridge.id, Reason::kNoRelay,
                 fmt::format("no relay that may run this bridge is connected: start one{}",
                             LabelsWanted(bridge.spec.placement))));
  }
  return conditions;
}

FleetView::Bridge BridgeOf(const StoredBridge& bridge, const DesiredState& stored,
                           const SurveyState& survey, const FleetEvidence& evidence) {
  return {.observed_generation = ObservedGeneration(bridge, evidence),
          .surveyor = survey.surveyor,
          .surveyed_at = survey.succeeded_at,
          .conditions = ConditionsOf(bridge, stored, survey, evidence)};
}

}  // namespace

std::vector<SeenCondition> ConditionsOf(const DesiredState& stored, const FleetEvidence& evidence) {
  std::vector<SeenCondition> all;
  for (const StoredBridge& bridge : stored.bridges) {
    std::ranges::move(ConditionsOf(bridge, stored, SurveyOf(bridge.id, evidence), evidence),
                      std::back_inserter(all));
  }
  return all;
}

FleetView ViewOf(DesiredState stored, const FleetEvidence& evidence, BootTime now,
                 WallTime wall_now) {
  FleetView view;
  view.stored = std::move(stored);
  view.at = wall_now;
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
    const SurveyState survey = SurveyOf(bridge.id, evidence);
    view.bridges.emplace(bridge.id, BridgeOf(bridge, view.stored, survey, evidence));
    if (survey.surveyor) ++view.relays[*survey.surveyor].surveys;
    for (const StoredStream& stream : view.stored.streams) {
      if (stream.bridge != bridge.id) continue;
      for (const StoredPartition& partition : view.stored.PartitionsOf(stream.id)) {
        const bool has_condition = evidence.observations.HasCondition(bridge.id, partition.key) ||
                                   survey.Blocks(stream.topic) || IsGone(bridge, stream, survey);
        view.partitions[partition.key] = evidence.observations.StatusOf(
            partition, stream.is_paused || bridge.is_paused, has_condition, now, wall_now);
        if (partition.owner) ++view.relays[*partition.owner].partitions;
      }
    }
  }
  return view;
}

}  // namespace drawbridge
