#include "relay/kafka/cluster_view.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.kafka");

constexpr Duration kReconnectAfter = 1min;
// The first connection has time for this, unless the other end refuses it in so many words.
constexpr std::array<Duration, 4> kMetadataSlices{1s, 1s, 2s, 4s};
constexpr Duration kOffsetsSlice = 3s;
// For the partitions of one broker, when asking for all at once has failed.
constexpr Duration kBrokerSlice = 1s;
constexpr Duration kAdminSlice = 200ms;
constexpr Duration kSettingsPatience = 3s;
constexpr Duration kSettingsAge = 1min;
constexpr int kSettingsAttempts = 3;
constexpr size_t kSettingsBatch = 200;

// Refusals that another attempt of the same client will meet again.
bool IsRefusal(Reason reason) {
  switch (reason) {
    case Reason::kTlsUntrusted:
    case Reason::kTlsCertificateExpired:
    case Reason::kTlsClientCertificateRequired:
    case Reason::kTlsFailed:
    case Reason::kAuthenticationFailed:
    case Reason::kScramUnsupported:
      return true;
    default:
      return false;
  }
}

}  // namespace

TopicView ViewOf(const rd_kafka_metadata_topic_t& topic) {
  TopicView view{.error = topic.err, .leaders = {}};
  view.leaders.resize(static_cast<size_t>(std::max(0, topic.partition_cnt)), -1);
  for (int i = 0; i < topic.partition_cnt; ++i) {
    const rd_kafka_metadata_partition_t& partition = topic.partitions[i];
    if (partition.id < 0 || partition.id >= topic.partition_cnt) continue;
    view.leaders[static_cast<size_t>(partition.id)] = partition.leader;
  }
  return view;
}

StatusOr<std::unique_ptr<ClusterView>> ClusterView::Open(KafkaCluster cluster, Side side,
                                                         Reaper& reaper, const Clock& clock) {
  std::unique_ptr<ClusterView> view(new ClusterView(std::move(cluster), side, reaper, clock));
  if (Status connected = view->Connect(); !connected.ok()) return connected;
  return view;
}

ClusterView::ClusterView(KafkaCluster cluster, Side side, Reaper& reaper, const Clock& clock)
    : cluster_(std::move(cluster)),
      reaper_(reaper),
      clock_(clock),
      trouble_(side, ContextOf(cluster_)) {}

ClusterView::~ClusterView() { Disconnect(); }

Status ClusterView::Connect() {
  StatusOr<ClientHandle> client = CreateObserver(cluster_);
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  main_queue_.reset(rd_kafka_queue_get_main(client_.get()));
  connected_at_ = clock_.Now();
  is_suspect_ = false;
  return {};
}

Status ClusterView::ConnectAnew() {
  if (client_ && (!is_suspect_ || clock_.Now() - connected_at_ < kReconnectAfter)) return {};
  Disconnect();
  return Connect();
}

void ClusterView::Disconnect() {
  main_queue_.reset();
  if (client_) reaper_.Destroy(std::move(client_));
}

// --- Errors -------------------------------------------------------------------------------------

void ClusterView::TakeErrors() {
  while (const EventHandle event{rd_kafka_queue_poll(main_queue_.get(), 0)}) {
    if (rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_ERROR) continue;
    const rd_kafka_resp_err_t error = rd_kafka_event_error(event.get());
    if (IsNoise(error)) continue;
    is_suspect_ = true;
    trouble_.Note(error, TextOf(event.get(), client_.get()), clock_.Now());
  }
  if (const std::string text = TakeDisconnect(client_.get()); !text.empty()) {
    is_suspect_ = true;
    trouble_.Note(RD_KAFKA_RESP_ERR__TRANSPORT, text, clock_.Now());
  }
}

// What the connections met says more than the call that found none.
Status ClusterView::Failure(rd_kafka_resp_err_t error, std::string_view text) {
  TakeErrors();
  is_suspect_ = true;
  Status status = ToStatus(error, text, trouble_.context());
  if (error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__TIMED_OUT ||
      error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
    status = trouble_.error().value_or(
        Status(StatusCode::kUnavailable, Reason::kUnreachable,
               fmt::format("nobody answers at {}: check the addresses, and the firewalls between",
                           fmt::join(cluster_.endpoint.kafka().bootstrap, ", "))));
  }
  return {status.code(), status.reason(),
          fmt::format("{}: {}", cluster_.endpoint.name, status.message())};
}

// --- Metadata -----------------------------------------------------------------------------------

