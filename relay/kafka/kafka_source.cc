#include "relay/kafka/kafka_source.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/log.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.kafka");

// A client that has had no success for this long is made anew: it may know addresses only that
// nobody answers at any more.
constexpr Duration kDeadAfter = 5min;
constexpr Duration kReconnectAfter = 1s;

// ListOffsets' own words for the two ends of a log.
constexpr int64_t kLatest = -1;
constexpr int64_t kEarliest = -2;
constexpr int kAskTimeoutMs = 1000;

// Not in the header of 2.0.2; newer libraries report it.
constexpr int kLogTruncation = -139;

Record ToRecord(EventHandle event, const rd_kafka_message_t& message) {
  Record record;
  record.offset = {message.offset};
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const int64_t timestamp = rd_kafka_message_timestamp(&message, &type);
  if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE) record.timestamp_ms = timestamp;
  if (message.key != nullptr) record.key.emplace(static_cast<char*>(message.key), message.key_len);
  if (message.payload != nullptr) {
    record.value.emplace(static_cast<char*>(message.payload), message.len);
  }
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const size_t count = rd_kafka_header_cnt(headers);
    auto views = std::make_unique<Header[]>(count);
    for (size_t i = 0; i < count; ++i) {
      const char* name = nullptr;
      const void* value = nullptr;
      size_t size = 0;
      if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        break;
      }
      views[i].name = name;
      if (value != nullptr) views[i].value.emplace(static_cast<const char*>(value), size);
    }
    record.headers = {views.get(), count};
    record.header_storage = std::move(views);
  }
  record.owner = RecordOwner(event.release(), [](void* owner) {
    rd_kafka_event_destroy(static_cast<rd_kafka_event_t*>(owner));
  });
  return record;
}

std::optional<Offset> KnownOffset(int64_t value) {
  return value >= 0 ? std::optional(Offset{value}) : std::nullopt;
}

}  // namespace

StatusOr<std::unique_ptr<KafkaSource>> KafkaSource::Open(KafkaCluster cluster, std::string group,
                                                         KafkaBudget budget, Reaper& reaper,
                                                         const Clock& clock) {
  std::unique_ptr<KafkaSource> source(
      new KafkaSource(std::move(cluster), std::move(group), budget, reaper, clock));
  if (Status connected = source->Connect(); !connected.ok()) return connected;
  return source;
}

KafkaSource::KafkaSource(KafkaCluster cluster, std::string group, KafkaBudget budget,
                         Reaper& reaper, const Clock& clock)
    : cluster_(std::move(cluster)),
      group_(std::move(group)),
      budget_(budget),
      reaper_(reaper),
      clock_(clock),
      trouble_(Side::kSource, ContextOf(cluster_)),
      identity_(Side::kSource, cluster_) {}

KafkaSource::~KafkaSource() {
  consumer_queue_.reset();
  main_queue_.reset();
  if (client_) reaper_.Destroy(std::move(client_));
}

Status KafkaSource::Connect() {
  StatusOr<ClientHandle> client = CreateConsumer(cluster_, group_, budget_);
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  connected_at_ = clock_.Now();
  identity_.Reset(connected_at_);
  main_queue_.reset(rd_kafka_queue_get_main(client_.get()));
  consumer_queue_.reset(rd_kafka_queue_get_consumer(client_.get()));
  StatusOr<FileDescriptor> main_wake = WakeOn(main_queue_.get());
  if (!main_wake.ok()) return main_wake.status();
  StatusOr<FileDescriptor> consumer_wake = WakeOn(consumer_queue_.get());
  if (!consumer_wake.ok()) return consumer_wake.status();
  main_wake_ = *std::move(main_wake);
  consumer_wake_ = *std::move(consumer_wake);
  return {};
}

std::vector<int> KafkaSource::descriptors() const {
  std::vector<int> all{main_wake_.get(), consumer_wake_.get()};
  if (identity_.descriptor() >= 0) all.push_back(identity_.descriptor());
  return all;
}

bool KafkaSource::MayRead() {
  const bool was_other = identity_.is_other();
  identity_.Look(client_, trouble_.last_success(), clock_.Now());
  // What is assigned stays with us: a client that reaches the right cluster reads it.
  if (identity_.is_other() && !was_other) rd_kafka_assign(client_.get(), nullptr);
  return identity_.is_right();
}

// --- Positions ----------------------------------------------------------------------------------

