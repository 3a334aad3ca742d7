#include "model/convert/assignment.h"

#include <limits>
#include <set>

#include "model/convert/bridge.h"
#include "model/convert/checkpoint.h"
#include "model/convert/credential.h"
#include "model/convert/endpoint.h"
#include "model/convert/field_reader.h"
#include "model/convert/partition.h"

namespace drawbridge {
namespace {

using ReverseFlow = std::pair<std::vector<std::string>, std::string>;

v1::ReverseFlow FlowToProto(const ReverseFlow& flow) {
  v1::ReverseFlow message;
  message.mutable_topics()->Assign(flow.first.begin(), flow.first.end());
  message.set_topic_template(flow.second);
  return message;
}

StatusOr<ReverseFlow> FlowFromProto(const v1::ReverseFlow& message) {
  FieldReader fields;
  fields.Check(!message.topics().empty(), "topics", "are empty");
  return fields.Finish(ReverseFlow{{message.topics().begin(), message.topics().end()},
                                   fields.NotEmpty("topic_template", message.topic_template())});
}

// The provenance header has 16 bits for it.
int ReadSourceEpoch(FieldReader& fields, int32_t epoch) {
  fields.Check(epoch >= 1 && epoch <= std::numeric_limits<uint16_t>::max(), "source_epoch",
               "is 1 to 65535");
  return epoch;
}

// A stream belongs to one bridge, so its id is unique among all of them.
void CheckStreams(FieldReader& fields, const std::vector<BridgeAssignment>& bridges) {
  std::set<StreamId> known;
  for (size_t i = 0; i < bridges.size(); ++i) {
    for (size_t j = 0; j < bridges[i].streams.size(); ++j) {
      if (known.insert(bridges[i].streams[j].stream).second) continue;
      fields.Check(false, fmt::format("bridges[{}].streams[{}]", i, j), "is named twice");
      return;
    }
  }
}

}  // namespace

v1::PartitionAssignment ToProto(const PartitionAssignment& partition) {
  v1::PartitionAssignment message;
  message.set_partition(partition.partition);
  *message.mutable_token() = ToProto(partition.token);
  message.set_start_offset(partition.start.next.value);
  if (partition.start.anchor) *message.mutable_anchor() = ToProto(*partition.start.anchor);
  return message;
}

StatusOr<PartitionAssignment> FromProto(const v1::PartitionAssignment& message) {
  FieldReader fields;
  return fields.Finish(PartitionAssignment{
      .partition = fields.NotNegative("partition", message.partition()),
      .token = fields.Require("token", message.has_token(), FromProto(message.token())),
      .start = ReadCheckpoint(fields, "start_offset", message.start_offset(), message)});
}

v1::StreamAssignment ToProto(const StreamAssignment& stream) {
  v1::StreamAssignment message;
  message.set_stream_id(stream.stream.value);
  message.set_topic(stream.topic);
  message.set_target_topic(stream.target_topic);
  message.set_source_epoch(stream.source_epoch);
  message.set_paused(stream.is_paused);
  for (const PartitionAssignment& partition : stream.partitions) {
    *message.add_partitions() = ToProto(partition);
  }
  return message;
}

StatusOr<StreamAssignment> FromProto(const v1::StreamAssignment& message) {
  FieldReader fields;
  StreamAssignment stream{.stream = {fields.Positive("stream_id", message.stream_id())},
                          .topic = fields.NotEmpty("topic", message.topic()),
                          .target_topic = fields.NotEmpty("target_topic", message.target_topic()),
                          .source_epoch = ReadSourceEpoch(fields, message.source_epoch()),
                          .is_paused = message.paused(),
                          .partitions = fields.TakeAll<PartitionAssignment>(
                              "partitions", message.partitions(), FromProto)};
  fields.Unique("partitions", stream.partitions, &PartitionAssignment::partition);
  return fields.Finish(std::move(stream));
}

v1::BridgeAssignment ToProto(const BridgeAssignment& bridge) {
  v1::BridgeAssignment message;
  message.set_bridge_id(bridge.bridge.value);
  message.set_name(bridge.spec.name);
  message.set_generation(bridge.generation);
  *message.mutable_spec() = std::move(*ToProto(bridge.spec).mutable_spec());
  *message.mutable_source() = ToProto(bridge.source);
  *message.mutable_target() = ToProto(bridge.target);
  if (bridge.source_secret) *message.mutable_source_secret() = ToProto(*bridge.source_secret);
  if (bridge.target_secret) *message.mutable_target_secret() = ToProto(*bridge.target_secret);
  message.set_source_cluster_id(bridge.source_cluster_id);
  message.set_target_cluster_id(bridge.target_cluster_id);
  message.set_survey(bridge.surveys);
  for (const ReverseFlow& flow : bridge.reverse_flows) {
    *message.add_reverse_flows() = FlowToProto(flow);
  }
  for (const StreamAssignment& stream : bridge.streams) *message.add_streams() = ToProto(stream);
  return message;
}

StatusOr<BridgeAssignment> FromProto(const v1::BridgeAssignment& message) {
  FieldReader fields;
  return fields.Finish(BridgeAssignment{
      .bridge = {fields.Positive("bridge_id", message.bridge_id())},
      .generation = fields.NotNegative("generation", message.generation()),
      .spec = fields.Require("spec", message.has_spec(), FromProto(message.name(), message.spec())),
      .source = fields.Require("source", message.has_source(), FromProto(message.source())),
      .target = fields.Require("target", message.has_target(), FromProto(message.target())),
      .source_secret = fields.TakeIf("source_secret", message.has_source_secret(),
                                     FromProto(message.source_secret())),
      .target_secret = fields.TakeIf("target_secret", message.has_target_secret(),
                                     FromProto(message.target_secret())),
      .source_cluster_id = message.source_cluster_id(),
      .target_cluster_id = message.target_cluster_id(),
      .surveys = message.survey(),
      .reverse_flows =
          fields.TakeAll<ReverseFlow>("reverse_flows", message.reverse_flows(), FlowFromProto),
      .streams = fields.TakeAll<StreamAssignment>("streams", message.streams(), FromProto)});
}

v1::Assignments ToProto(const Assignments& assignments) {
  v1::Assignments message;
  message.set_incarnation(assignments.incarnation);
  message.set_revision(assignments.revision);
  for (const BridgeAssignment& bridge : assignments.bridges) {
    *message.add_bridges() = ToProto(bridge);
  }
  return message;
}

StatusOr<Assignments> FromProto(const v1::Assignments& message) {
  FieldReader fields;
  Assignments assignments{
      .incarnation = fields.Counter("incarnation", message.incarnation()),
      .revision = fields.Counter("revision", message.revision()),
      .bridges = fields.TakeAll<BridgeAssignment>("bridges", message.bridges(), FromProto)};
  fields.Unique("bridges", assignments.bridges, &BridgeAssignment::bridge);
  CheckStreams(fields, assignments.bridges);
  return fields.Finish(std::move(assignments));
}

v1::HeldPartition ToProto(const HeldPartition& held) {
  v1::HeldPartition message;
  SetKey(held.key, message);
  *message.mutable_token() = ToProto(held.token);
  message.set_base_offset(held.base.value);
  message.set_next_offset(held.checkpoint.next.value);
  if (held.checkpoint.anchor) *message.mutable_anchor() = ToProto(*held.checkpoint.anchor);
  message.set_running(held.is_running);
  return message;
}

StatusOr<HeldPartition> FromProto(const v1::HeldPartition& message) {
  FieldReader fields;
  const HeldPartition held{
      .key = ReadKey(fields, message),
      .token = fields.Require("token", message.has_token(), FromProto(message.token())),
      .base = fields.Position("base_offset", message.base_offset()),
      .checkpoint = ReadCheckpoint(fields, "next_offset", message.next_offset(), message),
      .is_running = message.running()};
  fields.Check(held.base <= held.checkpoint.next, "next_offset", "is before base_offset");
  return fields.Finish(held);
}

}  // namespace drawbridge