StatusOr<MetadataHandle> ClusterView::Metadata(bool is_all, const Patience& patience) {
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
  for (size_t i = 0; !patience.is_over(); ++i) {
    const Duration slice = kMetadataSlices.at(std::min(i, kMetadataSlices.size() - 1));
    const rd_kafka_metadata_t* metadata = nullptr;
    error = rd_kafka_metadata(client_.get(), is_all ? 1 : 0, nullptr, &metadata,
                              patience.Milliseconds(slice));
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      TakeErrors();
      trouble_.Succeeded(clock_.Now());
      return MetadataHandle(metadata);
    }
    TakeErrors();
    // A second slice: one of several brokers may be all right.
    if (i >= 1 && trouble_.error() && IsRefusal(trouble_.error()->reason())) break;
  }
  if (patience.is_stopped()) return Status(StatusCode::kCancelled, "stopped");
  return Failure(error, rd_kafka_err2str(error));
}

void ClusterView::TakeMetadata(const rd_kafka_metadata_t& metadata) {
  brokers_ = metadata.broker_cnt;
  for (int i = 0; i < metadata.topic_cnt; ++i) {
    const rd_kafka_metadata_topic_t& topic = metadata.topics[i];
    topics_[topic.topic] = ViewOf(topic);
  }
}

Status ClusterView::Refresh(const Patience& patience) {
  if (Status connected = ConnectAnew(); !connected.ok()) return connected;
  StatusOr<MetadataHandle> metadata = Metadata(true, patience);
  if (!metadata.ok()) return metadata.status();
  topics_.clear();
  TakeMetadata(**metadata);
  std::erase_if(settings_, [&](const auto& known) { return !topics_.contains(known.first); });

  cluster_id_ = cluster_.endpoint.kafka().cluster_key;
  if (cluster_id_.empty()) {
    char* const id = rd_kafka_clusterid(client_.get(), 0);
    if (id != nullptr) {
      cluster_id_ = id;
      rd_kafka_mem_free(client_.get(), id);
    }
  }
  return {};
}

Status ClusterView::LookUp(const std::vector<std::string>& names, const Patience& patience) {
  if (names.empty()) return {};
  // Without "all" the library asks for the topics that it has a handle of.
  std::vector<TopicHandle> handles;
  handles.reserve(names.size());
  for (const std::string& name : names) {
    handles.emplace_back(rd_kafka_topic_new(client_.get(), name.c_str(), nullptr));
  }
  StatusOr<MetadataHandle> metadata = Metadata(false, patience);
  if (!metadata.ok()) return metadata.status();
  for (const std::string& name : names) {
    topics_[name] = {.error = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, .leaders = {}};
  }
  TakeMetadata(**metadata);
  return {};
}

const TopicView* ClusterView::Find(std::string_view topic) const {
  const auto found = topics_.find(topic);
  return found == topics_.end() || found->second.partitions() == 0 ? nullptr : &found->second;
}

// --- Offsets ------------------------------------------------------------------------------------

rd_kafka_resp_err_t ClusterView::AskOffsets(const std::vector<TopicPartition>& partitions,
                                            int64_t time_ms, int timeout_ms,
                                            std::map<TopicPartition, int64_t>& answers) {
  const PartitionListHandle list(
      rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const auto& [topic, partition] : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = time_ms;
  }
  const rd_kafka_resp_err_t error =
      rd_kafka_offsets_for_times(client_.get(), list.get(), timeout_ms);
  TakeErrors();
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return error;
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& answer = list->elems[i];
    // One that nobody answered for still holds the question.
    const bool is_answered =
        time_ms < 0 ? answer.offset >= 0 : answer.offset >= -1 && answer.offset != time_ms;
    if (answer.err != RD_KAFKA_RESP_ERR_NO_ERROR || !is_answered) continue;
    answers[{answer.topic, answer.partition}] = answer.offset;
  }
  return error;
}

std::map<TopicPartition, int64_t> ClusterView::OffsetsAt(
    const std::vector<TopicPartition>& partitions, int64_t time_ms, const Patience& patience) {
  std::map<TopicPartition, int64_t> answers;
  // The library gives no answer at all if one leader is missing.
  std::vector<TopicPartition> led;
  std::map<int32_t, std::vector<TopicPartition>> by_leader;
  for (const TopicPartition& partition : partitions) {
    const TopicView* const topic = Find(partition.first);
    const auto number = static_cast<size_t>(partition.second);
    if (topic == nullptr || number >= topic->leaders.size() || topic->leaders[number] < 0) continue;
    led.push_back(partition);
    by_leader[topic->leaders[number]].push_back(partition);
  }
  if (led.empty() || patience.is_over()) return answers;
  const rd_kafka_resp_err_t error =
      AskOffsets(led, time_ms, patience.Milliseconds(kOffsetsSlice), answers);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR || by_leader.size() == 1) return answers;
  for (const auto& [leader, share] : by_leader) {
    if (patience.is_over()) break;
    AskOffsets(share, time_ms, patience.Milliseconds(kBrokerSlice), answers);
  }
  return answers;
}

