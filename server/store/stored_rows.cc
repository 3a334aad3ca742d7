#include "server/store/stored_rows.h"

#include <bit>

#include "server/store/spec_json.h"

namespace drawbridge {
namespace {

CredentialKind KindFromName(const std::string& name) {
  if (name == "sasl-scram-sha-256") return CredentialKind::kSaslScramSha256;
  if (name == "sasl-scram-sha-512") return CredentialKind::kSaslScramSha512;
  if (name == "basic") return CredentialKind::kBasic;
  if (name == "api-key") return CredentialKind::kApiKey;
  return name == "mtls" ? CredentialKind::kMtls : CredentialKind::kSaslPlain;
}

// Columns: stream_id, partition, incarnation, epoch, owner_relay, next_offset, anchor_offset,
// anchor_ts_ms, anchor_hash, updated_at_us.
StoredPartition PartitionFrom(const Statement& row) {
  StoredPartition partition;
  partition.key = {.stream = {row.Int(0)}, .partition = static_cast<PartitionNumber>(row.Int(1))};
  partition.token = {.incarnation = row.Int(2), .epoch = row.Int(3)};
  if (!row.IsNull(4)) partition.owner = RelayName{row.Text(4)};
  partition.checkpoint.next = {row.Int(5)};
  if (!row.IsNull(6)) {
    partition.checkpoint.anchor = Anchor{.offset = {row.Int(6)},
                                         .timestamp_ms = row.Int(7),
                                         .hash = std::bit_cast<uint64_t>(row.Int(8))};
  }
  partition.updated_at = FromMicros(row.Int(9));
  return partition;
}

Status ReadMeta(Database& database, DesiredState& state) {
  Statement row = database.Prepare("SELECT deployment_id, incarnation, revision FROM meta");
  if (!row.Step()) return row.status();
  state.deployment_id = row.Text(0);
  state.incarnation = row.Int(1);
  state.revision = row.Int(2);
  return {};
}

Status ReadEndpoints(Database& database, DesiredState& state) {
  Statement rows =
      database.Prepare("SELECT spec, generation, cluster_id FROM endpoints ORDER BY name");
  while (rows.Step()) {
    StatusOr<EndpointSpec> spec = EndpointFromJson(rows.Text(0));
    if (!spec.ok()) return spec.status();
    state.endpoints.push_back(
        {.spec = *std::move(spec), .generation = rows.Int(1), .cluster_id = rows.Text(2)});
  }
  return rows.status();
}

Status ReadCredentials(Database& database, DesiredState& state) {
  Statement rows = database.Prepare(
      "SELECT id, name, version, kind, username, not_after_us, updated_at_us FROM credentials "
      "ORDER BY name");
  while (rows.Step()) {
    StoredCredential credential{.id = {rows.Int(0)},
                                .name = rows.Text(1),
                                .version = rows.Int(2),
                                .kind = KindFromName(rows.Text(3)),
                                .username = rows.Text(4),
                                .not_after = std::nullopt,
                                .updated_at = FromMicros(rows.Int(6))};
    if (!rows.IsNull(5)) credential.not_after = FromMicros(rows.Int(5));
    state.credentials.push_back(std::move(credential));
  }
  return rows.status();
}

Status ReadBridges(Database& database, DesiredState& state) {
  Statement rows = database.Prepare(
      "SELECT id, spec, generation, is_paused, is_start_resolved, source_cluster_id, "
      "target_cluster_id FROM bridges ORDER BY name");
  while (rows.Step()) {
    StatusOr<BridgeSpec> spec = BridgeFromJson(rows.Text(1));
    if (!spec.ok()) return spec.status();
    state.bridges.push_back({.id = {rows.Int(0)},
                             .spec = *std::move(spec),
                             .generation = rows.Int(2),
                             .is_paused = rows.Int(3) != 0,
                             .is_start_resolved = rows.Int(4) != 0,
                             .source_cluster_id = rows.Text(5),
                             .target_cluster_id = rows.Text(6)});
  }
  return rows.status();
}

Status ReadStreams(Database& database, DesiredState& state) {
  Statement rows = database.Prepare(
      "SELECT id, bridge_id, topic, target_topic, source_epoch, is_paused, target_partitions, "
      "is_selected, topic_id "
      "FROM streams ORDER BY bridge_id, topic");
  while (rows.Step()) {
    state.streams.push_back({.id = {rows.Int(0)},
                             .bridge = {rows.Int(1)},
                             .topic = rows.Text(2),
                             .target_topic = rows.Text(3),
                             .source_epoch = static_cast<int>(rows.Int(4)),
                             .is_paused = rows.Int(5) != 0,
                             .target_partitions = static_cast<int>(rows.Int(6)),
                             .is_selected = rows.Int(7) != 0,
                             .topic_id = rows.Text(8)});
  }
  return rows.status();
}

Status ReadPartitions(Database& database, DesiredState& state) {
  Statement rows = database.Prepare(
      "SELECT stream_id, partition, incarnation, epoch, owner_relay, next_offset, anchor_offset, "
      "anchor_ts_ms, anchor_hash, updated_at_us FROM checkpoints ORDER BY stream_id, partition");
  while (rows.Step()) state.partitions.push_back(PartitionFrom(rows));
  return rows.status();
}

Status ReadRelays(Database& database, DesiredState& state) {
  Statement rows = database.Prepare(
      "SELECT name, labels, certificate_serial, certificate_not_after_us, is_revoked, version, "
      "librdkafka, last_seen_us FROM relays ORDER BY name");
  while (rows.Step()) {
    StatusOr<Labels> labels = LabelsFromJson(rows.Text(1));
    if (!labels.ok()) return labels.status();
    StoredRelay relay{.name = {rows.Text(0)},
                      .labels = *std::move(labels),
                      .certificate_serial = rows.Text(2),
                      .certificate_not_after = FromMicros(rows.Int(3)),
                      .is_revoked = rows.Int(4) != 0,
                      .version = rows.Text(5),
                      .librdkafka = rows.Text(6),
                      .last_seen = std::nullopt};
    if (!rows.IsNull(7)) relay.last_seen = FromMicros(rows.Int(7));
    state.relays.push_back(std::move(relay));
  }
  return rows.status();
}

}  // namespace

StatusOr<StoredPartition> ReadPartition(Database& database, PartitionKey key) {
  Statement row = database.Prepare(
      "SELECT stream_id, partition, incarnation, epoch, owner_relay, next_offset, anchor_offset, "
      "anchor_ts_ms, anchor_hash, updated_at_us FROM checkpoints "
      "WHERE stream_id = ? AND partition = ?");
  row.Bind(key.stream.value).Bind(int64_t{key.partition});
  if (row.Step()) return PartitionFrom(row);
  if (!row.status().ok()) return row.status();
  return Status(StatusCode::kNotFound, Reason::kNotFound, "no such partition");
}

StatusOr<DesiredState> ReadDesiredState(Database& database) {
  DesiredState state;
  for (Status (*const read)(Database&, DesiredState&) :
       {ReadMeta, ReadEndpoints, ReadCredentials, ReadBridges, ReadStreams, ReadPartitions,
        ReadRelays}) {
    if (Status done = read(database, state); !done.ok()) return done;
  }
  return state;
}

}  // namespace drawbridge
