#include "relay/kafka/kafka_sink.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.kafka");

// A producer without a single success for this long, with records in flight, is made anew: it may
// know addresses only that nobody answers at any more.
constexpr Duration kDeadAfter = 5min;
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
      grow_after_(kGrowFirst) {}

KafkaSink::~KafkaSink() {
  if (!client_) return;
  // Reports hold records of the source's client: all of them must come back before either ends.
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  std::vector<Confirmation> nobody_waits;
  const BootTime deadline = clock_.Now() + 5s;
  while (in_flight_ > 0 && clock_.Now() < deadline) {
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
  is_ending_ = false;
  drained_by_.reset();
  waiting_since_ = clock_.Now();
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
  if (in_flight_ == 0) waiting_since_ = clock_.Now();
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
      ++in_flight_;
      continue;
    }
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL || error == RD_KAFKA_RESP_ERR__FATAL) {
      Recycle(in_flight);
      if (error == RD_KAFKA_RESP_ERR__FATAL) EndClient("fatal error at produce");
      break;
    }
    // Refused before it went anywhere; it comes back like any other failure.
    ++in_flight_;
    record.owner.reset();
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
  FitBatches(confirmations);
  if (drained_by_ && (in_flight_ == 0 || clock_.Now() >= *drained_by_)) {
    EndClient("batches change their size");
  }
  if (!is_ending_ && in_flight_ > 0 && clock_.Now() - waiting_since_ > kDeadAfter) {
    EndClient("no confirmation for minutes");
  }
  if (is_ending_ || !client_) Rebuild();
}

void KafkaSink::TakeReports(rd_kafka_event_t* event, std::vector<Confirmation>& confirmations) {
  bool has_success = false;
  while (const rd_kafka_message_t* const message = rd_kafka_event_message_next(event)) {
    auto* const in_flight = static_cast<InFlight*>(message->_private);
    has_success = has_success || message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    Report(*in_flight, message->err, confirmations);
  }
  if (!has_success) return;
  waiting_since_ = clock_.Now();
  trouble_.Succeeded(waiting_since_);
}

void KafkaSink::Report(InFlight& in_flight, rd_kafka_resp_err_t error,
                       std::vector<Confirmation>& confirmations) {
  --in_flight_;
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
  // Of failures the first one counts, and how many share it.
  const bool joins_last =
      is_neighbour && (failure ? last->failure == failure->disposition
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
void KafkaSink::FitBatches(const std::vector<Confirmation>& confirmations) {
  if (drained_by_) return;  // at most once for each client
  const BootTime now = clock_.Now();
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
  // What is on its way is left to arrive: a purge would have it sent twice.
  drained_by_ = now + kDrainPatience;
}

void KafkaSink::TakeStatistics(const char* text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return;
  for (const auto& broker : json.value("brokers", nlohmann::json::object())) {
    if (broker.value("state", "") != "UP") continue;
    if (in_flight_ == 0) trouble_.Succeeded(clock_.Now());
    return;
  }
}

// --- A producer's end ---------------------------------------------------------------------------

void KafkaSink::EndClient(std::string_view why) {
  if (is_ending_ || !client_) return;
  is_ending_ = true;
  kLog.Info("producer is made anew",
            {{"endpoint", cluster_.endpoint.name}, {"in_flight", in_flight_}, {"text", why}});
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                    RD_KAFKA_PURGE_F_NON_BLOCKING);
}

void KafkaSink::Rebuild() {
  if (is_ending_ && in_flight_ > 0) return;  // its reports are still to come
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

std::optional<Condition> KafkaSink::Trouble() const { return trouble_.At(clock_.Now()); }

std::vector<int> KafkaSink::descriptors() const {
  return wake_.is_open() ? std::vector<int>{wake_.get()} : std::vector<int>{};
}

}  // namespace drawbridge
