#include "server/control/query_plan.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "server/control/assigner.h"
#include "server/control/assignment_plan.h"

namespace drawbridge {
namespace {

const EndpointSpec* FindEndpoint(const DesiredState& stored, const std::string& name) {
  const auto found = std::ranges::find_if(
      stored.endpoints, [&](const auto& other) { return other.spec.name == name; });
  return found == stored.endpoints.end() ? nullptr : &found->spec;
}

bool MayRunIt(const DesiredState& stored, const RelayName& relay, const BridgeSpec& bridge) {
  const auto found = std::ranges::find(stored.relays, relay, &StoredRelay::name);
  return found != stored.relays.end() && MayRun(found->labels, bridge.placement);
}

}  // namespace

StatusOr<PlannedQuery> PlanEndpointTest(const DesiredState& stored,
                                        const std::set<RelayName>& connected,
                                        const std::string& endpoint, const std::string& relay,
                                        const std::vector<std::string>& topics) {
  const EndpointSpec* const spec = FindEndpoint(stored, endpoint);
  if (spec == nullptr) {
    return Status(StatusCode::kNotFound, Reason::kNotFound,
                  fmt::format("no endpoint is called {}", endpoint));
  }
  const auto is_wanted = [&](const RelayName& name) {
    return relay.empty() || name.value == relay;
  };
  const auto has_a_bridge = [&](const RelayName& name) {
    return is_wanted(name) && std::ranges::any_of(stored.bridges, [&](const StoredBridge& bridge) {
             return (bridge.spec.source.endpoint == endpoint ||
                     bridge.spec.target.endpoint == endpoint) &&
                    MayRunIt(stored, name, bridge.spec);
           });
  };
  auto chosen = std::ranges::find_if(connected, has_a_bridge);
  if (chosen == connected.end()) chosen = std::ranges::find_if(connected, is_wanted);
  if (chosen == connected.end()) {
    return Status(
        StatusCode::kUnavailable, Reason::kNoRelay,
        relay.empty()
            ? "no relay is connected: start one, since the server itself connects to no cluster"
            : fmt::format("relay {} is not connected", relay));
  }
  return PlannedQuery{.relay = *chosen,
                      .query = {.query_id = {},
                                .deadline = {},
                                .endpoint = *spec,
                                .secret = SecretOf(stored, *spec),
                                .source = std::nullopt,
                                .source_secret = std::nullopt,
                                .target_cluster_id = {},
                                .question = EndpointTestQuestion{.topics = topics}}};
}

template <typename Question>
StatusOr<PlannedQuery> PlanOfDeadLetters(const DesiredState& stored,
                                         const std::set<RelayName>& connected,
                                         const std::string& bridge, Question question) {
  const auto found = std::ranges::find_if(
      stored.bridges, [&](const auto& other) { return other.spec.name == bridge; });
  if (found == stored.bridges.end()) {
    return Status(StatusCode::kNotFound, Reason::kNotFound,
                  fmt::format("no bridge is called {}", bridge), "bridge");
  }
  const EndpointSpec* const target = FindEndpoint(stored, found->spec.target.endpoint);
  if (target == nullptr || target->is_kafka()) {
    return Status(StatusCode::kFailedPrecondition, Reason::kFieldInvalid,
                  fmt::format("bridge {} writes to a Kafka cluster, where a record that is "
                              "refused halts its partition: there are no dead letters",
                              bridge),
                  "bridge");
  }
  const auto chosen = std::ranges::find_if(
      connected, [&](const RelayName& name) { return MayRunIt(stored, name, found->spec); });
  if (chosen == connected.end()) {
    return Status(StatusCode::kUnavailable, Reason::kNoRelay,
                  fmt::format("no relay that may run bridge {} is connected: start one, since "
                              "the server itself connects to no engine",
                              bridge));
  }
  question.bridge = found->spec;
  Query query{.query_id = {},
              .deadline = {},
              .endpoint = *target,
              .secret = SecretOf(stored, *target),
              .source = std::nullopt,
              .source_secret = std::nullopt,
              .target_cluster_id = found->target_cluster_id,
              .question = std::move(question)};
  const EndpointSpec* const source = FindEndpoint(stored, found->spec.source.endpoint);
  if (source != nullptr && !found->spec.target.dead_letter_topic.empty()) {
    query.source = *source;
    query.source_secret = SecretOf(stored, *source);
  }
  return PlannedQuery{.relay = *chosen, .query = std::move(query)};
}

template StatusOr<PlannedQuery> PlanOfDeadLetters(const DesiredState&, const std::set<RelayName>&,
                                                  const std::string&, DeadLetterReadQuestion);
template StatusOr<PlannedQuery> PlanOfDeadLetters(const DesiredState&, const std::set<RelayName>&,
                                                  const std::string&, DeadLetterRetryQuestion);

}  // namespace drawbridge
