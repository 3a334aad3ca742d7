#include "relay/letters/topic_letter_sink.h"

#include <utility>

#include "relay/letters/topic_letter.h"

namespace drawbridge {
namespace {

constexpr Slot kSlot = 0;

}  // namespace

StatusOr<std::unique_ptr<TopicLetterSink>> TopicLetterSink::Open(std::unique_ptr<Sink> sink,
                                                                 std::string topic) {
  Route route;
  route.target_topic = topic;
  route.partition = 0;
  route.stamps_provenance = false;  // a letter brings its own
  if (Status opened = sink->Open(kSlot, route); !opened.ok()) return opened;
  return std::unique_ptr<TopicLetterSink>(new TopicLetterSink(std::move(sink), std::move(topic)));
}

std::optional<uint64_t> TopicLetterSink::Submit(Record& record, const Route& route,
                                                const Refusal& refusal, const RefusedAt& at,
                                                std::string_view turn) {
  LetterHeaders headers(record, route, refusal, at, turn);
  return Write(record, std::move(headers.headers()));
}

std::optional<uint64_t> TopicLetterSink::Settle(const std::string& bridge, const std::string& id,
                                                WallTime now) {
  // What is not compacted by its key today may be so tomorrow.
  auto key = std::make_unique<std::string>(id);
  Record note;
  note.timestamp_ms = ToMicros(now) / 1000;
  note.key = *key;
  note.owner = OwnerOf(std::move(key));
  return Write(note,
               {{.name = kBridgeHeader, .value = bridge}, {.name = kSettledHeader, .value = id}});
}

std::optional<uint64_t> TopicLetterSink::Write(Record& record, std::vector<Header> headers) {
  const auto number = static_cast<int64_t>(next_);
  Batch batch{.slot = kSlot, .fetch = 0, .from = {number}, .read_to = {number + 1}, .records = {}};
  Record& letter = batch.records.emplace_back();
  letter.offset = {number};
  letter.timestamp_ms = record.timestamp_ms;
  letter.key = record.key;
  letter.value = record.value;
  letter.headers = headers;
  letter.weight = record.weight;
  letter.owner = std::move(record.owner);
  if (sink_->Submit(batch, 0, 0) == 1) return next_++;
  record.owner = std::move(letter.owner);
  return std::nullopt;
}

void TopicLetterSink::Poll(std::vector<Result>& results) {
  std::vector<Confirmation> confirmations;
  sink_->Poll(confirmations);
  for (const Confirmation& one : confirmations) {
    const Offset end = one.failure ? one.failed_end : one.range.end;
    for (Offset at = one.range.first; at < end; at = Next(at)) {
      results.push_back({.number = static_cast<uint64_t>(at.value),
                         .failure = one.failure,
                         .status = one.status});
    }
  }
}

}  // namespace drawbridge
