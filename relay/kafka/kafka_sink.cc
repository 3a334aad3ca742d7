#include "relay/kafka/kafka_sink.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.kafka");

constexpr Duration kReconnectAfter = 1s;
constexpr Duration kDrainPatience = 5s;

// A topic may take records that are as large as its batches may be, and no larger batch.
constexpr int64_t kBatchBytesLeast = 8 << 10;
constexpr int64_t kBatchStep = 8;
// When larger ones are tried again: somebody may have mended the topic, or the bridge has left it.
constexpr Duration kGrowFirst = 10min;
constexpr Duration kGrowMost = 6h;

bool IsPurge(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR__PURGE_QUEUE || error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
         error == RD_KAFKA_RESP_ERR__FATAL || error == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE;
}

}  // namespace

struct KafkaSink::InFlight {
  Slot slot = 0;
  uint32_t window = 0;
  OffsetRange covered;
  size_t weight = 0;
  RecordOwner owner{nullptr, [](void*) {}};
  InFlight* next_free = nullptr;
};

StatusOr<std::unique_ptr<KafkaSink>> KafkaSink::Open(KafkaCluster cluster, Compression compression,
                                                     KafkaBudget budget, Reaper& reaper,
                                                     const Clock& clock) {
  std::unique_ptr<KafkaSink> sink(
      new KafkaSink(std::move(cluster), compression, budget, reaper, clock));
  if (Status connected = sink->Connect(); !connected.ok()) return connected;
  return sink;
}

KafkaSink::KafkaSink(KafkaCluster cluster, Compression compression, KafkaBudget budget,
                     Reaper& reaper, const Clock& clock)
    : cluster_(std::move(cluster)),
      compression_(compression),
      budget_(budget),
      reaper_(reaper),
      clock_(clock),
      trouble_(Side::kTarget, ContextOf(cluster_)),
      identity_(Side::kTarget, cluster_),
      grow_after_(kGrowFirst) {}

KafkaSink::~KafkaSink() {
  if (!client_) return;
  // Reports hold records of the source's client: they come back before either ends, but for what a
  // request holds that is stuck on its way.
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  std::vector<Confirmation> nobody_waits;
  const BootTime deadline = clock_.Now() + 5s;
  while (watch_.in_flight() > 0 && clock_.Now() < deadline) {
    const EventHandle event(rd_kafka_queue_poll(queue_.get(), 100));
    if (event && rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_DR) {
      TakeReports(event.get(), nobody_waits);
    }
  }
  topics_.clear();
  queue_.reset();
  reaper_.Destroy(std::move(client_));
}

Status KafkaSink::Connect() {
  StatusOr<ClientHandle> client = CreateProducer(cluster_, compression_, batch_bytes_, budget_);
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  queue_.reset(rd_kafka_queue_get_main(client_.get()));
  StatusOr<FileDescriptor> wake = WakeOn(queue_.get());
  if (!wake.ok()) return wake.status();
  wake_ = *std::move(wake);
  identity_.Reset(clock_.Now());
  is_ending_ = false;
  drain_.reset();
  for (Writing& writing : writings_) {
    if (!writing.topic.empty()) writing.handle = TopicOf(writing.topic);
  }
  return {};
}

rd_kafka_topic_t* KafkaSink::TopicOf(const std::string& name) {
  TopicHandle& topic = topics_[name];
  if (!topic) topic.reset(rd_kafka_topic_new(client_.get(), name.c_str(), nullptr));
  return topic.get();
}

Status KafkaSink::Open(Slot slot, const Route& route) {
  if (writings_.size() <= slot) writings_.resize(slot + 1);
  Writing& writing = writings_[slot];
  if (writing.topic != route.target_topic || writing.partition != route.partition) {
    watch_.Reset(slot);
  }
  writing = {};
  writing.topic = route.target_topic;
  writing.partition = route.partition;
  writing.source_cluster = route.source_cluster;
  writing.stamps_provenance = route.stamps_provenance;
  writing.stamp.emplace(route.source_cluster, static_cast<uint16_t>(route.source_epoch),
                        route.partition, TopicKeyOf(route.source_topic));
  if (!client_) return {};
  writing.handle = TopicOf(route.target_topic);
  if (writing.handle != nullptr) return {};
  return {StatusCode::kInvalidArgument, Reason::kFieldInvalid,
          fmt::format("librdkafka refuses the topic {}", route.target_topic)};
}

