#include "model/convert/bridge.h"

#include "model/convert/field_reader.h"
#include "model/convert/time.h"
#include "model/convert/wire_enum.h"

namespace drawbridge {
namespace {

constexpr auto kCompressions = ToWireEnum<Compression, v1::Compression>({
    {Compression::kDefault, v1::COMPRESSION_UNSPECIFIED},
    {Compression::kNone, v1::COMPRESSION_NONE},
    {Compression::kGzip, v1::COMPRESSION_GZIP},
    {Compression::kSnappy, v1::COMPRESSION_SNAPPY},
    {Compression::kLz4, v1::COMPRESSION_LZ4},
    {Compression::kZstd, v1::COMPRESSION_ZSTD},
});

v1::Start StartToProto(const Start& start) {
  v1::Start message;
  switch (start.kind) {
    case Start::Kind::kEarliest:
      message.set_earliest(true);
      break;
    case Start::Kind::kLatest:
      message.set_latest(true);
      break;
    case Start::Kind::kTime:
      *message.mutable_time() = ToProto(start.time);
      break;
  }
  return message;
}

StatusOr<Start> StartFromProto(const v1::Start& message) {
  FieldReader fields;
  Start start;
  switch (message.position_case()) {
    case v1::Start::kEarliest:
      fields.Check(message.earliest(), "earliest", "is true or left out");
      break;
    case v1::Start::kLatest:
      fields.Check(message.latest(), "latest", "is true or left out");
      start.kind = Start::Kind::kLatest;
      break;
    case v1::Start::kTime:
      start = {.kind = Start::Kind::kTime, .time = fields.Take("time", FromProto(message.time()))};
      break;
    case v1::Start::POSITION_NOT_SET:
      break;
  }
  return fields.Finish(start);
}

StatusOr<BridgeSource> SourceFromProto(const v1::BridgeSource& message) {
  FieldReader fields;
  return fields.Finish(
      BridgeSource{.endpoint = message.endpoint(),
                   .topics = {message.topics().begin(), message.topics().end()},
                   .start = fields.Take("start", StartFromProto(message.start()))});
}

StatusOr<BridgeTarget> TargetFromProto(const v1::BridgeTarget& message) {
  FieldReader fields;
  return fields.Finish(BridgeTarget{
      .endpoint = message.endpoint(),
      .topic = message.topic().empty() ? BridgeTarget{}.topic : message.topic(),
      .compression = fields.Take("compression", FromProto(message.compression())),
      .replication_factor = fields.NotNegative("replication_factor", message.replication_factor()),
      .provenance = !message.omit_provenance(),
      .require_idempotence = message.require_idempotence(),
      .index = message.index(),
      .dead_letter_index = message.dead_letter_index(),
      .dead_letter_topic = message.dead_letter_topic(),
      .dead_letter_max_percent =
          fields.NotNegative("dead_letter_max_percent", message.dead_letter_max_percent())});
}

// More lanes than any relay could start would be an attack, not a definition.
int LanesOf(FieldReader& fields, int32_t lanes) {
  fields.Check(lanes >= 0 && lanes <= kLanesMax, "lanes", fmt::format("are 1 to {}", kLanesMax));
  return lanes == 0 ? BridgeSpec{}.lanes : lanes;
}

}  // namespace

v1::Bridge ToProto(const BridgeSpec& bridge) {
  v1::Bridge message;
  message.set_name(bridge.name);
  v1::BridgeSpec& spec = *message.mutable_spec();

  v1::BridgeSource& source = *spec.mutable_source();
  source.set_endpoint(bridge.source.endpoint);
  source.mutable_topics()->Assign(bridge.source.topics.begin(), bridge.source.topics.end());
  *source.mutable_start() = StartToProto(bridge.source.start);

  v1::BridgeTarget& target = *spec.mutable_target();
  target.set_endpoint(bridge.target.endpoint);
  target.set_topic(bridge.target.topic);
  target.set_compression(ToProto(bridge.target.compression));
  target.set_replication_factor(bridge.target.replication_factor);
  target.set_omit_provenance(!bridge.target.provenance);
  target.set_require_idempotence(bridge.target.require_idempotence);
  target.set_index(bridge.target.index);
  target.set_dead_letter_index(bridge.target.dead_letter_index);
  target.set_dead_letter_topic(bridge.target.dead_letter_topic);
  target.set_dead_letter_max_percent(bridge.target.dead_letter_max_percent);

  spec.mutable_placement()->mutable_labels()->insert(bridge.placement.begin(),
                                                     bridge.placement.end());
  spec.set_lanes(bridge.lanes);
  return message;
}

// Fields are named as in a file of definitions, where a bridge is its spec.
StatusOr<BridgeSpec> FromProto(const v1::Bridge& message) {
  if (!message.has_spec()) return InvalidField("is missing", "spec");
  return FromProto(message.name(), message.spec());
}

StatusOr<BridgeSpec> FromProto(const std::string& name, const v1::BridgeSpec& message) {
  FieldReader fields;
  const auto& labels = message.placement().labels();
  return fields.Finish(BridgeSpec{
      .name = name,
      .source = fields.Require("source", message.has_source(), SourceFromProto(message.source())),
      .target = fields.Require("target", message.has_target(), TargetFromProto(message.target())),
      .placement = {labels.begin(), labels.end()},
      .lanes = LanesOf(fields, message.lanes())});
}

v1::Compression ToProto(Compression compression) { return kCompressions.ToWire(compression); }

StatusOr<Compression> FromProto(v1::Compression message) {
  const std::optional<Compression> compression = kCompressions.FromWire(message);
  if (!compression) return InvalidField("this version knows no such compression");
  return *compression;
}

}  // namespace drawbridge