Status KafkaSource::AssignInLibrary(const Reading& reading) {
  if (!client_) return {StatusCode::kUnavailable, Reason::kUnreachable, "no client for the source"};
  if (identity_.is_other()) return {};  // the next client does it
  const PartitionListHandle list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), reading.name.first.c_str(), reading.name.second)
      ->offset = reading.position.value;
  const ErrorHandle error(rd_kafka_incremental_assign(client_.get(), list.get()));
  if (!error) return {};
  return ToStatus(rd_kafka_error_code(error.get()), rd_kafka_error_string(error.get()),
                  trouble_.context());
}

Status KafkaSource::Assign(Slot slot, const Route& route, Offset from, uint32_t fetch) {
  Unassign(slot);
  Reading& reading = readings_[slot];
  if (reading.name.first != route.source_topic || reading.name.second != route.partition) {
    reading = {};
    reading.name = {route.source_topic, route.partition};
  }
  reading.fetch = fetch;
  reading.position = from;
  if (Status assigned = AssignInLibrary(reading); !assigned.ok()) return assigned;
  reading.is_assigned = true;
  slots_[reading.name] = slot;
  last_topic_ = nullptr;
  return {};
}

void KafkaSource::Unassign(Slot slot) {
  const auto found = readings_.find(slot);
  if (found == readings_.end() || !found->second.is_assigned) return;
  Reading& reading = found->second;
  reading.is_assigned = false;
  slots_.erase(reading.name);
  last_topic_ = nullptr;
  if (!client_ || identity_.is_other()) return;
  const PartitionListHandle list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), reading.name.first.c_str(), reading.name.second);
  const ErrorHandle error(rd_kafka_incremental_unassign(client_.get(), list.get()));
  if (error) {
    kLog.Warn("unassign failed", {{"topic", reading.name.first},
                                  {"partition", reading.name.second},
                                  {"text", rd_kafka_error_string(error.get())}});
  }
}

KafkaSource::Reading* KafkaSource::Find(const TopicPartition& name, Slot& slot) {
  const auto found = slots_.find(name);
  if (found == slots_.end()) return nullptr;
  slot = found->second;
  return &readings_[slot];
}

KafkaSource::Reading* KafkaSource::Find(const rd_kafka_topic_t* topic, PartitionNumber partition,
                                        Slot& slot) {
  if (topic == last_topic_ && partition == last_partition_) {
    slot = last_slot_;
    return &readings_[slot];
  }
  Reading* const reading = Find({rd_kafka_topic_name(topic), partition}, slot);
  if (reading == nullptr) return nullptr;
  last_topic_ = topic;
  last_partition_ = partition;
  last_slot_ = slot;
  return reading;
}

// --- What arrives -------------------------------------------------------------------------------

void KafkaSource::Poll(size_t bytes_max, std::vector<SourceEvent>& events) {
  if (!consumer_queue_ || !MayRead()) return;  // or between two attempts to make the client anew
  const size_t before = events.size();
  size_t bytes = 0;
  while (bytes < bytes_max) {
    EventHandle event(rd_kafka_queue_poll(consumer_queue_.get(), 0));
    if (!event) break;
    Take(std::move(event), events, bytes);
  }
  AskWhereLogsAre(events);
  if (events.size() > before) trouble_.Succeeded(clock_.Now());
}

void KafkaSource::Take(EventHandle event, std::vector<SourceEvent>& events, size_t& bytes) {
  if (rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_FETCH) {
    TakeError(event.get(), events);
    return;
  }
  const rd_kafka_message_t* const message = rd_kafka_event_message_next(event.get());
  if (message == nullptr) return;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    // None is known to come this way; passing over one would lose its record.
    Slot failed = 0;
    if (const Reading* const reading = Find(message->rkt, message->partition, failed)) {
      events.emplace_back(SourceFault{
          .slot = failed,
          .fetch = reading->fetch,
          .status = ToStatus(message->err, rd_kafka_message_errstr(message), trouble_.context())});
    }
    return;
  }
  Slot slot = 0;
  Reading* const reading = Find(message->rkt, message->partition, slot);
  if (reading == nullptr || message->offset < reading->position.value) return;

  auto* batch = events.empty() ? nullptr : std::get_if<Batch>(&events.back());
  if (batch == nullptr || batch->slot != slot) {
    reading->seen_at = clock_.Now();
    events.emplace_back(Batch{.slot = slot,
                              .fetch = reading->fetch,
                              .from = reading->position,
                              .read_to = reading->position,
                              .records = {}});
    batch = &std::get<Batch>(events.back());
  }
  batch->records.push_back(ToRecord(std::move(event), *message));
  const Record& record = batch->records.back();
  bytes += record.bytes() + 64;
  batch->read_to = reading->position = Next(record.offset);
}

