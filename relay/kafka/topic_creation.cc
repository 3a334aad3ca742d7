#include "relay/kafka/topic_creation.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <span>

#include <fmt/format.h>

#include "base/log.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.kafka");

constexpr std::string_view kMaxBytes = "max.message.bytes";
constexpr std::string_view kTimestampType = "message.timestamp.type";
constexpr std::string_view kTimestampBeforeMax = "message.timestamp.before.max.ms";
constexpr std::string_view kTimestampAfterMax = "message.timestamp.after.max.ms";
constexpr std::string_view kAnyTime = "9223372036854775807";
// What the records take over from their old topic.
constexpr std::array<std::string_view, 4> kCopied{"cleanup.policy", "retention.ms",
                                                  "retention.bytes", "delete.retention.ms"};
// A batch that is compressed another way, with the provenance header on top, may be larger.
constexpr int64_t kHeadroomBytes = 64 << 10;
constexpr int64_t kMaxBytesMax = 2'147'483'647;  // an int32 at the broker

constexpr Duration kOperationPatience = 5s;

std::optional<int64_t> Number(const std::string& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Whether `text` has `name` as a word: "delete.retention.ms" does not mention "retention.ms".
bool Mentions(std::string_view text, std::string_view name) {
  const auto is_of_name = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.';
  };
  for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    const bool begins = at == 0 || !is_of_name(text[at - 1]);
    // A full stop may end a sentence.
    const bool ends = end >= text.size() || !is_of_name(text[end]) ||
                      (text[end] == '.' && (end + 1 >= text.size() || text[end + 1] == ' '));
    if (begins && ends) return true;
  }
  return false;
}

