#include "relay/cluster_lane_factory.h"

#include <fmt/format.h>

#include "relay/kafka/endpoint_test.h"
#include "relay/kafka/kafka_sink.h"
#include "relay/kafka/kafka_source.h"
#include "relay/kafka/letter_topic.h"
#include "relay/kafka/surveyor.h"
#include "relay/letters/topic_letter_store.h"
#include "relay/opensearch/engine_survey.h"
#include "relay/opensearch/engine_test.h"
#include "relay/opensearch/opensearch_sink.h"

namespace drawbridge {
namespace {

// Of dead letters beside a lane, and of whoever reads them.
// The topic takes letters of up to 32 MiB.
constexpr KafkaBudget kLetterBudget{
    .prefetch_bytes = size_t{8} << 20, .window_bytes = size_t{32} << 20, .keeps_order = false};

// One end of a bridge. Where its endpoint has a cluster_key, that is the name by which the server
// knows it, whatever the cluster calls itself.
KafkaCluster ClusterOf(const EndpointSpec& endpoint, const std::optional<CredentialSecret>& secret,
                       const std::string& cluster_id) {
  return {endpoint, secret, endpoint.kafka().cluster_key.empty() ? cluster_id : std::string()};
}

KafkaCluster SourceOf(const BridgeAssignment& bridge, const BridgeSecrets& secrets) {
  return ClusterOf(bridge.source, secrets.source, bridge.source_cluster_id);
}

KafkaCluster TargetOf(const BridgeAssignment& bridge, const BridgeSecrets& secrets) {
  return ClusterOf(bridge.target, secrets.target, bridge.target_cluster_id);
}

}  // namespace

StatusOr<std::unique_ptr<TopicLetterSink>> ClusterLaneFactory::LettersTo(const BridgeSpec& bridge,
                                                                         KafkaCluster cluster) {
  StatusOr<std::unique_ptr<KafkaSink>> sink =
      KafkaSink::Open(std::move(cluster), Compression::kDefault, kLetterBudget, reaper_, clock_);
  if (!sink.ok()) return sink.status();
  return TopicLetterSink::Open(*std::move(sink), bridge.target.dead_letter_topic);
}

StatusOr<LaneEnds> ClusterLaneFactory::MakeLane(const BridgeAssignment& bridge,
                                                const BridgeSecrets& secrets, LaneBudget budget) {
  const KafkaBudget kafka_budget{.prefetch_bytes = budget.prefetch_bytes,
                                 .window_bytes = budget.window_bytes};
  StatusOr<std::unique_ptr<KafkaSource>> source =
      KafkaSource::Open(SourceOf(bridge, secrets), fmt::format("drawbridge-{}", bridge.bridge),
                        kafka_budget, reaper_, clock_);
  if (!source.ok()) return source.status();
  if (!bridge.target.is_kafka()) {
    std::unique_ptr<TopicLetterSink> letters;
    if (!bridge.spec.target.dead_letter_topic.empty()) {
      auto opened = LettersTo(bridge.spec, SourceOf(bridge, secrets));
      if (!opened.ok()) return opened.status();
      letters = *std::move(opened);
    }
    StatusOr<std::unique_ptr<OpenSearchSink>> sink =
        OpenSearchSink::Open({bridge.target, secrets.target},
                             {.bridge = bridge.spec.name,
                              .relay = relay_,
                              .dead_letter_index = bridge.spec.target.letters(),
                              .cluster_id = bridge.target_cluster_id,
                              .letters_percent = bridge.spec.target.dead_letter_max_percent,
                              .window_bytes = budget.window_bytes},
                             clock_, std::move(letters));
    if (!sink.ok()) return sink.status();
    return LaneEnds{.source = *std::move(source), .sink = *std::move(sink)};
  }
  StatusOr<std::unique_ptr<KafkaSink>> sink = KafkaSink::Open(
      TargetOf(bridge, secrets), bridge.spec.target.compression, kafka_budget, reaper_, clock_);
  if (!sink.ok()) return sink.status();
  return LaneEnds{.source = *std::move(source), .sink = *std::move(sink)};
}

StatusOr<std::unique_ptr<Survey>> ClusterLaneFactory::MakeSurvey(const BridgeAssignment& bridge,
                                                                 const BridgeSecrets& secrets) {
  if (!bridge.target.is_kafka()) {
    StatusOr<std::unique_ptr<KafkaSurveyor>> source =
        KafkaSurveyor::OpenSource(bridge, SourceOf(bridge, secrets), reaper_, clock_);
    if (!source.ok()) return source.status();
    EngineSurvey::MakeLetters make_letters;
    if (const std::string& topic = bridge.spec.target.dead_letter_topic; !topic.empty()) {
      auto opened = LetterTopic::Open(SourceOf(bridge, secrets), topic, reaper_, clock_);
      if (!opened.ok()) return opened.status();
      make_letters = [letters = std::shared_ptr<LetterTopic>(*std::move(opened))](
                         Duration patience) { return letters->Make(patience); };
    }
    StatusOr<std::unique_ptr<EngineSurvey>> survey =
        EngineSurvey::Open(bridge, {bridge.target, secrets.target}, *std::move(source), clock_,
                           std::move(make_letters));
    if (!survey.ok()) return survey.status();
    return std::unique_ptr<Survey>(*std::move(survey));
  }
  StatusOr<std::unique_ptr<KafkaSurveyor>> surveyor = KafkaSurveyor::Open(
      bridge, SourceOf(bridge, secrets), TargetOf(bridge, secrets), reaper_, clock_);
  if (!surveyor.ok()) return surveyor.status();
  return std::unique_ptr<Survey>(*std::move(surveyor));
}

std::vector<EndpointCheck> ClusterLaneFactory::TestEndpoint(
    const EndpointSpec& endpoint, const std::optional<CredentialSecret>& secret,
    const std::vector<std::string>& topics, Duration deadline) {
  if (!endpoint.is_kafka()) return TestEngine({endpoint, secret}, topics, deadline, clock_);
  return drawbridge::TestEndpoint({endpoint, secret}, topics, deadline);
}

StatusOr<std::unique_ptr<DeadLetterBox>> ClusterLaneFactory::BoxOf(const DeadLetterPlace& place) {
  if (place.target.is_kafka()) {
    return Status(
        StatusCode::kFailedPrecondition, Reason::kFieldInvalid,
        fmt::format("{} is a Kafka cluster, which keeps no dead letters", place.target.name));
  }
  const SearchEngine engine{place.target, place.secret};
  if (place.bridge.target.dead_letter_topic.empty()) {
    return DeadLetterBox::Open(engine, place.target_cluster_id, place.bridge, relay_, clock_);
  }
  if (!place.source) {
    return Status(StatusCode::kFailedPrecondition, Reason::kUnavailable,
                  "the server does not say where the topic of dead letters is: upgrade it");
  }
  const KafkaCluster cluster{*place.source, place.source_secret};
  StatusOr<std::unique_ptr<KafkaSource>> source = KafkaSource::Open(
      cluster, fmt::format("drawbridge-{}", place.bridge.name), kLetterBudget, reaper_, clock_);
  if (!source.ok()) return source.status();
  auto sink = LettersTo(place.bridge, cluster);
  if (!sink.ok()) return sink.status();
  return DeadLetterBox::Open(engine, place.target_cluster_id, place.bridge, relay_, clock_,
                             std::make_unique<TopicLetterStore>(
                                 *std::move(source), *std::move(sink), place.bridge.name, clock_));
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