void KafkaSource::TakeError(rd_kafka_event_t* event, std::vector<SourceEvent>& events) {
  const rd_kafka_resp_err_t error = rd_kafka_event_error(event);
  const std::string text = TextOf(event, client_.get());
  const TopicPartitionHandle about(rd_kafka_event_topic_partition(event));
  Slot slot = 0;
  Reading* const reading =
      about && about->topic != nullptr ? Find({about->topic, about->partition}, slot) : nullptr;
  if (reading == nullptr || !identity_.is_right()) {
    trouble_.Note(error, text, clock_.Now());
    return;
  }
  if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    reading->seen_at = clock_.Now();
    const Offset at{std::max(about->offset, reading->position.value)};
    const bool is_behind = about->offset < reading->position.value;
    if (!is_behind) reading->position = at;
    events.emplace_back(EndOfPartition{
        .slot = slot, .fetch = reading->fetch, .at = {is_behind ? about->offset : at.value}});
  } else if (error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
             error == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
    const Offset asked{about->offset >= 0 ? about->offset : reading->position.value};
    astray_[slot] = {.fetch = reading->fetch, .asked = asked, .log_start = std::nullopt};
  } else if (static_cast<int>(error) == kLogTruncation) {
    events.emplace_back(
        SourceFault{.slot = slot,
                    .fetch = reading->fetch,
                    .status = {StatusCode::kFailedPrecondition, Reason::kSourceChanged,
                               fmt::format("the topic's log was truncated ({})", text)},
                    .halts = true});
  } else if (!IsNoise(error)) {
    events.emplace_back(SourceFault{.slot = slot,
                                    .fetch = reading->fetch,
                                    .status = ToStatus(error, text, trouble_.context()),
                                    .halts = false});
  }
}

// The one question that a lane waits for, and for one answer at a time however many partitions are
// out of range: neighbours move in between. rd_kafka_query_watermark_offsets may not return at all
// before 2.3.0.
//
// What the library remembers of the log's ends may be older than the answer that brought us here,
// and after a first fetch out of range it remembers nothing. The log's end matters only where its
// start does not explain it all.
void KafkaSource::AskWhereLogsAre(std::vector<SourceEvent>& events) {
  std::erase_if(astray_, [this](const auto& entry) {
    const Reading& reading = readings_[entry.first];
    return !reading.is_assigned || reading.fetch != entry.second.fetch;
  });
  if (astray_.empty()) return;
  std::vector<Slot> of_start;
  std::vector<Slot> of_end;
  for (const auto& [slot, astray] : astray_) {
    (astray.log_start ? of_end : of_start).push_back(slot);
  }
  const bool asks_start = !of_start.empty();
  const std::vector<Slot>& asked = asks_start ? of_start : of_end;
  const std::map<Slot, Offset> answers = AskOffsets(asked, asks_start ? kEarliest : kLatest);
  for (const Slot slot : asked) {
    Astray& astray = astray_[slot];
    const auto found = answers.find(slot);
    const auto answer = found == answers.end() ? std::nullopt : std::optional(found->second);
    if (asks_start && answer && *answer <= astray.asked) {
      astray.log_start = answer;  // its end is the next question
      continue;
    }
    events.emplace_back(OutOfRange{.slot = slot,
                                   .fetch = astray.fetch,
                                   .asked = astray.asked,
                                   .log_start = asks_start ? answer : astray.log_start,
                                   .log_end = asks_start ? std::nullopt : answer});
    astray_.erase(slot);
  }
  // Whoever waits comes again with the next question.
  constexpr uint64_t kOne = 1;
  if (!astray_.empty()) std::ignore = write(consumer_wake_.get(), &kOne, sizeof kOne);
}

// No answer at all if one of them has no leader.
std::map<Slot, Offset> KafkaSource::AskOffsets(const std::vector<Slot>& slots, int64_t which) {
  const PartitionListHandle list(rd_kafka_topic_partition_list_new(static_cast<int>(slots.size())));
  for (const Slot slot : slots) {
    const TopicPartition& name = readings_[slot].name;
    rd_kafka_topic_partition_list_add(list.get(), name.first.c_str(), name.second)->offset = which;
  }
  std::map<Slot, Offset> answers;
  const auto error = rd_kafka_offsets_for_times(client_.get(), list.get(), kAskTimeoutMs);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return answers;
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& answer = list->elems[i];
    const auto found = slots_.find({answer.topic, answer.partition});
    if (answer.err != RD_KAFKA_RESP_ERR_NO_ERROR || answer.offset < 0 || found == slots_.end()) {
      continue;
    }
    answers[found->second] = Offset{answer.offset};
  }
  return answers;
}

