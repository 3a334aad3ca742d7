#include "server/control/definitions.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace drawbridge {
namespace {

// The definitions as they would be.
struct Outcome {
  std::map<std::string, KnownEndpoint> endpoints;
  std::map<std::string, BridgeSpec> bridges;
};

std::string PathOf(const EndpointSpec& endpoint) {
  return fmt::format("endpoints[{}]", endpoint.name);
}
std::string PathOf(const BridgeSpec& bridge) { return fmt::format("bridges[{}]", bridge.name); }

template <typename Spec>
Status CheckEach(const std::vector<Spec>& wanted) {
  std::map<std::string, int> seen;
  for (const Spec& spec : wanted) {
    if (Status valid = Validate(spec); !valid.ok()) return valid.At(PathOf(spec));
    if (++seen[spec.name] > 1) {
      return {StatusCode::kInvalidArgument, Reason::kNameTaken,
              fmt::format("\"{}\" is defined twice", spec.name), PathOf(spec)};
    }
  }
  return {};
}

Status CheckEndpoint(const EndpointSpec& endpoint, const DesiredState& stored) {
  const std::string& name = endpoint.credential();
  if (name.empty()) return {};
  const std::string field = endpoint.is_kafka() ? "kafka.credential" : "opensearch.credential";
  const auto found = std::ranges::find(stored.credentials, name, &StoredCredential::name);
  if (found == stored.credentials.end()) {
    return Status(StatusCode::kFailedPrecondition, Reason::kCredentialNotFound,
                  fmt::format("no credential is called {}: make it with `drawbridge credential set "
                              "{}`",
                              name, name),
                  field)
        .At(PathOf(endpoint));
  }
  const auto refused = [&](std::string_view why) {
    return Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid, std::string(why), field)
        .At(PathOf(endpoint));
  };
  if (endpoint.is_kafka()) {
    if (!IsForKafka(found->kind)) {
      return refused("is for search engines: a Kafka cluster takes one of SASL or mTLS");
    }
    if (endpoint.kafka().plaintext && found->kind == CredentialKind::kMtls) {
      return refused("a client certificate needs TLS: leave out `tls: false`");
    }
    return {};
  }
  if (!IsForOpenSearch(found->kind)) {
    return refused("is for Kafka: a search engine takes one of kind basic, api-key or mtls");
  }
  if (!endpoint.opensearch().is_encrypted() && found->kind != CredentialKind::kBasic) {
    return refused("needs TLS: use https addresses");
  }
  return {};
}

StatusOr<const KnownEndpoint*> FindEndpoint(const Outcome& outcome, const std::string& name,
                                            const std::string& field) {
  const auto found = outcome.endpoints.find(name);
  if (found != outcome.endpoints.end()) return &found->second;
  return Status(StatusCode::kFailedPrecondition, Reason::kEndpointNotFound,
                fmt::format("no endpoint is called \"{}\": define it, or name another", name),
                field);
}

// Records in an index of letters would be taken for letters, and a retry would not find its own.
Status CheckLettersApart(const Outcome& outcome) {
  for (const auto& [name, bridge] : outcome.bridges) {
    if (bridge.target.index.empty() || !bridge.target.dead_letter_topic.empty()) continue;
    const std::string letters = bridge.target.letters();
    const KnownEndpoint& target = outcome.endpoints.at(bridge.target.endpoint);
    for (const auto& [other_name, other] : outcome.bridges) {
      if (other_name == name || other.target.index.empty() ||
          !AreSameCluster(target, outcome.endpoints.at(other.target.endpoint))) {
        continue;
      }
      const StatusOr<IndexTemplate> records = IndexTemplate::Create(other.target.index);
      if (!records.ok() || !records->MayName(letters)) continue;
      return Status(
                 StatusCode::kInvalidArgument, Reason::kFieldInvalid,
                 fmt::format("{0}, where bridge {1} keeps its dead letters, could be the index of "
                             "records of bridge {2} as well, which \"{3}\" names: give bridge {1} "
                             "a dead_letter_index that begins otherwise, or bridge {2} another "
                             "index",
                             letters, name, other_name, other.target.index),
                 "target.dead_letter_index")
          .At(PathOf(bridge));
    }
  }
  return {};
}

