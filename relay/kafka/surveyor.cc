#include "relay/kafka/surveyor.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "relay/kafka/topic_ids.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLookPatience = 10s;
// For reaching one of the clusters: the other one needs as much.
constexpr Duration kReachPatience = 4s;
constexpr Duration kAwaitPatience = 3s;
constexpr Duration kAwaitPause = 100ms;

constexpr int64_t kForEver = -1;

std::optional<Offset> OffsetIn(const std::map<TopicPartition, int64_t>& answers,
                               const TopicPartition& partition) {
  const auto found = answers.find(partition);
  if (found == answers.end() || found->second < 0) return std::nullopt;
  return Offset{found->second};
}

// Where a partition begins of which the ends of the log are known; `at_time` is for kTime.
std::optional<Offset> StartOf(Start::Kind kind, const SurveyedPartition& one,
                              const std::map<TopicPartition, int64_t>& at_time,
                              const TopicPartition& name) {
  switch (kind) {
    case Start::Kind::kEarliest:
      return one.log_start;
    case Start::Kind::kLatest:
      return one.log_end;
    case Start::Kind::kTime:
      break;
  }
  const auto found = at_time.find(name);
  // Nothing is that young: what comes next is.
  if (found != at_time.end() && found->second < 0) return one.log_end;
  return OffsetIn(at_time, name);
}

// What a cluster answered for a topic.
Status About(const ClusterView& cluster, const std::string& topic, rd_kafka_resp_err_t error) {
  const Status status = ToStatus(error, rd_kafka_err2str(error), cluster.context());
  return {status.code(), status.reason(),
          fmt::format("{}: topic {}: {}", cluster.endpoint().name, topic, status.message())};
}

std::optional<int64_t> RetentionOf(const TopicSettings& settings) {
  const auto policy = settings.find("cleanup.policy");
  // What is only compacted is never too old.
  if (policy != settings.end() && policy->second.find("delete") == std::string::npos) {
    return kForEver;
  }
  const auto found = settings.find("retention.ms");
  if (found == settings.end()) return std::nullopt;
  const std::string& text = found->second;
  int64_t retention_ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), retention_ms);
  if (error != std::errc()) return std::nullopt;
  return retention_ms;
}

}  // namespace

StatusOr<std::unique_ptr<KafkaSurveyor>> KafkaSurveyor::Open(BridgeAssignment bridge,
                                                             KafkaCluster source,
                                                             KafkaCluster target, Reaper& reaper,
                                                             const Clock& clock) {
  StatusOr<std::unique_ptr<ClusterView>> source_view =
      ClusterView::Open(std::move(source), Side::kSource, reaper, clock);
  if (!source_view.ok()) return source_view.status();
  StatusOr<std::unique_ptr<ClusterView>> target_view =
      ClusterView::Open(std::move(target), Side::kTarget, reaper, clock);
  if (!target_view.ok()) return target_view.status();
  return Make(std::move(bridge), *std::move(source_view), *std::move(target_view), clock);
}

StatusOr<std::unique_ptr<KafkaSurveyor>> KafkaSurveyor::OpenSource(BridgeAssignment bridge,
                                                                   KafkaCluster source,
                                                                   Reaper& reaper,
                                                                   const Clock& clock) {
  StatusOr<std::unique_ptr<ClusterView>> source_view =
      ClusterView::Open(std::move(source), Side::kSource, reaper, clock);
  if (!source_view.ok()) return source_view.status();
  return Make(std::move(bridge), *std::move(source_view), nullptr, clock);
}

StatusOr<std::unique_ptr<KafkaSurveyor>> KafkaSurveyor::Make(BridgeAssignment bridge,
                                                             std::unique_ptr<ClusterView> source,
                                                             std::unique_ptr<ClusterView> target,
                                                             const Clock& clock) {
  StatusOr<TopicSelection> selection = TopicSelection::Create(bridge.spec.source.topics);
  if (!selection.ok()) return selection.status().At("source.topics");
  StatusOr<TopicTemplate> mapping = TopicTemplate::Create(bridge.spec.target.topic);
  if (!mapping.ok()) return mapping.status().At("target.topic");
  std::vector<TopicFlow> reverse_flows;
  for (const auto& [topics, text] : bridge.reverse_flows) {
    StatusOr<TopicSelection> reverse_selection = TopicSelection::Create(topics);
    if (!reverse_selection.ok()) return reverse_selection.status();
    StatusOr<TopicTemplate> reverse_mapping = TopicTemplate::Create(text);
    if (!reverse_mapping.ok()) return reverse_mapping.status();
    reverse_flows.push_back({*std::move(reverse_selection), *std::move(reverse_mapping)});
  }
  return std::unique_ptr<KafkaSurveyor>(
      new KafkaSurveyor(std::move(bridge), {*std::move(selection), *std::move(mapping)},
                        std::move(reverse_flows), std::move(source), std::move(target), clock));
}