void KafkaSource::Serve(std::vector<SourceEvent>& events) {
  while (main_queue_) {
    const EventHandle event{rd_kafka_queue_poll(main_queue_.get(), 0)};
    if (!event) break;
    switch (rd_kafka_event_type(event.get())) {
      case RD_KAFKA_EVENT_STATS:
        TakeStatistics(rd_kafka_event_stats(event.get()));
        break;
      case RD_KAFKA_EVENT_ERROR:
        TakeError(event.get(), events);
        break;
      default:
        break;
    }
  }
  if (client_) MayRead();  // somebody must hear of it, whether or not records are wanted
  RebuildIfDead(events);
}

// Every few seconds: what the library knows of logs, and when each broker last said something. On a
// partition that is read to its end nothing else tells that the source is still there.
void KafkaSource::TakeStatistics(const char* text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return;
  const BootTime now = clock_.Now();
  std::map<int64_t, BootTime> answered;  // by broker
  for (const auto& broker : json.value("brokers", nlohmann::json::object())) {
    const int64_t idle_us = broker.value("rxidle", int64_t{-1});
    if (broker.value("state", "") != "UP" || idle_us < 0) continue;
    answered[broker.value("nodeid", int64_t{-1})] = now - std::chrono::microseconds(idle_us);
  }
  if (!answered.empty() &&
      std::ranges::any_of(answered, [&](const auto& seen) { return now - seen.second < 5s; })) {
    trouble_.Succeeded(now);
  }
  if (!identity_.is_right()) return;
  const auto topics = json.value("topics", nlohmann::json::object());
  for (auto& [slot, reading] : readings_) {
    if (!reading.is_assigned || !topics.contains(reading.name.first)) continue;
    const auto partitions =
        topics[reading.name.first].value("partitions", nlohmann::json::object());
    const auto found = partitions.find(std::to_string(reading.name.second));
    if (found == partitions.end()) continue;
    reading.log_start = KnownOffset(found->value("lo_offset", int64_t{-1}));
    reading.log_end = KnownOffset(found->value("ls_offset", int64_t{-1}));
    const auto leader = answered.find(found->value("leader", int64_t{-1}));
    if (leader != answered.end() && reading.seen_at.value_or(BootTime{}) < leader->second) {
      reading.seen_at = leader->second;
    }
  }
}

void KafkaSource::RebuildIfDead(std::vector<SourceEvent>& events) {
  const BootTime now = clock_.Now();
  const BootTime alive_at = std::max(trouble_.last_success().value_or(BootTime{}), connected_at_);
  const bool is_dead = client_ ? now - alive_at >= kDeadAfter && trouble_.At(now)
                               : now - alive_at >= kReconnectAfter;
  const bool is_elsewhere = client_ && identity_.IsWorthAnother(now);
  if (!is_dead && !is_elsewhere) return;
  kLog.Warn("source client is made anew", {{"endpoint", cluster_.endpoint.name}});
  consumer_queue_.reset();
  main_queue_.reset();
  if (client_) reaper_.Destroy(std::move(client_));
  last_topic_ = nullptr;
  connected_at_ = now;
  if (Status connected = Connect(); !connected.ok()) {
    kLog.Error("source client cannot be made", {{"text", connected.message()}});
    return;
  }
  for (auto& [slot, reading] : readings_) {
    if (!reading.is_assigned) continue;
    Status assigned = AssignInLibrary(reading);
    if (assigned.ok()) continue;
    reading.is_assigned = false;
    slots_.erase(reading.name);
    events.emplace_back(SourceFault{
        .slot = slot, .fetch = reading.fetch, .status = std::move(assigned), .halts = false});
  }
}

LogView KafkaSource::View(Slot slot) const {
  const auto found = readings_.find(slot);
  if (found == readings_.end()) return {};
  const Reading& reading = found->second;
  LogView view{.start = reading.log_start, .end = reading.log_end};
  // What has been read is at least as far as the log goes.
  if (reading.is_assigned && view.end) view.end = std::max(*view.end, reading.position);
  return view;
}

std::optional<Duration> KafkaSource::SinceSeen(Slot slot, BootTime now) const {
  const auto found = readings_.find(slot);
  if (found == readings_.end() || !found->second.seen_at) return std::nullopt;
  return std::max<Duration>(Duration::zero(), now - *found->second.seen_at);
}

std::optional<Condition> KafkaSource::Trouble() const {
  if (std::optional<Condition> other = identity_.Trouble()) return other;
  return trouble_.At(clock_.Now());
}

}  // namespace drawbridge