Status CheckTogether(const Outcome& outcome) {
  for (const auto& [name, bridge] : outcome.bridges) {
    const auto source = FindEndpoint(outcome, bridge.source.endpoint, "source.endpoint");
    if (!source.ok()) return source.status().At(PathOf(bridge));
    const auto target = FindEndpoint(outcome, bridge.target.endpoint, "target.endpoint");
    if (!target.ok()) return target.status().At(PathOf(bridge));
    if (Status valid = ValidateWithEndpoints(bridge, **source, **target); !valid.ok()) {
      return valid.At(PathOf(bridge));
    }
    for (const auto& [other_name, other] : outcome.bridges) {
      if (other_name <= name) continue;
      const auto other_source = outcome.endpoints.find(other.source.endpoint);
      const auto other_target = outcome.endpoints.find(other.target.endpoint);
      if (other_source == outcome.endpoints.end() || other_target == outcome.endpoints.end()) {
        continue;
      }
      if (AreSameCluster(**source, other_target->second) &&
          AreSameCluster(**target, other_source->second) && FeedEachOther(bridge, other)) {
        return Status(StatusCode::kInvalidArgument, Reason::kBridgesFeedEachOther,
                      fmt::format("bridge {} would bring back what this one sends, and without the "
                                  "provenance header records would go round for ever: leave "
                                  "provenance on in both, or give them topics apart",
                                  other_name),
                      "target.provenance")
            .At(PathOf(bridge));
      }
    }
  }
  return CheckLettersApart(outcome);
}

// Whether what was seen of the one says nothing of the other.
bool IsElsewhere(const EndpointSpec& before, const EndpointSpec& wanted) {
  if (before.is_kafka() != wanted.is_kafka()) return true;
  if (wanted.is_kafka()) return before.kafka().bootstrap != wanted.kafka().bootstrap;
  return before.opensearch().addresses != wanted.opensearch().addresses;
}

void PlanEndpoint(const EndpointSpec& wanted, const DesiredState& stored, DefinitionPlan& plan,
                  Outcome& outcome) {
  const auto before = std::ranges::find_if(
      stored.endpoints, [&](const auto& other) { return other.spec.name == wanted.name; });
  DefinitionChange change;
  change.endpoint_after = wanted;
  if (before == stored.endpoints.end()) {
    change.action = ChangeAction::kCreated;
  } else {
    change.endpoint_before = before->spec;
    change.action = before->spec == wanted ? ChangeAction::kUnchanged : ChangeAction::kUpdated;
  }
  KnownEndpoint& known = outcome.endpoints[wanted.name];
  if (IsElsewhere(known.spec, wanted)) known.cluster_id.clear();
  known.spec = wanted;
  if (change.action != ChangeAction::kUnchanged) plan.steps.emplace_back(PutEndpoint{wanted});
  plan.changes.push_back(std::move(change));
}

// Tells which streams stop, or go on, since the topics of a bridge have changed.
void WarnOfSelection(const StoredBridge& before, const BridgeSpec& wanted,
                     const DesiredState& stored, DefinitionPlan& plan) {
  const TopicFlow flow = FlowOf(wanted);
  std::vector<std::string> stopped;
  std::vector<std::string> resumed;
  for (const StoredStream& stream : stored.streams) {
    if (stream.bridge != before.id) continue;
    const bool is_selected = flow.selection.Matches(stream.topic);
    if (is_selected != stream.is_selected) {
      (is_selected ? resumed : stopped).push_back(stream.topic);
    }
  }
  if (!stopped.empty()) {
    plan.warnings.push_back(fmt::format(
        "bridge {} stops carrying {}: their checkpoints are kept, and topics that are named again "
        "go on from there",
        wanted.name, fmt::join(stopped, ", ")));
  }
  if (!resumed.empty()) {
    plan.warnings.push_back(fmt::format("bridge {} goes on with {} from their checkpoints",
                                        wanted.name, fmt::join(resumed, ", ")));
  }
}