// --- Out ----------------------------------------------------------------------------------------

HeadersHandle KafkaSink::HeadersFor(Writing& writing, const Record& record) {
  if (record.headers.empty() && !writing.stamps_provenance) return nullptr;
  HeadersHandle headers(rd_kafka_headers_new(record.headers.size() + 1));
  std::optional<size_t> origin_at;  // the last header that is an origin of ours
  std::optional<Provenance> origin;
  if (writing.stamps_provenance) {
    for (size_t i = 0; i < record.headers.size(); ++i) {
      const Header& header = record.headers[i];
      if (header.name != kProvenanceHeader || !header.value) continue;
      if (auto decoded = Provenance::Decode(*header.value)) {
        origin = std::move(decoded);
        origin_at = i;
      }
    }
  }
  const auto add = [&](std::string_view name, std::optional<std::string_view> value) {
    // A null value is a null pointer; an empty one must not be.
    const char* const data = value ? (value->data() == nullptr ? "" : value->data()) : nullptr;
    rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()), data,
                        value ? static_cast<ssize_t>(value->size()) : 0);
  };
  for (size_t i = 0; i < record.headers.size(); ++i) {
    if (origin_at == i) continue;  // it follows, with this hop
    add(record.headers[i].name, record.headers[i].value);
  }
  if (origin) {
    origin->passed.push_back(writing.source_cluster);
    add(kProvenanceHeader, origin->Encode());
  } else if (writing.stamps_provenance) {
    add(kProvenanceHeader, writing.stamp->For(record.offset, record.timestamp_ms < 0));
  }
  return headers;
}

rd_kafka_resp_err_t KafkaSink::Produce(Writing& writing, Record& record, InFlight& in_flight) {
  HeadersHandle headers = HeadersFor(writing, record);
  const auto data = [](const std::optional<std::string_view>& text) -> void* {
    if (!text) return nullptr;
    return const_cast<char*>(text->data() == nullptr ? "" : text->data());  // NOLINT
  };
  void* const key = data(record.key);
  const size_t key_size = record.key ? record.key->size() : 0;
  void* const value = data(record.value);
  const size_t value_size = record.value ? record.value->size() : 0;
  // A source without timestamps: 0 makes the library write the time of sending.
  const int64_t timestamp = std::max<int64_t>(0, record.timestamp_ms);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"  // in the library's macros
  const rd_kafka_resp_err_t error = rd_kafka_producev(
      client_.get(), RD_KAFKA_V_RKT(writing.handle), RD_KAFKA_V_PARTITION(writing.partition),
      RD_KAFKA_V_KEY(key, key_size), RD_KAFKA_V_VALUE(value, value_size), RD_KAFKA_V_MSGFLAGS(0),
      RD_KAFKA_V_TIMESTAMP(timestamp), RD_KAFKA_V_HEADERS(headers.get()),
      RD_KAFKA_V_OPAQUE(&in_flight), RD_KAFKA_V_END);
#pragma GCC diagnostic pop
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    std::ignore = headers.release();  // the library's, as only on success
    // The value is not copied: it stays in the source's buffer until the report.
    in_flight.owner = std::move(record.owner);
  }
  return error;
}

size_t KafkaSink::Submit(Batch& batch, size_t from, uint32_t window) {
  Writing& writing = writings_[batch.slot];
  if (!IsReady() || writing.handle == nullptr) return 0;
  const BootTime now = clock_.Now();
  size_t i = from;
  for (; i < batch.records.size(); ++i) {
    Record& record = batch.records[i];
    InFlight* const in_flight = NewInFlight();
    in_flight->slot = batch.slot;
    in_flight->window = window;
    in_flight->covered = batch.Covered(i);
    in_flight->weight = record.weight;
    const rd_kafka_resp_err_t error = Produce(writing, record, *in_flight);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      watch_.Sent(batch.slot, now);
      continue;
    }
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL || error == RD_KAFKA_RESP_ERR__FATAL) {
      Recycle(in_flight);
      if (error == RD_KAFKA_RESP_ERR__FATAL) EndClient("fatal error at produce");
      break;
    }
    // Refused before it went anywhere; it comes back like any other failure.
    watch_.Sent(batch.slot, now);
    record.owner.reset();
    watch_.Failed(batch.slot);
    Report(*in_flight, error, refused_at_once_);
  }
  return i - from;
}