KafkaSurveyor::KafkaSurveyor(BridgeAssignment bridge, TopicFlow flow,
                             std::vector<TopicFlow> reverse_flows,
                             std::unique_ptr<ClusterView> source,
                             std::unique_ptr<ClusterView> target, const Clock& clock)
    : bridge_(std::move(bridge)),
      flow_(std::move(flow)),
      reverse_flows_(std::move(reverse_flows)),
      clock_(clock),
      source_(std::move(source)),
      target_(std::move(target)) {}

SurveyResult KafkaSurveyor::Look(const std::stop_token& stop) {
  const Patience patience(clock_, kLookPatience, stop);
  SurveyResult result{.bridge = bridge_.bridge,
                      .generation = bridge_.generation,
                      .source_cluster_id = {},
                      .target_cluster_id = {},
                      .topics = {},
                      .conditions = {},
                      .is_complete = false};
  ReadClusters(result, patience);
  if (!is_source_seen_ || IsOntoItself(result) || IsElsewhere(result)) return result;
  result.is_complete = target_ == nullptr || is_target_seen_;
  ChooseTopics(result, patience);
  ReadPositions(result, patience);
  ReadTraits(result, patience);
  if (is_target_seen_) MakeTarget(result, patience);
  if (target_) ReadTarget(result, patience);
  return result;
}

void KafkaSurveyor::Note(SurveyResult& result, Side side, const Status& status, bool blocks,
                         const std::string& topic) const {
  if (status.code() == StatusCode::kCancelled) return;
  result.conditions.push_back({.side = side,
                               .reason = status.reason(),
                               .text = status.message(),
                               .bridge = bridge_.bridge,
                               .stream = std::nullopt,
                               .partition = std::nullopt,
                               .topic = topic,
                               .age = std::nullopt,
                               .blocks = blocks});
}

void KafkaSurveyor::NoteSilent(SurveyResult& result, Side side, const std::string& topic,
                               const ClusterView& cluster, const std::string& name,
                               const std::vector<PartitionNumber>& partitions) const {
  if (partitions.empty()) return;
  Note(result, side,
       {StatusCode::kUnavailable, Reason::kUnreachable,
        fmt::format("{}: nobody answers for the topic {}, partitions {}: check that each has a "
                    "leader that can be reached",
                    cluster.endpoint().name, name, fmt::join(partitions, ", "))},
       false, topic);
}

// --- The clusters -------------------------------------------------------------------------------

void KafkaSurveyor::ReadClusters(SurveyResult& result, const Patience& patience) {
  const Status source = source_->Refresh(patience.Within(kReachPatience));
  is_source_seen_ = source.ok();
  if (!source.ok()) Note(result, Side::kSource, source, true);
  if (target_) {
    const Status target = target_->Refresh(patience.Within(kReachPatience));
    is_target_seen_ = target.ok();
    if (!target.ok()) Note(result, Side::kTarget, target, true);
  }
  if (is_source_seen_) result.source_cluster_id = source_->cluster_id();
  if (is_target_seen_) result.target_cluster_id = target_->cluster_id();

  if (!IsOntoItself(result)) return;
  Note(result, Side::kTarget,
       {StatusCode::kFailedPrecondition, Reason::kBridgeOntoItself,
        fmt::format("source and target are the same cluster {}, and the topics keep their names: "
                    "every record would be written behind itself. Give target.topic a prefix such "
                    "as \"copy.{{topic}}\", or choose another target",
                    result.source_cluster_id)},
       true);
}

// Whether other clusters answer than before. The server is told which, says so, and stops the
// bridge; until it has, nothing is made or counted there. What does not say who it is (or was) is
// let pass, as the server does.
bool KafkaSurveyor::IsElsewhere(const SurveyResult& result) {
  const auto differs = [](const std::string& was, const std::string& is) {
    return !was.empty() && !is.empty() && was != is;
  };
  const bool is_source = differs(bridge_.source_cluster_id, result.source_cluster_id);
  const bool is_target = differs(bridge_.target_cluster_id, result.target_cluster_id);
  if (is_source) source_->Doubt();
  if (is_target) target_->Doubt();
  return is_source || is_target;
}

