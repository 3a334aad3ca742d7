#pragma once

#include <string>
#include <utility>

#include "base/clock.h"
#include "relay/kafka/kafka_config.h"
#include "relay/kafka/kafka_handle.h"
#include "relay/letters/topic_letter_sink.h"
#include "relay/opensearch/dead_letter_box.h"
#include "relay/supervisor/lane_factory.h"

namespace drawbridge {

// Makes lanes and surveys from Kafka clusters to Kafka clusters and search engines. The next kind
// of endpoint is chosen here. Thread-safe; the clock outlives it.
class ClusterLaneFactory final : public LaneFactory {
 public:
  // `relay` is the relay's name, which documents of search engines tell.
  ClusterLaneFactory(std::string relay, const Clock& clock)
      : relay_(std::move(relay)), clock_(clock) {}

  StatusOr<LaneEnds> MakeLane(const BridgeAssignment& bridge, const BridgeSecrets& secrets,
                              LaneBudget budget) override;
  StatusOr<std::unique_ptr<Survey>> MakeSurvey(const BridgeAssignment& bridge,
                                               const BridgeSecrets& secrets) override;
  std::vector<EndpointCheck> TestEndpoint(const EndpointSpec& endpoint,
                                          const std::optional<CredentialSecret>& secret,
                                          const std::vector<std::string>& topics,
                                          Duration deadline) override;
  StatusOr<DeadLetterPage> ReadDeadLetters(const DeadLetterPlace& place, int limit,
                                           Duration deadline) override;
  StatusOr<RetriedDeadLetters> RetryDeadLetters(const DeadLetterPlace& place,
                                                const std::string& turn,
                                                Duration deadline) override;

 private:
  StatusOr<std::unique_ptr<TopicLetterSink>> LettersTo(const BridgeSpec& bridge,
                                                       KafkaCluster cluster);
  StatusOr<std::unique_ptr<DeadLetterBox>> BoxOf(const DeadLetterPlace& place);

  const std::string relay_;
  const Clock& clock_;
  Reaper reaper_;
};

}  // namespace drawbridge
