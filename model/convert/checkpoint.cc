#include "model/convert/checkpoint.h"

#include <algorithm>

#include "model/convert/field_reader.h"
#include "model/convert/partition.h"
#include "model/convert/utf8.h"
#include "model/convert/wire_enum.h"

namespace drawbridge {
namespace {

constexpr auto kCauses = ToWireEnum<GapCause, v1::GapCause>({
    {GapCause::kRetention, v1::GAP_CAUSE_RETENTION},
    {GapCause::kSkipped, v1::GAP_CAUSE_SKIPPED},
});

constexpr auto kOutcomes = ToWireEnum<CommitOutcome, v1::CommitOutcome>({
    {CommitOutcome::kStored, v1::COMMIT_OUTCOME_STORED},
    {CommitOutcome::kStaleEpoch, v1::COMMIT_OUTCOME_STALE_EPOCH},
    {CommitOutcome::kStaleIncarnation, v1::COMMIT_OUTCOME_STALE_INCARNATION},
    {CommitOutcome::kRegression, v1::COMMIT_OUTCOME_REGRESSION},
    {CommitOutcome::kNotContiguous, v1::COMMIT_OUTCOME_NOT_CONTIGUOUS},
    {CommitOutcome::kUnknown, v1::COMMIT_OUTCOME_UNKNOWN},
    {CommitOutcome::kNotOwner, v1::COMMIT_OUTCOME_NOT_OWNER},
    {CommitOutcome::kNotStored, v1::COMMIT_OUTCOME_NOT_STORED},
});

template <typename Message>
OffsetRange ReadRange(FieldReader& fields, const Message& message) {
  const OffsetRange range{fields.Position("from_offset", message.from_offset()),
                          fields.Position("to_offset", message.to_offset())};
  fields.Check(!range.empty(), "to_offset", "is not beyond from_offset");
  return range;
}

// Whether a commit of `carried` passes over all of them, so that none is stored that is not passed.
template <typename Ranges>
void CheckPassed(FieldReader& fields, std::string_view field, OffsetRange carried,
                 const Ranges& ranges) {
  const bool is_passed = std::ranges::all_of(ranges, [&](const auto& passed) {
    return carried.first <= passed.range.first && passed.range.end <= carried.end;
  });
  fields.Check(is_passed, field, "reach beyond what the commit carries");
}

}  // namespace

v1::FencingToken ToProto(const FencingToken& token) {
  v1::FencingToken message;
  message.set_incarnation(token.incarnation);
  message.set_epoch(token.epoch);
  return message;
}

StatusOr<FencingToken> FromProto(const v1::FencingToken& message) {
  FieldReader fields;
  return fields.Finish(
      FencingToken{.incarnation = fields.Counter("incarnation", message.incarnation()),
                   .epoch = fields.Counter("epoch", message.epoch())});
}

v1::Anchor ToProto(const Anchor& anchor) {
  v1::Anchor message;
  message.set_offset(anchor.offset.value);
  message.set_timestamp_ms(anchor.timestamp_ms);
  message.set_hash(anchor.hash);
  return message;
}

// Any timestamp: it is whatever the producer wrote, and is only compared.
StatusOr<Anchor> FromProto(const v1::Anchor& message) {
  FieldReader fields;
  return fields.Finish(Anchor{.offset = fields.Position("offset", message.offset()),
                              .timestamp_ms = message.timestamp_ms(),
                              .hash = message.hash()});
}

v1::OffsetGap ToProto(const Gap& gap) {
  v1::OffsetGap message;
  message.set_from_offset(gap.range.first.value);
  message.set_to_offset(gap.range.end.value);
  message.set_cause(ToProto(gap.cause));
  return message;
}

StatusOr<Gap> FromProto(const v1::OffsetGap& message) {
  FieldReader fields;
  return fields.Finish(Gap{.range = ReadRange(fields, message),
                           .cause = fields.Take("cause", FromProto(message.cause()))});
}

v1::FilteredRange ToProto(const FilteredRange& filtered) {
  v1::FilteredRange message;
  message.set_from_offset(filtered.range.first.value);
  message.set_to_offset(filtered.range.end.value);
  message.set_records(filtered.records);
  return message;
}

StatusOr<FilteredRange> FromProto(const v1::FilteredRange& message) {
  FieldReader fields;
  const FilteredRange filtered{.range = ReadRange(fields, message),
                               .records = fields.NotNegative("records", message.records())};
  fields.Check(filtered.records <= filtered.range.size(), "records",
               "are more than the range has offsets");
  return fields.Finish(filtered);
}

v1::DeadLetters ToProto(const DeadLetters& dead_letters) {
  v1::DeadLetters message;
  message.set_from_offset(dead_letters.range.first.value);
  message.set_to_offset(dead_letters.range.end.value);
  message.set_records(dead_letters.records);
  message.set_error(ToUtf8(dead_letters.error, kDeadLetterErrorMax));
  return message;
}

StatusOr<DeadLetters> FromProto(const v1::DeadLetters& message) {
  FieldReader fields;
  DeadLetters dead_letters{.range = ReadRange(fields, message),
                           .records = fields.Positive("records", message.records()),
                           .error = message.error()};
  fields.Check(dead_letters.records <= dead_letters.range.size(), "records",
               "are more than the range has offsets");
  fields.Check(!message.error().empty() && message.error().size() <= kDeadLetterErrorMax, "error",
               fmt::format("has 1 to {} bytes", kDeadLetterErrorMax));
  return fields.Finish(std::move(dead_letters));
}

v1::CommitItem ToProto(const CommitItem& item) {
  v1::CommitItem message;
  SetKey(item.key, message);
  *message.mutable_token() = ToProto(item.token);
  message.set_base_offset(item.base.value);
  message.set_next_offset(item.to.next.value);
  if (item.to.anchor) *message.mutable_anchor() = ToProto(*item.to.anchor);
  for (const Gap& gap : item.gaps) *message.add_gaps() = ToProto(gap);
  for (const FilteredRange& filtered : item.filtered) *message.add_filtered() = ToProto(filtered);
  for (const DeadLetters& letters : item.dead_letters) {
    *message.add_dead_letters() = ToProto(letters);
  }
  return message;
}

StatusOr<CommitItem> FromProto(const v1::CommitItem& message) {
  FieldReader fields;
  CommitItem item{
      .key = ReadKey(fields, message),
      .token = fields.Require("token", message.has_token(), FromProto(message.token())),
      .base = fields.Position("base_offset", message.base_offset()),
      .to = ReadCheckpoint(fields, "next_offset", message.next_offset(), message),
      .gaps = fields.TakeAll<Gap>("gaps", message.gaps(), FromProto),
      .filtered = fields.TakeAll<FilteredRange>("filtered", message.filtered(), FromProto),
      .dead_letters =
          fields.TakeAll<DeadLetters>("dead_letters", message.dead_letters(), FromProto)};
  const OffsetRange carried{item.base, item.to.next};
  fields.Check(carried.first <= carried.end, "next_offset", "is before base_offset");
  CheckPassed(fields, "gaps", carried, item.gaps);
  CheckPassed(fields, "filtered", carried, item.filtered);
  CheckPassed(fields, "dead_letters", carried, item.dead_letters);
  return fields.Finish(std::move(item));
}

StatusOr<std::vector<CommitItem>> FromProto(const v1::Commit& message) {
  FieldReader fields;
  return fields.Finish(fields.TakeAll<CommitItem>("items", message.items(), FromProto));
}

v1::CommitResult ToProto(const CommitResult& result) {
  v1::CommitResult message;
  SetKey(result.key, message);
  message.set_outcome(ToProto(result.outcome));
  *message.mutable_token() = ToProto(result.token);
  message.set_next_offset(result.next.value);
  return message;
}

StatusOr<CommitResult> FromProto(const v1::CommitResult& message) {
  FieldReader fields;
  return fields.Finish(CommitResult{
      .key = ReadKey(fields, message),
      .token = fields.Require("token", message.has_token(), FromProto(message.token())),
      .next = fields.Position("next_offset", message.next_offset()),
      .outcome = fields.Take("outcome", FromProto(message.outcome()))});
}

StatusOr<std::vector<CommitResult>> FromProto(const v1::CommitResults& message) {
  FieldReader fields;
  return fields.Finish(fields.TakeAll<CommitResult>("results", message.results(), FromProto));
}

v1::GapCause ToProto(GapCause cause) { return kCauses.ToWire(cause); }

StatusOr<GapCause> FromProto(v1::GapCause message) {
  const std::optional<GapCause> cause = kCauses.FromWire(message);
  if (!cause) return InvalidField("this version knows no such cause of a gap");
  return *cause;
}

v1::CommitOutcome ToProto(CommitOutcome outcome) { return kOutcomes.ToWire(outcome); }

StatusOr<CommitOutcome> FromProto(v1::CommitOutcome message) {
  const std::optional<CommitOutcome> outcome = kOutcomes.FromWire(message);
  if (!outcome) return InvalidField("this version knows no such outcome of a commit");
  return *outcome;
}

}  // namespace drawbridge
