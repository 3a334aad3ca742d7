#include "relay/kafka/letter_topic.h"

#include <utility>

#include <fmt/format.h>

#include "relay/kafka/cluster_identity.h"
#include "relay/kafka/topic_creation.h"

namespace drawbridge {
namespace {

// A letter is its record and some headers; this is more than the records that are common.
constexpr const char* kLetterBytesMax = "33554432";

std::string ValueOf(const TopicSettings& settings, std::string_view name) {
  const auto found = settings.find(name);
  return found == settings.end() ? std::string() : found->second;
}

}  // namespace

StatusOr<std::unique_ptr<LetterTopic>> LetterTopic::Open(KafkaCluster cluster, std::string topic,
                                                         Reaper& reaper, const Clock& clock) {
  StatusOr<std::unique_ptr<ClusterView>> view =
      ClusterView::Open(std::move(cluster), Side::kSource, reaper, clock);
  if (!view.ok()) return view.status();
  return std::unique_ptr<LetterTopic>(new LetterTopic(*std::move(view), std::move(topic), clock));
}

Status LetterTopic::Create(const Patience& patience) {
  const Capabilities& profile = CapabilitiesOf(cluster_->endpoint().kafka().profile);
  if (!profile.create_topics) {
    return {StatusCode::kFailedPrecondition, Reason::kTopicCreationRefused,
            fmt::format("{} ({}) takes no orders to create topics: create {} with 1 partition, for "
                        "dead letters",
                        cluster_->endpoint().name, profile.name, topic_)};
  }
  WantedTopic wanted{.name = topic_,
                     .partitions = 1,
                     .replication_factor = 0,
                     .settings = SettingsForCopy({{"cleanup.policy", "delete"},
                                                  {"retention.ms", "-1"},
                                                  {"retention.bytes", "-1"},
                                                  {"max.message.bytes", kLetterBytesMax}},
                                                 profile)};
  const std::vector<TopicRefusal> refusals = CreateTopics(*cluster_, {std::move(wanted)}, patience);
  return refusals.empty() ? Status() : refusals.front().status;
}

Status LetterTopic::CheckSettings() const {
  const std::string& endpoint = cluster_->endpoint().name;
  if (!cluster_->HasAnsweredFor(topic_)) {
    return {StatusCode::kUnavailable, Reason::kUnreachable,
            fmt::format("{} has not said yet how its topic {} of dead letters is configured",
                        endpoint, topic_)};
  }
  const TopicSettings& settings = cluster_->SettingsOf(topic_);
  // A service without such settings has a retention of its own, which its guide tells.
  if (settings.empty() && cluster_->endpoint().kafka().profile == Profile::kKafka) {
    return {
        StatusCode::kPermissionDenied, Reason::kAuthorizationFailed,
        fmt::format("{} does not say how the topic {} of dead letters is configured, and "
                    "whether it keeps them: grant DESCRIBE_CONFIGS on it to the endpoint's user",
                    endpoint, topic_)};
  }
  const auto refused = [&](std::string_view why) {
    return Status(
        StatusCode::kFailedPrecondition, Reason::kGuaranteeUnsupported,
        fmt::format("the topic {} of {} does not keep dead letters: {}", topic_, endpoint, why));
  };
  if (ValueOf(settings, "cleanup.policy").find("compact") != std::string::npos) {
    return refused(
        "it is compacted, so that records with one key replace each other; set its "
        "cleanup.policy to delete");
  }
  const std::string bytes = ValueOf(settings, "retention.bytes");
  if (!bytes.empty() && !bytes.starts_with('-')) {
    return refused(
        fmt::format("it deletes the oldest of more than {} bytes; set its "
                    "retention.bytes to -1",
                    bytes));
  }
  const std::string retention = ValueOf(settings, "retention.ms");
  const bool ends = !retention.empty() && !retention.starts_with('-');
  if (ends && ValueOf(settings, "message.timestamp.type") == "CreateTime") {
    return refused(
        fmt::format("it deletes them when their records are {} ms old, which may be at "
                    "once; set its retention.ms to -1, or its message.timestamp.type to "
                    "LogAppendTime",
                    retention));
  }
  return {};
}

Status LetterTopic::Make(Duration most) {
  const Patience patience(clock_, most, {});
  if (Status reached = cluster_->Refresh(patience); !reached.ok()) return reached;
  const std::string& expected = cluster_->expected_id();
  const std::string& answers = cluster_->cluster_id();
  if (!expected.empty() && !answers.empty() && answers != expected) {
    cluster_->Doubt();
    return AnotherCluster(Side::kTarget, cluster_->endpoint().name, answers, expected);
  }
  if (cluster_->Find(topic_) == nullptr) {
    if (Status seen = cluster_->LookUp({topic_}, patience); !seen.ok()) return seen;
    const auto found = cluster_->topics().find(topic_);
    if (found != cluster_->topics().end() &&
        found->second.error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
      return {StatusCode::kPermissionDenied, Reason::kAuthorizationFailed,
              fmt::format("{} does not let us see the topic {} of dead letters: grant READ, WRITE, "
                          "DESCRIBE and DESCRIBE_CONFIGS on it to the endpoint's user",
                          cluster_->endpoint().name, topic_)};
    }
    if (found == cluster_->topics().end() || found->second.partitions() == 0) {
      if (Status made = Create(patience); !made.ok()) return made;
    }
  }
  cluster_->ReadSettings({topic_}, patience);
  return CheckSettings();
}

}  // namespace drawbridge