// --- Administration -----------------------------------------------------------------------------

EventHandle ClusterView::Await(rd_kafka_queue_t* answers, const Patience& patience) {
  EventHandle answer;
  while (!answer && !patience.is_over()) {
    answer.reset(rd_kafka_queue_poll(answers, patience.Milliseconds(kAdminSlice)));
  }
  TakeErrors();
  return answer;
}

void ClusterView::AskSettings(const std::vector<std::string>& names, const Patience& patience) {
  std::vector<ConfigResourceHandle> resources;
  std::vector<rd_kafka_ConfigResource_t*> pointers;
  for (const std::string& name : names) {
    resources.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
    pointers.push_back(resources.back().get());
  }
  const AdminOptionsHandle options(
      rd_kafka_AdminOptions_new(client_.get(), RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS));
  std::array<char, 256> ignored{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), patience.Milliseconds(kSettingsPatience),
                                            ignored.data(), ignored.size());
  const QueueHandle answers(rd_kafka_queue_new(client_.get()));
  rd_kafka_DescribeConfigs(client_.get(), pointers.data(), pointers.size(), options.get(),
                           answers.get());
  const EventHandle answer = Await(answers.get(), patience.Within(kSettingsPatience + 500ms));
  if (!answer) return;
  const rd_kafka_resp_err_t error = rd_kafka_event_error(answer.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    const bool is_refusal =
        static_cast<int>(error) > 0 || error == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
    kLog.Debug("configuration cannot be read",
               {{"endpoint", cluster_.endpoint.name},
                {"text", rd_kafka_event_error_string(answer.get())}});
    if (is_refusal) {
      for (const std::string& name : names) settings_[name].is_answered = true;
    }
    return;
  }
  size_t count = 0;
  const rd_kafka_ConfigResource_t** const described = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(answer.get()), &count);
  for (size_t i = 0; i < count; ++i) {
    Settings& known = settings_[rd_kafka_ConfigResource_name(described[i])];
    known.is_answered = true;
    if (rd_kafka_ConfigResource_error(described[i]) != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    known.values.clear();
    size_t entry_count = 0;
    const rd_kafka_ConfigEntry_t** const entries =
        rd_kafka_ConfigResource_configs(described[i], &entry_count);
    for (size_t j = 0; j < entry_count; ++j) {
      const char* const value = rd_kafka_ConfigEntry_value(entries[j]);
      if (value != nullptr) known.values[rd_kafka_ConfigEntry_name(entries[j])] = value;
    }
  }
}

void ClusterView::ReadSettings(const std::vector<std::string>& names, const Patience& patience) {
  const BootTime now = clock_.Now();
  std::vector<std::string> wanted;
  for (const std::string& name : names) {
    Settings& known = settings_[name];
    const bool is_fresh = now - known.asked_at < kSettingsAge;
    const bool is_named_twice = known.attempts > 0 && known.asked_at == now;
    if (is_named_twice || (is_fresh && HasAnsweredFor(name))) continue;
    known.asked_at = now;
    ++known.attempts;
    wanted.push_back(name);
  }
  for (size_t from = 0; from < wanted.size() && !patience.is_over(); from += kSettingsBatch) {
    const auto begin = wanted.begin() + static_cast<ptrdiff_t>(from);
    const auto size = static_cast<ptrdiff_t>(std::min(kSettingsBatch, wanted.size() - from));
    AskSettings({begin, begin + size}, patience);
  }
}

const TopicSettings& ClusterView::SettingsOf(std::string_view topic) const {
  static const TopicSettings kNone;
  const auto found = settings_.find(topic);
  return found == settings_.end() ? kNone : found->second.values;
}

bool ClusterView::HasAnsweredFor(std::string_view topic) const {
  const auto found = settings_.find(topic);
  if (found == settings_.end()) return false;
  return found->second.is_answered || found->second.attempts >= kSettingsAttempts;
}

}  // namespace drawbridge