// --- The source ---------------------------------------------------------------------------------

// Why topics that are named are not seen, unless the source has them by now.
void KafkaSurveyor::NoteMissing(SurveyResult& result,
                                const std::vector<std::string>& missing) const {
  for (const std::string& name : missing) {
    const auto found = source_->topics().find(name);
    if (found == source_->topics().end() || found->second.partitions() > 0) continue;
    const rd_kafka_resp_err_t error = found->second.error;
    const std::string& endpoint = source_->endpoint().name;
    if (error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
      Note(result, Side::kSource,
           {StatusCode::kPermissionDenied, Reason::kAuthorizationFailed,
            fmt::format("{} does not let us see the topic {}: grant READ and DESCRIBE on it to the "
                        "endpoint's user, or check its name",
                        endpoint, name)},
           true, name);
    } else if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
               error == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) {
      Note(result, Side::kSource,
           {StatusCode::kNotFound, Reason::kTopicNotFound,
            fmt::format("{} has no topic {}: create it there, or correct source.topics", endpoint,
                        name)},
           true, name);
    } else {
      Note(result, Side::kSource, About(*source_, name, error), false, name);
      result.is_complete = false;
    }
  }
}

void KafkaSurveyor::ChooseTopics(SurveyResult& result, const Patience& patience) {
  std::vector<TopicFlow> back = reverse_flows_;
  const std::string& target_id =
      is_target_seen_ ? target_->cluster_id() : bridge_.target_cluster_id;
  const bool is_same = !target_id.empty() && target_id == source_->cluster_id();
  // Within one cluster a bridge could feed on its own topics.
  if (is_same) back.push_back(flow_);

  std::vector<std::string> missing;
  for (const std::string& name : flow_.selection.literals()) {
    if (source_->Find(name) == nullptr) missing.push_back(name);
  }
  if (Status seen = source_->LookUp(missing, patience.Within(kReachPatience)); !seen.ok()) {
    Note(result, Side::kSource, seen, false);
    result.is_complete = false;
    missing.clear();
  }
  NoteMissing(result, missing);

  for (const auto& [name, topic] : source_->topics()) {
    if (topic.partitions() == 0 || !flow_.selection.Matches(name)) continue;
    if (IsEcho(name, flow_.mapping, back)) continue;
    SurveyedTopic surveyed{.topic = name,
                           .target_topic = flow_.mapping.Apply(name),
                           .target_partitions = 0,
                           .partitions = {},
                           .retention_ms = std::nullopt};
    if (is_same && surveyed.target_topic == name) {
      Note(result, Side::kTarget,
           {StatusCode::kFailedPrecondition, Reason::kBridgeOntoItself,
            fmt::format("the topic {} would be written behind itself: it is in the same cluster "
                        "and keeps its name. Change target.topic",
                        name)},
           true, name);
      continue;
    }
    for (PartitionNumber i = 0; i < topic.partitions(); ++i) {
      surveyed.partitions.push_back({.partition = i,
                                     .log_start = std::nullopt,
                                     .log_end = std::nullopt,
                                     .start = std::nullopt,
                                     .is_target_ready = false});
    }
    result.topics.push_back(std::move(surveyed));
  }
  if (result.topics.empty() && flow_.selection.has_patterns() && result.is_complete) {
    Note(result, Side::kSource,
         {StatusCode::kNotFound, Reason::kTopicNotFound,
          fmt::format("no topic of {} matches source.topics yet: it goes on looking. If there is "
                      "one, grant DESCRIBE on it to the endpoint's user",
                      source_->endpoint().name)},
         false);
  }
}

void KafkaSurveyor::ReadPositions(SurveyResult& result, const Patience& patience) {
  std::vector<TopicPartition> partitions;
  for (const SurveyedTopic& topic : result.topics) {
    for (const SurveyedPartition& one : topic.partitions) {
      partitions.emplace_back(topic.topic, one.partition);
    }
  }
  if (partitions.empty()) return;
  const auto starts = source_->OffsetsAt(partitions, ClusterView::kLogStart, patience);
  const auto ends = source_->OffsetsAt(partitions, ClusterView::kLogEnd, patience);
  const Start& rule = bridge_.spec.source.start;
  std::map<TopicPartition, int64_t> at_time;
  if (rule.kind == Start::Kind::kTime) {
    at_time = source_->OffsetsAt(partitions, ToMicros(rule.time) / 1000, patience);
  }
  for (SurveyedTopic& topic : result.topics) {
    for (SurveyedPartition& one : topic.partitions) {
      const TopicPartition name{topic.topic, one.partition};
      one.log_start = OffsetIn(starts, name);
      one.log_end = OffsetIn(ends, name);
      one.start = StartOf(rule.kind, one, at_time, name);
    }
    std::vector<PartitionNumber> unread;
    for (const SurveyedPartition& one : topic.partitions) {
      if (!one.log_start || !one.log_end || !one.start) unread.push_back(one.partition);
    }
    NoteSilent(result, Side::kSource, topic.topic, *source_, topic.topic, unread);
  }
}

