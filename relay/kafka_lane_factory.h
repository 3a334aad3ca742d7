#pragma once

#include "base/clock.h"
#include "relay/kafka/kafka_handle.h"
#include "relay/supervisor/lane_factory.h"

namespace drawbridge {

// Makes lanes and surveys between Kafka clusters. The next kind of endpoint is chosen here.
// Thread-safe; the clock outlives it.
class KafkaLaneFactory final : public LaneFactory {
 public:
  explicit KafkaLaneFactory(const Clock& clock) : clock_(clock) {}

  StatusOr<LaneEnds> MakeLane(const BridgeAssignment& bridge, const BridgeSecrets& secrets,
                              LaneBudget budget) override;
  StatusOr<std::unique_ptr<Survey>> MakeSurvey(const BridgeAssignment& bridge,
                                               const BridgeSecrets& secrets) override;
  std::vector<EndpointCheck> TestEndpoint(const EndpointSpec& endpoint,
                                          const std::optional<CredentialSecret>& secret,
                                          const std::vector<std::string>& topics,
                                          Duration deadline) override;

 private:
  const Clock& clock_;
  Reaper reaper_;
};

}  // namespace drawbridge
