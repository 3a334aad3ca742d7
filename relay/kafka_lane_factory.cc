#include "relay/kafka_lane_factory.h"

#include <fmt/format.h>

#include "relay/kafka/endpoint_test.h"
#include "relay/kafka/kafka_sink.h"
#include "relay/kafka/kafka_source.h"
#include "relay/kafka/surveyor.h"

namespace drawbridge {

StatusOr<LaneEnds> KafkaLaneFactory::MakeLane(const BridgeAssignment& bridge,
                                              const BridgeSecrets& secrets, LaneBudget budget) {
  const KafkaBudget kafka_budget{.prefetch_bytes = budget.prefetch_bytes,
                                 .window_bytes = budget.window_bytes};
  StatusOr<std::unique_ptr<KafkaSource>> source =
      KafkaSource::Open({bridge.source, secrets.source},
                        fmt::format("drawbridge-{}", bridge.bridge), kafka_budget, reaper_, clock_);
  if (!source.ok()) return source.status();
  StatusOr<std::unique_ptr<KafkaSink>> sink =
      KafkaSink::Open({bridge.target, secrets.target}, bridge.spec.target.compression, kafka_budget,
                      reaper_, clock_);
  if (!sink.ok()) return sink.status();
  return LaneEnds{.source = *std::move(source), .sink = *std::move(sink)};
}

StatusOr<std::unique_ptr<Survey>> KafkaLaneFactory::MakeSurvey(const BridgeAssignment& bridge,
                                                               const BridgeSecrets& secrets) {
  StatusOr<std::unique_ptr<KafkaSurveyor>> surveyor = KafkaSurveyor::Open(
      bridge, {bridge.source, secrets.source}, {bridge.target, secrets.target}, reaper_, clock_);
  if (!surveyor.ok()) return surveyor.status();
  return std::unique_ptr<Survey>(*std::move(surveyor));
}

std::vector<EndpointCheck> KafkaLaneFactory::TestEndpoint(
    const EndpointSpec& endpoint, const std::optional<CredentialSecret>& secret,
    const std::vector<std::string>& topics, Duration deadline) {
  return drawbridge::TestEndpoint({endpoint, secret}, topics, deadline);
}

}  // namespace drawbridge