// --- Back ---------------------------------------------------------------------------------------

void KafkaSink::Poll(std::vector<Confirmation>& confirmations) {
  for (Confirmation& refused : refused_at_once_) confirmations.push_back(std::move(refused));
  refused_at_once_.clear();
  while (queue_) {
    const EventHandle event(rd_kafka_queue_poll(queue_.get(), 0));
    if (!event) break;
    switch (rd_kafka_event_type(event.get())) {
      case RD_KAFKA_EVENT_DR:
        TakeReports(event.get(), confirmations);
        break;
      case RD_KAFKA_EVENT_ERROR:
        if (rd_kafka_event_error(event.get()) == RD_KAFKA_RESP_ERR__FATAL) {
          EndClient(rd_kafka_event_error_string(event.get()));
        } else {
          trouble_.Note(rd_kafka_event_error(event.get()), TextOf(event.get(), client_.get()),
                        clock_.Now());
        }
        break;
      case RD_KAFKA_EVENT_STATS:
        TakeStatistics(rd_kafka_event_stats(event.get()));
        break;
      default:
        break;
    }
  }
  const BootTime now = clock_.Now();
  identity_.Look(client_, trouble_.last_success(), now);
  if (identity_.IsWorthAnother(now)) EndClient("another cluster answered");
  FitBatches(confirmations, now);
  if (const auto why = watch_.Verdict(now)) StartDrain(*why, now);
  if (drain_ && (watch_.in_flight() == watch_.stuck(now) || now >= drain_->by)) {
    EndClient(drain_->why);
  }
  if (is_ending_ || !client_) Rebuild();
}

void KafkaSink::TakeReports(rd_kafka_event_t* event, std::vector<Confirmation>& confirmations) {
  const BootTime now = clock_.Now();
  bool has_success = false;
  while (const rd_kafka_message_t* const message = rd_kafka_event_message_next(event)) {
    auto* const in_flight = static_cast<InFlight*>(message->_private);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      has_success = true;
      watch_.Confirmed(in_flight->slot, now);
    } else {
      watch_.Failed(in_flight->slot);
    }
    Report(*in_flight, message->err, confirmations);
  }
  if (has_success) trouble_.Succeeded(now);
}

void KafkaSink::Report(InFlight& in_flight, rd_kafka_resp_err_t error,
                       std::vector<Confirmation>& confirmations) {
  std::optional<DeliveryFailure> failure;
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    failure = IsPurge(error) ? DeliveryFailure{Disposition::kRetry,
                                               {StatusCode::kUnavailable, Reason::kBrokerError,
                                                "the producer was made anew"}}
                             : ClassifyDelivery(error, trouble_.context());
  }
  Confirmation* const last = confirmations.empty() ? nullptr : &confirmations.back();
  const bool is_neighbour =
      last != nullptr && last->slot == in_flight.slot && last->window == in_flight.window;
  // Of failures the first one counts, and how many share it; what is refused at once may come
  // before what has failed before it.
  const bool joins_last =
      is_neighbour && (failure ? last->failure == failure->disposition &&
                                     last->failed_end <= in_flight.covered.first
                               : !last->failure && last->range.end == in_flight.covered.first);
  if (joins_last) {
    (failure ? last->failed_end : last->range.end) = in_flight.covered.end;
    ++last->records;
    last->bytes += in_flight.weight;
  } else {
    Confirmation confirmation{.slot = in_flight.slot,
                              .window = in_flight.window,
                              .range = in_flight.covered,
                              .failed_end = in_flight.covered.end,
                              .records = 1,
                              .bytes = in_flight.weight,
                              .failure = std::nullopt,
                              .status = {}};
    if (failure) {
      confirmation.failure = failure->disposition;
      confirmation.status = std::move(failure->status);
    }
    confirmations.push_back(std::move(confirmation));
  }
  Recycle(&in_flight);
}

