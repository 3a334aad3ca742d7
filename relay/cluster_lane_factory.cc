#include "relay/cluster_lane_factory.h"

#include <fmt/format.h>

#include "relay/kafka/endpoint_test.h"
#include "relay/kafka/kafka_sink.h"
#include "relay/kafka/kafka_source.h"
#include "relay/kafka/surveyor.h"
#include "relay/opensearch/engine_survey.h"
#include "relay/opensearch/engine_test.h"
#include "relay/opensearch/opensearch_sink.h"

namespace drawbridge {

StatusOr<LaneEnds> ClusterLaneFactory::MakeLane(const BridgeAssignment& bridge,
                                                const BridgeSecrets& secrets, LaneBudget budget) {
  const KafkaBudget kafka_budget{.prefetch_bytes = budget.prefetch_bytes,
                                 .window_bytes = budget.window_bytes};
  StatusOr<std::unique_ptr<KafkaSource>> source =
      KafkaSource::Open({bridge.source, secrets.source},
                        fmt::format("drawbridge-{}", bridge.bridge), kafka_budget, reaper_, clock_);
  if (!source.ok()) return source.status();
  if (!bridge.target.is_kafka()) {
    StatusOr<std::unique_ptr<OpenSearchSink>> sink =
        OpenSearchSink::Open({bridge.target, secrets.target},
                             {.bridge = bridge.spec.name,
                              .relay = relay_,
                              .dead_letter_index = bridge.spec.target.letters(),
                              .window_bytes = budget.window_bytes},
                             clock_);
    if (!sink.ok()) return sink.status();
    return LaneEnds{.source = *std::move(source), .sink = *std::move(sink)};
  }
  StatusOr<std::unique_ptr<KafkaSink>> sink =
      KafkaSink::Open({bridge.target, secrets.target}, bridge.spec.target.compression, kafka_budget,
                      reaper_, clock_);
  if (!sink.ok()) return sink.status();
  return LaneEnds{.source = *std::move(source), .sink = *std::move(sink)};
}

StatusOr<std::unique_ptr<Survey>> ClusterLaneFactory::MakeSurvey(const BridgeAssignment& bridge,
                                                                 const BridgeSecrets& secrets) {
  if (!bridge.target.is_kafka()) {
    StatusOr<std::unique_ptr<KafkaSurveyor>> source =
        KafkaSurveyor::OpenSource(bridge, {bridge.source, secrets.source}, reaper_, clock_);
    if (!source.ok()) return source.status();
    StatusOr<std::unique_ptr<EngineSurvey>> survey =
        EngineSurvey::Open(bridge, {bridge.target, secrets.target}, *std::move(source), clock_);
    if (!survey.ok()) return survey.status();
    return std::unique_ptr<Survey>(*std::move(survey));
  }
  StatusOr<std::unique_ptr<KafkaSurveyor>> surveyor = KafkaSurveyor::Open(
      bridge, {bridge.source, secrets.source}, {bridge.target, secrets.target}, reaper_, clock_);
  if (!surveyor.ok()) return surveyor.status();
  return std::unique_ptr<Survey>(*std::move(surveyor));
}

std::vector<EndpointCheck> ClusterLaneFactory::TestEndpoint(
    const EndpointSpec& endpoint, const std::optional<CredentialSecret>& secret,
    const std::vector<std::string>& topics, Duration deadline) {
  if (!endpoint.is_kafka()) return TestEngine({endpoint, secret}, deadline);
  return drawbridge::TestEndpoint({endpoint, secret}, topics, deadline);
}

StatusOr<std::unique_ptr<DeadLetterBox>> ClusterLaneFactory::BoxOf(const DeadLetterPlace& place) {
  if (place.target.is_kafka()) {
    return Status(
        StatusCode::kFailedPrecondition, Reason::kFieldInvalid,
        fmt::format("{} is a Kafka cluster, which keeps no dead letters", place.target.name));
  }
  return DeadLetterBox::Open({place.target, place.secret}, place.bridge, relay_, clock_);
}

StatusOr<DeadLetterPage> ClusterLaneFactory::ReadDeadLetters(const DeadLetterPlace& place,
                                                             int limit, Duration deadline) {
  const StatusOr<std::unique_ptr<DeadLetterBox>> box = BoxOf(place);
  if (!box.ok()) return box.status();
  return (*box)->Read(place.selection, limit, clock_.Now() + deadline);
}

StatusOr<RetriedDeadLetters> ClusterLaneFactory::RetryDeadLetters(const DeadLetterPlace& place,
                                                                  const std::string& turn,
                                                                  Duration deadline) {
  const StatusOr<std::unique_ptr<DeadLetterBox>> box = BoxOf(place);
  if (!box.ok()) return box.status();
  return (*box)->Retry(place.selection, turn, clock_.Now() + deadline);
}

}  // namespace drawbridge