bool IsAuthorization(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
         error == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

// Refusals that may be a setting's fault.
bool IsAboutSettings(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_INVALID_CONFIG || error == RD_KAFKA_RESP_ERR_INVALID_REQUEST ||
         error == RD_KAFKA_RESP_ERR_POLICY_VIOLATION;
}

std::string Words(const rd_kafka_topic_result_t* result) {
  const char* const text = rd_kafka_topic_result_error_string(result);
  return text != nullptr ? text : rd_kafka_err2str(rd_kafka_topic_result_error(result));
}

AdminOptionsHandle Options(rd_kafka_t* client, rd_kafka_admin_op_t operation,
                           const Patience& patience) {
  AdminOptionsHandle options(rd_kafka_AdminOptions_new(client, operation));
  const int timeout_ms = patience.Milliseconds(kOperationPatience);
  std::array<char, 256> ignored{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms, ignored.data(),
                                            ignored.size());
  rd_kafka_AdminOptions_set_operation_timeout(options.get(), timeout_ms, ignored.data(),
                                              ignored.size());
  return options;
}

TopicRefusal CreationRefusal(const ClusterView& cluster, const WantedTopic& topic,
                             rd_kafka_resp_err_t error, std::string_view words) {
  const std::string& endpoint = cluster.endpoint().name;
  if (IsAuthorization(error)) {
    return {topic.name,
            {StatusCode::kPermissionDenied, Reason::kAuthorizationFailed,
             fmt::format("{} does not let us create the topic {}: create it with {} partitions, or "
                         "grant CREATE on it ({})",
                         endpoint, topic.name, topic.partitions, words)}};
  }
  const std::string_view advice =
      error == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR
          ? "set the bridge's target.replication_factor to what the cluster can give"
          : "create it by hand, or remove what the cluster objects to";
  return {topic.name,
          {StatusCode::kFailedPrecondition, Reason::kTopicCreationRefused,
           fmt::format("{} refuses to create the topic {} with {} partitions: {} ({})", endpoint,
                       topic.name, topic.partitions, advice, words)}};
}

TopicRefusal GrowthRefusal(const ClusterView& cluster, const WantedTopic& topic,
                           rd_kafka_resp_err_t error, std::string_view words) {
  const TopicView* const present = cluster.Find(topic.name);
  return {topic.name,
          {StatusCode::kFailedPrecondition, Reason::kTargetPartitionsMissing,
           fmt::format("the topic {} of {} has {} partitions and needs {}: {} ({})", topic.name,
                       cluster.endpoint().name, present == nullptr ? 0 : present->partitions(),
                       topic.partitions,
                       IsAuthorization(error) ? "grant ALTER on it, or raise it by hand"
                                              : "raise it by hand",
                       words)}};
}

// What a whole request met; `refuse` words what the cluster cannot do at all.
template <typename Refuse>
std::vector<TopicRefusal> RefusalOfAll(ClusterView& cluster, const std::vector<WantedTopic>& topics,
                                       rd_kafka_event_t* answer, Refuse refuse) {
  const rd_kafka_resp_err_t error =
      answer == nullptr ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(answer);
  const std::string words = answer == nullptr ? "" : rd_kafka_event_error_string(answer);
  std::vector<TopicRefusal> refusals;
  refusals.reserve(topics.size());
  for (const WantedTopic& topic : topics) {
    refusals.push_back(error == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE
                           ? refuse(cluster, topic, error, words)
                           : TopicRefusal{topic.name, cluster.Failure(error, words)});
  }
  return refusals;
}

NewTopicHandle Describe(const WantedTopic& topic, std::string& trouble) {
  std::array<char, 256> words{};
  NewTopicHandle made(rd_kafka_NewTopic_new(
      topic.name.c_str(), topic.partitions,
      topic.replication_factor == 0 ? -1 : topic.replication_factor, words.data(), words.size()));
  if (!made) {
    trouble = words.data();
    return made;
  }
  for (const auto& [name, value] : topic.settings) {
    rd_kafka_NewTopic_set_config(made.get(), name.c_str(), value.c_str());
  }
  return made;
}

// One request for all of them: those that need another attempt stay in `topics`.
std::vector<TopicRefusal> CreateOnce(ClusterView& cluster, std::vector<WantedTopic>& topics,
                                     const Patience& patience) {
  std::vector<TopicRefusal> refusals;
  std::vector<NewTopicHandle> handles;
  std::vector<rd_kafka_NewTopic_t*> pointers;
  for (const WantedTopic& topic : topics) {
    std::string trouble;
    NewTopicHandle made = Describe(topic, trouble);
    if (!made) {
      refusals.push_back(CreationRefusal(cluster, topic, RD_KAFKA_RESP_ERR__INVALID_ARG, trouble));
      continue;
    }
    pointers.push_back(made.get());
    handles.push_back(std::move(made));
  }
  if (pointers.empty()) {
    topics.clear();
    return refusals;
  }
  const AdminOptionsHandle options =
      Options(cluster.client(), RD_KAFKA_ADMIN_OP_CREATETOPICS, patience);
  const QueueHandle answers(rd_kafka_queue_new(cluster.client()));
  rd_kafka_CreateTopics(cluster.client(), pointers.data(), pointers.size(), options.get(),
                        answers.get());
  const EventHandle answer = cluster.Await(answers.get(), patience);
  if (!answer || rd_kafka_event_error(answer.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    std::vector<TopicRefusal> all = RefusalOfAll(cluster, topics, answer.get(), CreationRefusal);
    topics.clear();
    return all;
  }
  size_t count = 0;
  const rd_kafka_topic_result_t** const results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer.get()), &count);
  std::vector<WantedTopic> again;
  for (const rd_kafka_topic_result_t* const result : std::span(results, count)) {
    const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(result);
    const auto topic =
        std::ranges::find(topics, rd_kafka_topic_result_name(result), &WantedTopic::name);
    if (topic == topics.end()) continue;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      kLog.Info("topic created", {{"endpoint", cluster.endpoint().name},
                                  {"topic", topic->name},
                                  {"partitions", topic->partitions}});
      continue;
    }
    // It takes longer than we wait, or another one was faster: the next look sees it.
    if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ||
        error == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT) {
      continue;
    }
    const std::string words = Words(result);
    if (IsAboutSettings(error) && Reduce(topic->settings, words)) {
      kLog.Warn("topic is created with fewer settings",
                {{"endpoint", cluster.endpoint().name}, {"topic", topic->name}, {"text", words}});
      again.push_back(std::move(*topic));
      continue;
    }
    refusals.push_back(CreationRefusal(cluster, *topic, error, words));
  }
  topics = std::move(again);
  return refusals;
}

}  // namespace