void KafkaSurveyor::ReadTraits(SurveyResult& result, const Patience& patience) {
  std::vector<std::string> names;
  for (const SurveyedTopic& topic : result.topics) names.push_back(topic.topic);
  source_->ReadSettings(names, patience);
  const std::map<std::string, std::string> ids = TopicIdsOf(*source_, names, patience);
  for (SurveyedTopic& topic : result.topics) {
    if (const auto id = ids.find(topic.topic); id != ids.end()) topic.topic_id = id->second;
  }
  const std::optional<Duration> said = source_->endpoint().kafka().source_retention;
  for (SurveyedTopic& topic : result.topics) {
    topic.retention_ms = RetentionOf(source_->SettingsOf(topic.topic));
    if (!topic.retention_ms && said) {
      topic.retention_ms = std::chrono::duration_cast<std::chrono::milliseconds>(*said).count();
    }
  }
}

// --- The target ---------------------------------------------------------------------------------

bool KafkaSurveyor::IsOntoItself(const SurveyResult& result) const {
  return flow_.mapping.is_identity() && !result.source_cluster_id.empty() &&
         result.source_cluster_id == result.target_cluster_id;
}

// By name. Where several topics go to one, it has room for the largest.
std::map<std::string, WantedTopic> KafkaSurveyor::WantedTopics(const SurveyResult& result) const {
  std::map<std::string, WantedTopic> wanted;
  for (const SurveyedTopic& topic : result.topics) {
    // Not before its configuration is known: a topic is made only once.
    if (target_->Find(topic.target_topic) == nullptr && !source_->HasAnsweredFor(topic.topic)) {
      continue;
    }
    const auto partitions = static_cast<int>(topic.partitions.size());
    const auto [entry, is_new] = wanted.try_emplace(
        topic.target_topic,
        WantedTopic{
            .name = topic.target_topic,
            .partitions = partitions,
            .replication_factor = bridge_.spec.target.replication_factor,
            .settings = SettingsForCopy(source_->SettingsOf(topic.topic),
                                        CapabilitiesOf(source_->endpoint().kafka().profile))});
    if (!is_new) entry->second.partitions = std::max(entry->second.partitions, partitions);
  }
  return wanted;
}

void KafkaSurveyor::NoteRefusals(SurveyResult& result,
                                 const std::vector<TopicRefusal>& refusals) const {
  for (const TopicRefusal& refusal : refusals) {
    for (const SurveyedTopic& topic : result.topics) {
      if (topic.target_topic != refusal.topic) continue;
      // Partitions that are there run.
      const bool blocks = target_->Find(refusal.topic) == nullptr;
      Note(result, Side::kTarget, refusal.status, blocks, topic.topic);
    }
  }
}

// Whether the target tells which of them it has.
bool KafkaSurveyor::LookUpAtTarget(const std::map<std::string, WantedTopic>& wanted,
                                   SurveyResult& result, const Patience& patience) {
  std::vector<std::string> missing;
  for (const auto& [name, topic] : wanted) {
    if (target_->Find(name) == nullptr) missing.push_back(name);
  }
  const Status seen = target_->LookUp(missing, patience.Within(kReachPatience));
  if (seen.ok()) return true;
  Note(result, Side::kTarget, seen, false);
  result.is_complete = false;
  return false;
}