// Where records that fit are refused since their batch does not, batches become smaller.
void KafkaSink::FitBatches(const std::vector<Confirmation>& confirmations, BootTime now) {
  if (drain_) return;  // at most once for each client
  const bool is_refused = std::ranges::any_of(confirmations, [](const Confirmation& one) {
    return one.failure == Disposition::kRefuse && one.records > 1 &&
           one.status.reason() == Reason::kRecordTooLarge;
  });
  const int64_t before = batch_bytes_;
  if (is_refused) {
    batch_bytes_ = std::max(kBatchBytesLeast, batch_bytes_ / kBatchStep);
    grow_at_ = now + grow_after_;
    grow_after_ = std::min(2 * grow_after_, kGrowMost);
  } else if (batch_bytes_ < kBatchBytesMost && now >= grow_at_) {
    batch_bytes_ = std::min(kBatchBytesMost, batch_bytes_ * kBatchStep);
    grow_at_ = now + kGrowFirst;
  }
  if (batch_bytes_ == before) return;
  kLog.Info("batches change their size",
            {{"endpoint", cluster_.endpoint.name}, {"bytes_max", batch_bytes_}});
  StartDrain("batches change their size", now);
}

void KafkaSink::TakeStatistics(const char* text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return;
  const BootTime now = clock_.Now();
  const auto topics = json.value("topics", nlohmann::json::object());
  for (Slot slot = 0; slot < writings_.size(); ++slot) {
    const Writing& writing = writings_[slot];
    const auto topic = topics.find(writing.topic);
    if (topic == topics.end()) continue;
    const auto partitions = topic->value("partitions", nlohmann::json::object());
    const auto partition = partitions.find(std::to_string(writing.partition));
    if (partition == partitions.end()) continue;
    watch_.Led(slot, partition->value("leader", -1) >= 0, now);
  }
  for (const auto& broker : json.value("brokers", nlohmann::json::object())) {
    if (broker.value("state", "") != "UP") continue;
    if (watch_.in_flight() == 0) trouble_.Succeeded(now);
    return;
  }
}

// --- A producer's end ---------------------------------------------------------------------------

void KafkaSink::StartDrain(std::string_view why, BootTime now) {
  if (drain_ || is_ending_ || !client_) return;
  drain_ = {.why = why, .by = now + kDrainPatience};
}

void KafkaSink::EndClient(std::string_view why) {
  if (is_ending_ || !client_) return;
  is_ending_ = true;
  kLog.Info(
      "producer is made anew",
      {{"endpoint", cluster_.endpoint.name}, {"in_flight", watch_.in_flight()}, {"text", why}});
  watch_.GivenUp(clock_.Now());
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                    RD_KAFKA_PURGE_F_NON_BLOCKING);
}

void KafkaSink::Rebuild() {
  if (is_ending_ && watch_.in_flight() > 0) return;  // its reports are still to come
  if (client_) {
    topics_.clear();
    queue_.reset();
    reaper_.Destroy(std::move(client_));
  }
  if (clock_.Now() < next_attempt_) return;
  next_attempt_ = clock_.Now() + kReconnectAfter;
  if (Status connected = Connect(); !connected.ok()) {
    kLog.Error("producer cannot be made", {{"text", connected.message()}});
  }
}

KafkaSink::InFlight* KafkaSink::NewInFlight() {
  if (free_ == nullptr) return &pool_.emplace_back();
  InFlight* const taken = free_;
  free_ = taken->next_free;
  return taken;
}

void KafkaSink::Recycle(InFlight* in_flight) {
  in_flight->owner.reset();
  in_flight->next_free = free_;
  free_ = in_flight;
}

std::optional<Condition> KafkaSink::Trouble() const {
  if (std::optional<Condition> other = identity_.Trouble()) return other;
  return trouble_.At(clock_.Now());
}

std::vector<int> KafkaSink::descriptors() const {
  std::vector<int> all;
  for (const int fd : {wake_.get(), identity_.descriptor()}) {
    if (fd >= 0) all.push_back(fd);
  }
  return all;
}

}  // namespace drawbridge
