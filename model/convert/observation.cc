#include "model/convert/observation.h"

#include <array>

#include <fmt/format.h>

#include "model/convert/checkpoint.h"
#include "model/convert/field_reader.h"
#include "model/convert/partition.h"
#include "model/convert/status.h"
#include "model/convert/time.h"
#include "model/convert/utf8.h"
#include "model/convert/wire_enum.h"

namespace drawbridge {
namespace {

constexpr int64_t kForEver = -1;        // a retention
constexpr size_t kTextBytesMax = 1024;  // of the words of others

constexpr auto kStates = ToWireEnum<PartitionState, v1::PartitionState>({
    {PartitionState::kUnknown, v1::PARTITION_STATE_UNSPECIFIED},
    {PartitionState::kChecking, v1::PARTITION_STATE_CHECKING},
    {PartitionState::kRunning, v1::PARTITION_STATE_RUNNING},
    {PartitionState::kParked, v1::PARTITION_STATE_PARKED},
    {PartitionState::kRetrying, v1::PARTITION_STATE_RETRYING},
    {PartitionState::kHalted, v1::PARTITION_STATE_HALTED},
    {PartitionState::kPaused, v1::PARTITION_STATE_PAUSED},
});

constexpr auto kMotions = ToWireEnum<Motion, v1::Motion>({
    {Motion::kUnknown, v1::MOTION_UNSPECIFIED},
    {Motion::kDelivering, v1::MOTION_DELIVERING},
    {Motion::kIdle, v1::MOTION_IDLE},
    {Motion::kCatchingUp, v1::MOTION_CATCHING_UP},
    {Motion::kFallingBehind, v1::MOTION_FALLING_BEHIND},
    {Motion::kBlocked, v1::MOTION_BLOCKED},
    {Motion::kStalled, v1::MOTION_STALLED},
    {Motion::kStopped, v1::MOTION_STOPPED},
    {Motion::kPaused, v1::MOTION_PAUSED},
    {Motion::kHalted, v1::MOTION_HALTED},
});

// What a relay may say: only the server speaks for itself.
Side ReadSide(FieldReader& fields, const std::string& name) {
  for (const Side side : {Side::kSource, Side::kTarget, Side::kRelay}) {
    if (name == Name(side)) return side;
  }
  fields.Check(false, "side", "is \"source\", \"target\" or \"relay\"");
  return {};
}

StatusOr<SurveyedPartition> PartitionFromProto(const v1::SurveyedPartition& message) {
  FieldReader fields;
  return fields.Finish(SurveyedPartition{
      .partition = fields.NotNegative("partition", message.partition()),
      .log_start = fields.Position("log_start", message.has_log_start(), message.log_start()),
      .log_end = fields.Position("log_end", message.has_log_end(), message.log_end()),
      .start = fields.Position("start_offset", message.has_start_offset(), message.start_offset()),
      .is_target_ready = message.target_ready()});
}

StatusOr<SurveyedTopic> TopicFromProto(const v1::SurveyedTopic& message) {
  FieldReader fields;
  SurveyedTopic topic{
      .topic = fields.NotEmpty("topic", message.topic()),
      .target_topic = fields.NotEmpty("target_topic", message.target_topic()),
      .target_partitions = fields.NotNegative("target_partitions", message.target_partitions()),
      .partitions =
          fields.TakeAll<SurveyedPartition>("partitions", message.partitions(), PartitionFromProto),
      .retention_ms = std::nullopt,
      .topic_id = message.topic_id()};
  constexpr size_t kTopicIdMax = 64;
  fields.Check(topic.topic_id.size() <= kTopicIdMax, "topic_id",
               fmt::format("has more than {} bytes", kTopicIdMax));
  if (message.has_retention_ms()) {
    topic.retention_ms = fields.AtLeast(kForEver, "retention_ms", message.retention_ms());
  }
  fields.Unique("partitions", topic.partitions, &SurveyedPartition::partition);
  return fields.Finish(std::move(topic));
}

v1::SurveyedTopic TopicToProto(const SurveyedTopic& topic) {
  v1::SurveyedTopic message;
  message.set_topic(ToUtf8(topic.topic));
  message.set_target_topic(ToUtf8(topic.target_topic));
  message.set_target_partitions(topic.target_partitions);
  for (const SurveyedPartition& partition : topic.partitions) {
    v1::SurveyedPartition& added = *message.add_partitions();
    added.set_partition(partition.partition);
    if (partition.log_start) added.set_log_start(partition.log_start->value);
    if (partition.log_end) added.set_log_end(partition.log_end->value);
    if (partition.start) added.set_start_offset(partition.start->value);
    added.set_target_ready(partition.is_target_ready);
  }
  if (topic.retention_ms) message.set_retention_ms(*topic.retention_ms);
  message.set_topic_id(topic.topic_id);
  return message;
}

}  // namespace

v1::PartitionReport ToProto(const PartitionReport& report) {
  v1::PartitionReport message;
  SetKey(report.key, message);
  *message.mutable_token() = ToProto(report.token);
  message.set_confirmed(report.confirmed.value);
  message.set_read_position(report.read_position.value);
  if (report.log_start) message.set_log_start(report.log_start->value);
  if (report.log_end) message.set_log_end(report.log_end->value);
  if (report.oldest_unconfirmed_ms) {
    message.set_oldest_unconfirmed_ms(*report.oldest_unconfirmed_ms);
  }
  message.set_in_flight_records(report.in_flight_records);
  message.set_in_flight_bytes(report.in_flight_bytes);
  if (report.since_moved) *message.mutable_since_moved() = ToProto(*report.since_moved);
  if (report.since_source_seen) {
    *message.mutable_since_source_seen() = ToProto(*report.since_source_seen);
  }
  if (report.waiting_for) *message.mutable_waiting_for() = ToProto(*report.waiting_for);
  message.set_state(ToProto(report.state));
  message.set_records_confirmed(report.records_confirmed);
  message.set_bytes_confirmed(report.bytes_confirmed);
  message.set_records_filtered(report.records_filtered);
  return message;
}

// Any time of the oldest record: it is whatever the producer wrote.
StatusOr<PartitionReport> FromProto(const v1::PartitionReport& message) {
  FieldReader fields;
  PartitionReport report{
      .key = ReadKey(fields, message),
      .token = fields.Require("token", message.has_token(), FromProto(message.token())),
      .confirmed = fields.Position("confirmed", message.confirmed()),
      .read_position = fields.Position("read_position", message.read_position()),
      .log_start = fields.Position("log_start", message.has_log_start(), message.log_start()),
      .log_end = fields.Position("log_end", message.has_log_end(), message.log_end()),
      .oldest_unconfirmed_ms = std::nullopt,
      .in_flight_records = fields.NotNegative("in_flight_records", message.in_flight_records()),
      .in_flight_bytes = fields.NotNegative("in_flight_bytes", message.in_flight_bytes()),
      .since_moved = fields.Span("since_moved", message.has_since_moved(), message.since_moved()),
      .since_source_seen = fields.Span("since_source_seen", message.has_since_source_seen(),
                                       message.since_source_seen()),
      .waiting_for = fields.Span("waiting_for", message.has_waiting_for(), message.waiting_for()),
      .state = fields.Take("state", FromProto(message.state())),
      .records_confirmed = fields.NotNegative("records_confirmed", message.records_confirmed()),
      .bytes_confirmed = fields.NotNegative("bytes_confirmed", message.bytes_confirmed()),
      .records_filtered = fields.NotNegative("records_filtered", message.records_filtered())};
  if (message.has_oldest_unconfirmed_ms()) {
    report.oldest_unconfirmed_ms = message.oldest_unconfirmed_ms();
  }
  return fields.Finish(report);
}

v1::Report ToProto(const Report& report) {
  v1::Report message;
  for (const PartitionReport& partition : report.partitions) {
    *message.add_partitions() = ToProto(partition);
  }
  for (const Condition& condition : report.conditions) {
    *message.add_conditions() = ToRelayCondition(condition);
  }
  message.set_buffered_bytes(report.buffered_bytes);
  return message;
}

StatusOr<Report> FromProto(const v1::Report& message) {
  FieldReader fields;
  return fields.Finish(Report{
      .partitions = fields.TakeAll<PartitionReport>("partitions", message.partitions(), FromProto),
      .conditions = fields.TakeAll<Condition>("conditions", message.conditions(), FromProto),
      .buffered_bytes = fields.NotNegative("buffered_bytes", message.buffered_bytes())});
}

v1::RelayCondition ToRelayCondition(const Condition& condition) {
  v1::RelayCondition message;
  message.set_side(std::string(Name(condition.side)));
  message.set_reason(ToProto(condition.reason));
  message.set_text(ToUtf8(condition.text, kTextBytesMax));
  message.set_bridge_id(condition.bridge.value);
  if (condition.stream) message.set_stream_id(condition.stream->value);
  if (condition.partition) message.set_partition(*condition.partition);
  if (condition.age) *message.mutable_age() = ToProto(*condition.age);
  return message;
}

StatusOr<Condition> FromProto(const v1::RelayCondition& message) {
  FieldReader fields;
  Condition condition{.side = ReadSide(fields, message.side()),
                      .reason = FromProto(message.reason()),
                      .text = message.text(),
                      .bridge = {fields.NotNegative("bridge_id", message.bridge_id())},
                      .stream = std::nullopt,
                      .partition = std::nullopt,
                      .topic = {},
                      .age = fields.Span("age", message.has_age(), message.age())};
  const int64_t stream = fields.NotNegative("stream_id", message.stream_id());
  if (stream != 0) condition.stream = StreamId{stream};
  if (message.has_partition()) {
    condition.partition = fields.NotNegative("partition", message.partition());
    fields.Check(condition.stream.has_value(), "stream_id", "is missing for this partition");
  }
  return fields.Finish(std::move(condition));
}

v1::SurveyCondition ToSurveyCondition(const Condition& condition) {
  v1::SurveyCondition message;
  message.set_side(std::string(Name(condition.side)));
  message.set_reason(ToProto(condition.reason));
  message.set_text(ToUtf8(condition.text, kTextBytesMax));
  message.set_topic(ToUtf8(condition.topic));
  message.set_blocks(condition.blocks);
  return message;
}

StatusOr<Condition> FromProto(const v1::SurveyCondition& message) {
  FieldReader fields;
  return fields.Finish(Condition{.side = ReadSide(fields, message.side()),
                                 .reason = FromProto(message.reason()),
                                 .text = message.text(),
                                 .bridge = {},
                                 .stream = std::nullopt,
                                 .partition = std::nullopt,
                                 .topic = message.topic(),
                                 .age = std::nullopt,
                                 .blocks = message.blocks()});
}

v1::Condition ToProto(const Condition& condition, const RelayName& relay, WallTime now) {
  v1::Condition message;
  message.set_side(std::string(Name(condition.side)));
  message.set_reason(ToProto(condition.reason));
  message.set_text(ToUtf8(condition.text, kTextBytesMax));
  message.set_topic(ToUtf8(condition.topic));
  if (condition.partition) message.set_partition(*condition.partition);
  if (condition.age) {
    *message.mutable_since() =
        ToProto(now - std::chrono::floor<WallTime::duration>(*condition.age));
  }
  message.set_relay(relay.value);
  return message;
}

v1::SurveyResult ToProto(const SurveyResult& result) {
  v1::SurveyResult message;
  message.set_bridge_id(result.bridge.value);
  message.set_generation(result.generation);
  message.set_source_cluster_id(ToUtf8(result.source_cluster_id));
  message.set_target_cluster_id(ToUtf8(result.target_cluster_id));
  for (const SurveyedTopic& topic : result.topics) *message.add_topics() = TopicToProto(topic);
  for (const Condition& condition : result.conditions) {
    *message.add_conditions() = ToSurveyCondition(condition);
  }
  message.set_complete(result.is_complete);
  return message;
}

StatusOr<SurveyResult> FromProto(const v1::SurveyResult& message) {
  FieldReader fields;
  SurveyResult result{
      .bridge = {fields.Positive("bridge_id", message.bridge_id())},
      .generation = fields.NotNegative("generation", message.generation()),
      .source_cluster_id = message.source_cluster_id(),
      .target_cluster_id = message.target_cluster_id(),
      .topics = fields.TakeAll<SurveyedTopic>("topics", message.topics(), TopicFromProto),
      .conditions = fields.TakeAll<Condition>("conditions", message.conditions(), FromProto),
      .is_complete = message.complete()};
  fields.Unique("topics", result.topics, &SurveyedTopic::topic);
  for (Condition& condition : result.conditions) condition.bridge = result.bridge;
  return fields.Finish(std::move(result));
}

v1::EndpointCheck ToProto(const EndpointCheck& check) {
  v1::EndpointCheck message;
  message.set_name(ToUtf8(check.name));
  message.set_ok(check.is_ok);
  message.set_reason(ToProto(check.reason));
  message.set_detail(ToUtf8(check.detail, kTextBytesMax));
  return message;
}

EndpointCheck FromProto(const v1::EndpointCheck& message) {
  return {.name = message.name(),
          .is_ok = message.ok(),
          .reason = FromProto(message.reason()),
          .detail = message.detail()};
}

v1::PartitionState ToProto(PartitionState state) { return kStates.ToWire(state); }

StatusOr<PartitionState> FromProto(v1::PartitionState message) {
  const std::optional<PartitionState> state = kStates.FromWire(message);
  if (!state) return InvalidField("this version knows no such state");
  return *state;
}

v1::Motion ToProto(Motion motion) { return kMotions.ToWire(motion); }

Motion FromProto(v1::Motion message) {
  return kMotions.FromWire(message).value_or(Motion::kUnknown);
}

}  // namespace drawbridge
