#include "server/api/view_convert.h"

#include <algorithm>

#include "model/convert/bridge.h"
#include "model/convert/checkpoint.h"
#include "model/convert/credential.h"
#include "model/convert/endpoint.h"
#include "model/convert/observation.h"
#include "model/convert/time.h"

namespace drawbridge {
namespace {

bool Concerns(const Condition& condition, const StoredStream& stream) {
  if (condition.stream) return *condition.stream == stream.id;
  return condition.topic.empty() || condition.topic == stream.topic;
}

const std::string& TopicOf(const FleetView& view, const Condition& condition) {
  if (condition.stream) {
    const auto found = std::ranges::find(view.stored.streams, *condition.stream, &StoredStream::id);
    if (found != view.stored.streams.end()) return found->topic;
  }
  return condition.topic;
}

v1::Condition ToProto(const SeenCondition& seen, const FleetView& view) {
  v1::Condition message = ToProto(seen.condition, seen.relay, view.at);
  message.set_topic(TopicOf(view, seen.condition));
  return message;
}

// Adds up what is known; one part that is not known makes the sum unknown.
template <typename T>
class Sum {
 public:
  void Add(const std::optional<T>& part) {
    is_known_ = is_known_ && part.has_value();
    if (part) value_ += *part;
    is_empty_ = false;
  }
  std::optional<T> value() const {
    return is_known_ && !is_empty_ ? std::optional(value_) : std::nullopt;
  }