TopicSettings SettingsForCopy(const TopicSettings& source, const Capabilities& source_profile) {
  TopicSettings settings;
  for (const std::string_view name : kCopied) {
    const auto found = source.find(name);
    if (found != source.end()) settings.emplace(name, found->second);
  }
  std::optional<int64_t> bytes = source_profile.record_bytes_max;
  const auto found = source.find(kMaxBytes);
  if (found != source.end()) bytes = Number(found->second);
  if (bytes) {
    settings.emplace(kMaxBytes, std::to_string(std::min(kMaxBytesMax, *bytes + kHeadroomBytes)));
  }
  // Records keep their times, whatever they are; Kafka 4 would refuse those an hour ahead.
  settings.emplace(kTimestampType, "CreateTime");
  settings.emplace(kTimestampBeforeMax, kAnyTime);
  settings.emplace(kTimestampAfterMax, kAnyTime);
  return settings;
}

bool Reduce(TopicSettings& settings, std::string_view text) {
  if (settings.empty()) return false;
  const size_t named =
      std::erase_if(settings, [&](const auto& setting) { return Mentions(text, setting.first); });
  if (named > 0) return true;
  // The youngest of them first, then what shapes the log least.
  const size_t youngest = std::erase_if(settings, [](const auto& setting) {
    return setting.first == kTimestampBeforeMax || setting.first == kTimestampAfterMax;
  });
  if (youngest > 0) return true;
  const size_t others = std::erase_if(settings, [](const auto& setting) {
    return setting.first != kCopied.front() && setting.first != kTimestampType;
  });
  if (others == 0) settings.clear();
  return true;
}

std::vector<TopicRefusal> CreateTopics(ClusterView& cluster, std::vector<WantedTopic> topics,
                                       const Patience& patience) {
  std::vector<TopicRefusal> refusals;
  // Ends: every attempt has fewer topics or fewer settings.
  while (!topics.empty() && !patience.is_over()) {
    std::vector<TopicRefusal> met = CreateOnce(cluster, topics, patience);
    std::ranges::move(met, std::back_inserter(refusals));
  }
  return refusals;
}

std::vector<TopicRefusal> GrowTopics(ClusterView& cluster, const std::vector<WantedTopic>& topics,
                                     const Patience& patience) {
  std::vector<TopicRefusal> refusals;
  std::vector<NewPartitionsHandle> handles;
  std::vector<rd_kafka_NewPartitions_t*> pointers;
  for (const WantedTopic& topic : topics) {
    std::array<char, 256> words{};
    NewPartitionsHandle grown(rd_kafka_NewPartitions_new(
        topic.name.c_str(), static_cast<size_t>(topic.partitions), words.data(), words.size()));
    if (!grown) {
      refusals.push_back(
          GrowthRefusal(cluster, topic, RD_KAFKA_RESP_ERR__INVALID_ARG, words.data()));
      continue;
    }
    pointers.push_back(grown.get());
    handles.push_back(std::move(grown));
  }
  if (pointers.empty() || patience.is_over()) return refusals;
  const AdminOptionsHandle options =
      Options(cluster.client(), RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, patience);
  const QueueHandle answers(rd_kafka_queue_new(cluster.client()));
  rd_kafka_CreatePartitions(cluster.client(), pointers.data(), pointers.size(), options.get(),
                            answers.get());
  const EventHandle answer = cluster.Await(answers.get(), patience);
  if (!answer || rd_kafka_event_error(answer.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return RefusalOfAll(cluster, topics, answer.get(), GrowthRefusal);
  }
  size_t count = 0;
  const rd_kafka_topic_result_t** const results = rd_kafka_CreatePartitions_result_topics(
      rd_kafka_event_CreatePartitions_result(answer.get()), &count);
  for (const rd_kafka_topic_result_t* const result : std::span(results, count)) {
    const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(result);
    const auto topic =
        std::ranges::find(topics, rd_kafka_topic_result_name(result), &WantedTopic::name);
    if (topic == topics.end()) continue;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      kLog.Info("topic raised", {{"endpoint", cluster.endpoint().name},
                                 {"topic", topic->name},
                                 {"partitions", topic->partitions}});
    } else if (error != RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT) {
      refusals.push_back(GrowthRefusal(cluster, *topic, error, Words(result)));
    }
  }
  return refusals;
}

}  // namespace drawbridge