// A topic that both carry, as far as their topics are named or known; empty: none.
std::string SharedTopic(const BridgeSpec& one, const BridgeSpec& other,
                        const DesiredState& stored) {
  const TopicFlow flows[] = {FlowOf(one), FlowOf(other)};
  std::vector<std::string> known = one.source.topics;
  known.insert(known.end(), other.source.topics.begin(), other.source.topics.end());
  for (const StoredBridge& bridge : stored.bridges) {
    if (bridge.spec.name != one.name && bridge.spec.name != other.name) continue;
    for (const StoredStream& stream : stored.streams) {
      if (stream.bridge == bridge.id) known.push_back(stream.topic);
    }
  }
  const auto shared = std::ranges::find_if(known, [&](const std::string& topic) {
    return flows[0].selection.Matches(topic) && flows[1].selection.Matches(topic) &&
           TargetNameOf(one, topic) == TargetNameOf(other, topic);
  });
  return shared == known.end() ? std::string() : *shared;
}

// Within one index a record has one id, whoever brings it. Neither of two bridges waits for what
// the other one has on its way, so that behind a name that rolls over it may be there twice.
void WarnOfMeeting(const Outcome& outcome, const DesiredState& stored, DefinitionPlan& plan) {
  for (const auto& [name, bridge] : outcome.bridges) {
    for (const auto& [other_name, other] : outcome.bridges) {
      if (other_name <= name || bridge.target.index.empty() || other.target.index.empty()) continue;
      const KnownEndpoint& source = outcome.endpoints.at(bridge.source.endpoint);
      const KnownEndpoint& target = outcome.endpoints.at(bridge.target.endpoint);
      if (!AreSameCluster(source, outcome.endpoints.at(other.source.endpoint)) ||
          !AreSameCluster(target, outcome.endpoints.at(other.target.endpoint))) {
        continue;
      }
      const std::string topic = SharedTopic(bridge, other, stored);
      if (topic.empty()) continue;
      plan.warnings.push_back(fmt::format(
          "bridges {} and {} both carry {} into {}: in one index each record is there once, but "
          "behind a data stream or an alias that rolls over it may be there twice; take it out of "
          "one of them",
          name, other_name, topic, TargetNameOf(bridge, topic)));
    }
  }
}

Status PlanBridge(const BridgeSpec& wanted, const DesiredState& stored, DefinitionPlan& plan,
                  Outcome& outcome) {
  const auto before = std::ranges::find_if(
      stored.bridges, [&](const auto& other) { return other.spec.name == wanted.name; });
  DefinitionChange change;
  change.bridge_after = wanted;
  if (before == stored.bridges.end()) {
    change.action = ChangeAction::kCreated;
  } else {
    change.bridge_before = before->spec;
    change.action = before->spec == wanted ? ChangeAction::kUnchanged : ChangeAction::kUpdated;
    if (before->spec.source.endpoint != wanted.source.endpoint) {
      return Status(StatusCode::kFailedPrecondition, Reason::kSourceFixed,
                    "the source endpoint of a bridge cannot be changed, since its checkpoints are "
                    "positions there: delete the bridge and make another",
                    "source.endpoint")
          .At(PathOf(wanted));
    }
    WarnOfSelection(*before, wanted, stored, plan);
    const BridgeTarget& was = before->spec.target;
    const bool keeps_letters = was.endpoint == wanted.target.endpoint &&
                               was.letters() == wanted.target.letters() &&
                               was.dead_letter_topic == wanted.target.dead_letter_topic;
    if (!was.index.empty() && !keeps_letters) {
      plan.warnings.push_back(fmt::format(
          "bridge {} keeps its dead letters elsewhere from here on: those that wait in {} stay "
          "there, where `drawbridge dead-letters` finds them no more; bring them in first",
          wanted.name, was.dead_letter_topic.empty() ? was.letters() : was.dead_letter_topic));
    }
    if (was.endpoint != wanted.target.endpoint || was.topic != wanted.target.topic ||
        was.index != wanted.target.index) {
      plan.warnings.push_back(fmt::format(
          "bridge {} keeps its checkpoints: the new target gets what comes from here on, "
          "not what the old one has",
          wanted.name));
    }
  }
  outcome.bridges[wanted.name] = wanted;
  if (change.action != ChangeAction::kUnchanged) plan.steps.emplace_back(PutBridge{wanted});
  plan.changes.push_back(std::move(change));
  return {};
}