 private:
  T value_{};
  bool is_known_ = true;
  bool is_empty_ = true;
};

}  // namespace

const StoredBridge* FindBridge(const FleetView& view, const std::string& name) {
  const auto found = std::ranges::find_if(
      view.stored.bridges, [&](const auto& bridge) { return bridge.spec.name == name; });
  return found == view.stored.bridges.end() ? nullptr : &*found;
}

v1::Endpoint ToProto(const StoredEndpoint& endpoint) {
  v1::Endpoint message = ToProto(endpoint.spec);
  message.set_generation(endpoint.generation);
  message.set_cluster_id(endpoint.cluster_id);
  return message;
}

v1::Bridge ToProto(const StoredBridge& bridge, const FleetView& view) {
  v1::Bridge message = ToProto(bridge.spec);
  message.set_generation(bridge.generation);
  message.set_paused(bridge.is_paused);
  const auto found = view.bridges.find(bridge.id);
  if (found == view.bridges.end()) return message;
  v1::BridgeStatus* const status = message.mutable_status();
  status->set_observed_generation(found->second.observed_generation);
  if (found->second.surveyor) status->set_surveyor(found->second.surveyor->value);
  if (found->second.surveyed_at) {
    *status->mutable_surveyed_at() = ToProto(*found->second.surveyed_at);
  }
  for (const SeenCondition& seen : found->second.conditions) {
    *status->add_conditions() = ToProto(seen, view);
  }
  return message;
}

v1::Stream ToProto(const StoredStream& stream, const StoredBridge& bridge, const FleetView& view,
                   const std::vector<StreamStore::Passed>& passed) {
  v1::Stream message;
  message.set_id(stream.id.value);
  message.set_bridge(bridge.spec.name);
  message.set_topic(stream.topic);
  message.set_target_topic(stream.target_topic);
  message.set_source_epoch(stream.source_epoch);
  message.set_paused(stream.is_paused);
  message.set_deselected(!stream.is_selected);

  std::vector<Motion> motions;
  Sum<int64_t> lag_records;
  Sum<double> records_per_second;
  Sum<double> bytes_per_second;
  std::optional<Duration> lag;
  std::optional<Duration> age;
  bool is_lag_known = true;
  bool is_age_known = true;
  v1::StreamStatus* const status = message.mutable_status();
  int64_t delivered = 0;
  for (const StoredPartition& partition : view.stored.partitions) {
    if (partition.key.stream != stream.id) continue;
    const auto found = view.partitions.find(partition.key);
    if (found == view.partitions.end()) continue;
    const PartitionStatus& one = found->second;
    motions.push_back(one.motion);
    lag_records.Add(one.lag_records);
    records_per_second.Add(one.records_per_second);
    bytes_per_second.Add(one.bytes_per_second);
    delivered += one.records_delivered;
    is_lag_known = is_lag_known && one.lag.has_value();
    is_age_known = is_age_known && one.age.has_value();
    lag = std::max(lag, one.lag);
    age = std::max(age, one.age);
  }
  message.set_partitions(static_cast<int32_t>(motions.size()));
  status->set_motion(ToProto(Worst(motions)));
  if (lag_records.value()) status->set_lag_records(*lag_records.value());
  if (records_per_second.value()) status->set_records_per_second(*records_per_second.value());
  if (bytes_per_second.value()) status->set_bytes_per_second(*bytes_per_second.value());
  if (lag && is_lag_known) *status->mutable_lag() = ToProto(*lag);
  if (age && is_age_known) *status->mutable_age() = ToProto(*age);
  status->set_records_delivered(delivered);
  const auto counts = std::ranges::find(passed, stream.id, &StreamStore::Passed::stream);
  if (counts != passed.end()) {
    status->set_records_filtered(counts->filtered_records);
    status->set_gap_offsets(counts->gap_offsets);
    status->set_dead_letters(counts->dead_letters);
  }
  const auto seen = view.bridges.find(bridge.id);
  if (seen != view.bridges.end()) {
    for (const SeenCondition& condition : seen->second.conditions) {
      if (Concerns(condition.condition, stream)) {
        *status->add_conditions() = ToProto(condition, view);
      }
    }
  }
  return message;
}

v1::Partition ToProto(const StoredPartition& partition, const StoredStream& stream,
                      const StoredBridge& bridge, const FleetView& view) {
  v1::Partition message;
  message.set_bridge(bridge.spec.name);
  message.set_topic(stream.topic);
  message.set_partition(partition.key.partition);
  message.set_next_offset(partition.checkpoint.next.value);
  if (partition.checkpoint.anchor) {
    *message.mutable_anchor() = ToProto(*partition.checkpoint.anchor);
  }
  if (partition.owner) message.set_relay(partition.owner->value);
  message.set_epoch(partition.token.epoch);
  message.set_incarnation(partition.token.incarnation);
  *message.mutable_updated_at() = ToProto(partition.updated_at);
  const auto found = view.partitions.find(partition.key);
  if (found == view.partitions.end()) return message;
  const PartitionStatus& status = found->second;
  if (status.log_start) message.set_log_start(status.log_start->value);
  if (status.log_end) message.set_log_end(status.log_end->value);
  if (status.in_flight) message.set_in_flight(*status.in_flight);
  if (status.lag) *message.mutable_lag() = ToProto(*status.lag);
  message.set_motion(ToProto(status.motion));
  return message;
}

v1::Gap ToProto(const StoredGap& gap) {
  v1::Gap message;
  message.set_bridge(gap.bridge);
  message.set_topic(gap.topic);
  message.set_partition(gap.key.partition);
  message.set_from_offset(gap.gap.range.first.value);
  message.set_to_offset(gap.gap.range.end.value);
  message.set_cause(ToProto(gap.gap.cause));
  *message.mutable_at() = ToProto(gap.at);
  return message;
}

v1::DeadLetterGroup ToProto(const StoredDeadLetters& group) {
  v1::DeadLetterGroup message;
  message.set_bridge(group.bridge);
  message.set_topic(group.topic);
  message.set_error(group.error);
  message.set_records(group.records);
  message.set_retried(group.retried);
  *message.mutable_first_at() = ToProto(group.first_at);
  *message.mutable_last_at() = ToProto(group.last_at);
  return message;
}

v1::Relay ToProto(const StoredRelay& relay, const FleetView& view) {
  v1::Relay message;
  message.set_name(relay.name.value);
  for (const auto& [key, value] : relay.labels) (*message.mutable_labels())[key] = value;
  *message.mutable_certificate_not_after() = ToProto(relay.certificate_not_after);
  message.set_version(relay.version);
  message.set_librdkafka_version(relay.librdkafka);
  const auto found = view.relays.find(relay.name);
  const bool is_connected = found != view.relays.end() && found->second.is_connected;
  message.set_state(relay.is_revoked ? v1::RELAY_STATE_REVOKED
                    : is_connected   ? v1::RELAY_STATE_CONNECTED
                                     : v1::RELAY_STATE_DISCONNECTED);
  if (found == view.relays.end()) return message;
  if (found->second.last_seen) *message.mutable_last_seen() = ToProto(*found->second.last_seen);
  message.set_partitions(found->second.partitions);
  message.set_surveys(found->second.surveys);
  for (const Condition& condition : found->second.conditions) {
    *message.add_conditions() = ToProto(condition, relay.name, view.at);
  }
  return message;
}

v1::Credential ToProto(const StoredCredential& credential) {
  v1::Credential message;
  message.set_name(credential.name);
  message.set_kind(ToProto(credential.kind));
  message.set_version(credential.version);
  *message.mutable_updated_at() = ToProto(credential.updated_at);
  message.set_username(credential.username);
  if (credential.not_after) *message.mutable_not_after() = ToProto(*credential.not_after);
  return message;
}

}  // namespace drawbridge
