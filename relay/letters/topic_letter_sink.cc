#include "relay/letters/topic_letter_sink.h"

#include <array>
#include <utility>

#include "relay/letters/topic_letter.h"

namespace drawbridge {

Status TopicLetterSink::Open(Slot slot, PartitionKey key) {
  Route route;
  route.key = key;
  route.target_topic = topic_;
  route.partition = 0;
  route.stamps_provenance = false;  // a letter brings its own
  return sink_->Open(slot, route);
}

bool TopicLetterSink::Submit(const Item& item, Record& record, const Route& route,
                             const Refusal& refusal, const RefusedAt& at, std::string_view turn) {
  LetterHeaders headers(record, route, refusal, at, turn);
  return Write(item, record, std::move(headers.headers()));
}

bool TopicLetterSink::Settle(const Item& item, const std::string& bridge, const std::string& id,
                             WallTime now) {
  // What is not compacted by its key today may be so tomorrow.
  auto* const key = new std::string(id);
  Record note;
  note.timestamp_ms = ToMicros(now) / 1000;
  note.key = *key;
  note.owner = RecordOwner(key, [](void* text) { delete static_cast<std::string*>(text); });
  return Write(item, note,
               {{.name = kBridgeHeader, .value = bridge}, {.name = kSettledHeader, .value = id}});
}

bool TopicLetterSink::Write(const Item& item, Record& record, std::vector<Header> headers) {
  Batch batch{.slot = item.slot,
              .fetch = 0,
              .from = item.covered.first,
              .read_to = item.covered.end,
              .records = {}};
  Record& letter = batch.records.emplace_back();
  letter.offset = {item.covered.end.value - 1};  // which is where a batch's record ends
  letter.timestamp_ms = record.timestamp_ms;
  letter.key = record.key;
  letter.value = record.value;
  letter.headers = headers;
  letter.weight = record.weight;
  letter.owner = std::move(record.owner);
  if (sink_->Submit(batch, 0, item.window) == 1) return true;
  record.owner = std::move(letter.owner);
  return false;
}

}  // namespace drawbridge