// Bridges first: they refer to endpoints.
void PlanPruning(const WantedDefinitions& wanted, const DesiredState& stored, DefinitionPlan& plan,
                 Outcome& outcome) {
  for (const StoredBridge& bridge : stored.bridges) {
    const std::string& name = bridge.spec.name;
    if (std::ranges::find(wanted.bridges, name, &BridgeSpec::name) != wanted.bridges.end())
      continue;
    plan.steps.insert(plan.steps.begin(), DeleteBridge{name});
    plan.changes.push_back({.action = ChangeAction::kDeleted,
                            .endpoint_before = std::nullopt,
                            .endpoint_after = std::nullopt,
                            .bridge_before = bridge.spec,
                            .bridge_after = std::nullopt});
    plan.warnings.push_back(fmt::format(
        "bridge {} is deleted with its checkpoints: one of the same name starts afresh", name));
    outcome.bridges.erase(name);
  }
  for (const StoredEndpoint& endpoint : stored.endpoints) {
    const std::string& name = endpoint.spec.name;
    if (std::ranges::find(wanted.endpoints, name, &EndpointSpec::name) != wanted.endpoints.end()) {
      continue;
    }
    plan.steps.emplace_back(DeleteEndpoint{name});
    plan.changes.push_back({.action = ChangeAction::kDeleted,
                            .endpoint_before = endpoint.spec,
                            .endpoint_after = std::nullopt,
                            .bridge_before = std::nullopt,
                            .bridge_after = std::nullopt});
    outcome.endpoints.erase(name);
  }
}

}  // namespace

StatusOr<DefinitionPlan> PlanDefinitions(const DesiredState& stored,
                                         const WantedDefinitions& wanted) {
  if (Status valid = CheckEach(wanted.endpoints); !valid.ok()) return valid;
  if (Status valid = CheckEach(wanted.bridges); !valid.ok()) return valid;

  DefinitionPlan plan;
  plan.decided_at_revision = stored.revision;
  Outcome outcome;
  for (const StoredEndpoint& endpoint : stored.endpoints) {
    outcome.endpoints[endpoint.spec.name] = {endpoint.spec, endpoint.cluster_id};
  }
  for (const StoredBridge& bridge : stored.bridges) outcome.bridges[bridge.spec.name] = bridge.spec;

  std::vector<EndpointSpec> endpoints = wanted.endpoints;
  std::ranges::sort(endpoints, {}, &EndpointSpec::name);
  for (const EndpointSpec& endpoint : endpoints) {
    if (Status valid = CheckEndpoint(endpoint, stored); !valid.ok()) return valid;
    PlanEndpoint(endpoint, stored, plan, outcome);
  }
  std::vector<BridgeSpec> bridges = wanted.bridges;
  std::ranges::sort(bridges, {}, &BridgeSpec::name);
  for (const BridgeSpec& bridge : bridges) {
    if (Status valid = PlanBridge(bridge, stored, plan, outcome); !valid.ok()) return valid;
  }
  if (wanted.prunes) PlanPruning(wanted, stored, plan, outcome);
  if (Status valid = CheckTogether(outcome); !valid.ok()) return valid;
  WarnOfMeeting(outcome, stored, plan);
  return plan;
}

}  // namespace drawbridge