void KafkaSurveyor::MakeTarget(SurveyResult& result, const Patience& patience) {
  const std::map<std::string, WantedTopic> wanted = WantedTopics(result);
  if (!LookUpAtTarget(wanted, result, patience)) return;
  const Capabilities& profile = CapabilitiesOf(target_->endpoint().kafka().profile);
  std::vector<WantedTopic> to_create;
  std::vector<WantedTopic> to_grow;
  std::vector<TopicRefusal> refusals;
  for (const auto& [name, topic] : wanted) {
    const auto found = target_->topics().find(name);
    const rd_kafka_resp_err_t error = found->second.error;
    const int present = found->second.partitions();
    const std::string& endpoint = target_->endpoint().name;
    if (present >= topic.partitions) continue;
    if (error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
      refusals.push_back(
          {name,
           {StatusCode::kPermissionDenied, Reason::kAuthorizationFailed,
            fmt::format(
                "{} does not let us see the topic {}: grant WRITE, DESCRIBE and CREATE on it to "
                "the endpoint's user",
                endpoint, name)}});
    } else if (present == 0 && error != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
      refusals.push_back({name, About(*target_, name, error)});
    } else if (present == 0 && profile.create_topics) {
      to_create.push_back(topic);
    } else if (present == 0) {
      refusals.push_back(
          {name,
           {StatusCode::kFailedPrecondition, Reason::kTopicCreationRefused,
            fmt::format("{} ({}) takes no orders to create topics: create {} with {} partitions",
                        endpoint, profile.name, name, topic.partitions)}});
    } else if (profile.create_partitions) {
      to_grow.push_back(topic);
    } else {
      refusals.push_back(
          {name,
           {StatusCode::kFailedPrecondition, Reason::kTargetPartitionsMissing,
            fmt::format("the topic {} of {} has {} partitions and needs {}, and {} cannot add any: "
                        "make a topic with {}, and name it in target.topic",
                        name, endpoint, present, topic.partitions, profile.name,
                        topic.partitions)}});
    }
  }
  std::ranges::move(CreateTopics(*target_, std::move(to_create), patience),
                    std::back_inserter(refusals));
  std::ranges::move(GrowTopics(*target_, to_grow, patience), std::back_inserter(refusals));
  NoteRefusals(result, refusals);
  for (const auto& [name, topic] : wanted) {
    const bool is_refused =
        std::ranges::find(refusals, name, &TopicRefusal::topic) != refusals.end();
    const int present = target_->topics().find(name)->second.partitions();
    const int expected = is_refused ? present : std::max(present, topic.partitions);
    const int settled = has_seen_target_ ? std::min(settled_[name], present) : present;
    for (int i = settled; i < expected; ++i) awaited_.insert({name, i});
    settled_[name] = expected;
  }
  has_seen_target_ = true;
  AwaitTarget(patience.Within(kAwaitPatience));
}

void KafkaSurveyor::AwaitTarget(const Patience& patience) {
  while (!awaited_.empty()) {
    std::set<std::string> names;
    for (const auto& [name, partition] : awaited_) names.insert(name);
    if (Status seen = target_->LookUp({names.begin(), names.end()}, patience); !seen.ok()) return;
    const std::vector<TopicPartition> asked(awaited_.begin(), awaited_.end());
    for (const auto& [partition, end] : target_->OffsetsAt(asked, ClusterView::kLogEnd, patience)) {
      awaited_.erase(partition);
    }
    if (!patience.Wait(kAwaitPause)) return;
  }
}

// While the target cannot be seen, it is taken to be as it was.
void KafkaSurveyor::ReadTarget(SurveyResult& result, const Patience& patience) {
  std::vector<std::string> names;
  for (SurveyedTopic& topic : result.topics) {
    const TopicView* const target = target_->Find(topic.target_topic);
    if (target == nullptr) continue;
    names.push_back(topic.target_topic);
    topic.target_partitions = target->partitions();
    std::vector<PartitionNumber> silent;
    for (SurveyedPartition& one : topic.partitions) {
      const bool is_awaited = awaited_.contains({topic.target_topic, one.partition});
      one.is_target_ready = one.partition < target->partitions() && !is_awaited;
      if (is_awaited) silent.push_back(one.partition);
    }
    NoteSilent(result, Side::kTarget, topic.topic, *target_, topic.target_topic, silent);
  }
  if (!is_target_seen_) return;
  target_->ReadSettings(names, patience);
  for (const SurveyedTopic& topic : result.topics) {
    const TopicSettings& settings = target_->SettingsOf(topic.target_topic);
    const auto type = settings.find("message.timestamp.type");
    if (type == settings.end() || type->second != "LogAppendTime") continue;
    Note(result, Side::kTarget,
         {StatusCode::kFailedPrecondition, Reason::kTimestampRewritten,
          fmt::format("the topic {} of {} replaces the records' times by its own: set its "
                      "message.timestamp.type to CreateTime",
                      topic.target_topic, target_->endpoint().name)},
         false, topic.topic);
  }
}

}  // namespace drawbridge
