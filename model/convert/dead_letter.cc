#include "model/convert/dead_letter.h"

#include "model/checkpoint.h"
#include "model/convert/field_reader.h"
#include "model/convert/time.h"
#include "model/convert/utf8.h"

namespace drawbridge {
namespace {

constexpr size_t kTextBytesMax = 2048;  // of the words of others
constexpr int64_t kNoTimestamp = -1;

StatusOr<RetriedGroup> GroupFromProto(const v1::RetriedGroup& message) {
  FieldReader fields;
  return fields.Finish(
      RetriedGroup{.topic = fields.NotEmpty("topic", message.topic()),
                   .partition = fields.NotNegative("partition", message.partition()),
                   .error = message.error(),
                   .records = fields.Positive("records", message.records())});
}

}  // namespace

v1::DeadLetter ToProto(const DeadLetterRecord& letter) {
  v1::DeadLetter message;
  message.set_topic(ToUtf8(letter.topic));
  message.set_partition(letter.partition);
  message.set_offset(letter.offset.value);
  message.set_source_epoch(letter.source_epoch);
  message.set_timestamp_ms(letter.timestamp_ms);
  if (letter.key) message.set_key(*letter.key);
  if (letter.value) message.set_value(*letter.value);
  message.set_value_bytes(letter.value_bytes);
  for (const auto& [name, value] : letter.headers) {
    v1::RecordHeader* const header = message.add_headers();
    header->set_name(name);
    if (value) header->set_value(*value);
  }
  message.set_error(ToUtf8(letter.error, kDeadLetterErrorMax));
  message.set_status(letter.status);
  message.set_reason(ToUtf8(letter.reason, kTextBytesMax));
  message.set_index(ToUtf8(letter.index, kTextBytesMax));
  message.set_attempts(letter.attempts);
  *message.mutable_first_refused_at() = ToProto(letter.first_refused);
  *message.mutable_last_refused_at() = ToProto(letter.last_refused);
  return message;
}

StatusOr<DeadLetterRecord> FromProto(const v1::DeadLetter& message) {
  FieldReader fields;
  DeadLetterRecord letter{
      .topic = message.topic(),
      .partition = fields.NotNegative("partition", message.partition()),
      .offset = fields.Position("offset", message.offset()),
      .source_epoch = fields.NotNegative("source_epoch", message.source_epoch()),
      .timestamp_ms = fields.AtLeast(kNoTimestamp, "timestamp_ms", message.timestamp_ms()),
      .value_bytes = fields.NotNegative("value_bytes", message.value_bytes()),
      .error = message.error(),
      .status = message.status(),
      .reason = message.reason(),
      .index = message.index(),
      .attempts = fields.NotNegative("attempts", message.attempts()),
      .first_refused = fields.Take("first_refused_at", FromProto(message.first_refused_at())),
      .last_refused = fields.Take("last_refused_at", FromProto(message.last_refused_at()))};
  if (message.has_key()) letter.key = message.key();
  if (message.has_value()) letter.value = message.value();
  for (const v1::RecordHeader& header : message.headers()) {
    letter.headers.emplace_back(header.name(),
                                header.has_value() ? std::optional(header.value()) : std::nullopt);
  }
  return fields.Finish(std::move(letter));
}

v1::DeadLetterPage ToProto(const DeadLetterPage& page) {
  v1::DeadLetterPage message;
  for (const DeadLetterRecord& letter : page.letters) *message.add_letters() = ToProto(letter);
  message.set_total(page.total);
  return message;
}

StatusOr<DeadLetterPage> FromProto(const v1::DeadLetterPage& message) {
  FieldReader fields;
  return fields.Finish(DeadLetterPage{
      .letters = fields.TakeAll<DeadLetterRecord>("letters", message.letters(), FromProto),
      .total = fields.NotNegative("total", message.total())});
}

v1::RetriedDeadLetters ToProto(const RetriedDeadLetters& retried) {
  v1::RetriedDeadLetters message;
  for (const RetriedGroup& group : retried.groups) {
    v1::RetriedGroup* const to = message.add_groups();
    to->set_topic(ToUtf8(group.topic));
    to->set_partition(group.partition);
    to->set_error(ToUtf8(group.error, kDeadLetterErrorMax));
    to->set_records(group.records);
  }
  message.set_refused(retried.refused);
  message.set_left(retried.left);
  message.set_turn(retried.turn);
  return message;
}

StatusOr<RetriedDeadLetters> FromProto(const v1::RetriedDeadLetters& message) {
  FieldReader fields;
  return fields.Finish(RetriedDeadLetters{
      .groups = fields.TakeAll<RetriedGroup>("groups", message.groups(), GroupFromProto),
      .refused = fields.NotNegative("refused", message.refused()),
      .left = fields.NotNegative("left", message.left()),
      .turn = fields.NotEmpty("turn", message.turn())});
}

}  // namespace drawbridge
