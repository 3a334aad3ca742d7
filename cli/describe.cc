#include <map>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/details.h"
#include "cli/listing.h"
#include "cli/tables.h"
#include "cli/text.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "drawbridge/v1/bridge.grpc.pb.h"
#include "drawbridge/v1/endpoint.grpc.pb.h"
#include "drawbridge/v1/relay_admin.grpc.pb.h"
#include "drawbridge/v1/stream.grpc.pb.h"
#include "model/definition.h"

namespace drawbridge::cli {
namespace {

struct DescribeOptions {
  std::string kind;
  std::string name;
};

std::string StartText(const v1::Start& start) {
  if (start.has_time()) return OrUnknown(true, start.time());
  return start.latest() ? "latest" : "earliest";
}

std::string CaText(const v1::KafkaEndpoint& kafka) {
  if (kafka.plaintext()) return "not used: no TLS";
  return kafka.ca_pem().empty() ? "the system's"
                                : fmt::format("given, {} bytes", kafka.ca_pem().size());
}

// The bridges that start or end here, as a list of names.
std::string UsersOf(const std::string& endpoint, const v1::ListBridgesResponse& bridges) {
  std::vector<std::string> users;
  for (const v1::Bridge& bridge : bridges.bridges()) {
    if (bridge.spec().source().endpoint() == endpoint) users.push_back(bridge.name() + " (source)");
    if (bridge.spec().target().endpoint() == endpoint) users.push_back(bridge.name() + " (target)");
  }
  return users.empty() ? kNone : fmt::format("{}", fmt::join(users, ", "));
}

void AddKafka(const v1::KafkaEndpoint& kafka, Details& details) {
  const bool is_default = kafka.profile() == v1::PROFILE_UNSPECIFIED;
  details.Add("Profile", EnumWord(is_default ? v1::PROFILE_KAFKA : kafka.profile()));
  details.Add("Bootstrap", fmt::format("{}", fmt::join(kafka.bootstrap(), ", ")));
  details.Add("Credential", OrNone(kafka.credential()));
  details.Add("CA", CaText(kafka));
  details.Add("Cluster key", OrNone(kafka.cluster_key()));
  details.Add("Source retention", kafka.has_source_retention()
                                      ? OrUnknown(true, kafka.source_retention())
                                      : "as the cluster tells");
}

void AddOpenSearch(const v1::OpenSearchEndpoint& engine, Details& details) {
  const std::string product = EnumWord(engine.product());
  details.Add("Product", product.empty() ? "as the engine tells" : product);
  details.Add("Addresses", fmt::format("{}", fmt::join(engine.addresses(), ", ")));
  details.Add("Credential", OrNone(engine.credential()));
  details.Add("CA", engine.ca_pem().empty()
                        ? "the system's"
                        : fmt::format("given, {} bytes", engine.ca_pem().size()));
}

ExitCode DescribeEndpoint(Session& session, const std::string& name) {
  v1::GetEndpointRequest request;
  request.set_name(name);
  const auto endpoint = session.Call(&v1::EndpointService::Stub::GetEndpoint, request);
  if (!endpoint.ok()) return session.Fail(endpoint.failure());
  const auto bridges = session.Call(&v1::BridgeService::Stub::ListBridges, {});
  if (!bridges.ok()) return session.Fail(bridges.failure());
  if (session.wants_json()) {
    session.Print(ToJson(*endpoint));
    return ExitCode::kOk;
  }
  Details details;
  details.Add("Endpoint", endpoint->name());
  details.Add("Generation", WithSeparators(endpoint->generation()));
  details.Add("Cluster", endpoint->cluster_id().empty() ? kUnknown : endpoint->cluster_id());
  if (endpoint->has_kafka()) AddKafka(endpoint->kafka(), details);
  if (endpoint->has_opensearch()) AddOpenSearch(endpoint->opensearch(), details);
  details.Add("Used by", UsersOf(name, *bridges));
  details.Print(session);
  return ExitCode::kOk;
}

void AddTopicTarget(const v1::BridgeTarget& target, Details& details) {
  details.Add("Target topic", target.topic().empty() ? "{topic}" : target.topic());
  const std::string codec = EnumWord(target.compression());
  details.Add("Compression", codec.empty() ? "the best that the target takes" : codec);
  details.Add("Replication", target.replication_factor() == 0
                                 ? "the target's default"
                                 : WithSeparators(target.replication_factor()));
  details.Add("Provenance header", target.omit_provenance() ? "no" : "yes");
  details.Add("Idempotence", target.require_idempotence() ? "required" : "where the target can");
}

void AddIndexTarget(const v1::BridgeTarget& target, Details& details) {
  std::string letters;
  if (!target.dead_letter_topic().empty()) {
    letters = "topic " + target.dead_letter_topic() + " of the source";
  } else if (!target.dead_letter_index().empty()) {
    letters = target.dead_letter_index();
  } else {
    letters = kDeadLetterIndex;
  }
  if (target.dead_letter_max_percent() != 0) {
    letters +=
        fmt::format(", at most {} % of a partition's records", target.dead_letter_max_percent());
  }
  details.Add("Index", target.index());
  details.Add("Dead letters", letters);
}

void AddSpec(const v1::BridgeSpec& spec, Details& details) {
  const v1::BridgeTarget& target = spec.target();
  details.Add("Source", spec.source().endpoint());
  details.Add("Topics", fmt::format("{}", fmt::join(spec.source().topics(), ", ")));
  details.Add("Start", StartText(spec.source().start()));
  details.Add("Target", target.endpoint());
  if (target.index().empty()) {
    AddTopicTarget(target, details);
  } else {
    AddIndexTarget(target, details);
  }
  const std::string labels = LabelText(spec.placement().labels());
  details.Add("Placement", labels.empty() ? "any relay" : labels);
  details.Add("Lanes", WithSeparators(std::max(spec.lanes(), 1)));
}

void AddStatus(const v1::Bridge& bridge, WallTime now, Details& details) {
  const v1::BridgeStatus& status = bridge.status();
  details.Add("Paused", bridge.paused() ? Cell("yes", Tone::kWarning) : Cell("no"));
  details.Add("Generation",
              fmt::format("{}, taken over: {}", bridge.generation(), status.observed_generation()));
  details.Add("Surveyor", OrNone(status.surveyor()));
  details.Add("Surveyed",
              status.has_surveyed_at() ? AgoOrUnknown(true, status.surveyed_at(), now) : "not yet");
  if (status.conditions().empty()) details.Add("Problems", "none");
}

ExitCode DescribeBridge(Session& session, const std::string& name) {
  v1::GetBridgeRequest request;
  request.set_name(name);
  const auto bridge = session.Call(&v1::BridgeService::Stub::GetBridge, request);
  if (!bridge.ok()) return session.Fail(bridge.failure());
  v1::ListStreamsRequest its_streams;
  its_streams.set_bridge(name);
  const auto streams = session.Call(&v1::StreamService::Stub::ListStreams, its_streams);
  if (!streams.ok()) return session.Fail(streams.failure());
  if (session.wants_json()) {
    Json json = ToJson(*bridge);
    json.update(ToJson(*streams));
    session.Print(json);
    return ExitCode::kOk;
  }
  Details details;
  details.Add("Bridge", bridge->name());
  AddSpec(bridge->spec(), details);
  AddStatus(*bridge, session.terminal().clock.WallNow(), details);
  details.AddTable("Problems", ConditionTable(bridge->status().conditions()));
  details.AddTable("Streams", StreamTable(*streams));
  details.Print(session);
  return ExitCode::kOk;
}

void AddStream(const v1::Stream& stream, Details& details) {
  const v1::StreamStatus& status = stream.status();
  details.Add("Stream", fmt::format("{}/{}", stream.bridge(), stream.topic()));
  details.Add("Id", fmt::format("{}", stream.id()));
  details.Add("Target topic", stream.target_topic());
  details.Add("Source epoch", fmt::format("{}", stream.source_epoch()));
  details.Add("Paused", stream.paused() ? Cell("yes", Tone::kWarning) : Cell("no"));
  details.Add("State", StreamStateCell(stream));
  details.Add("Evidence", status.has_age() ? OrUnknown(true, status.age()) + " old" : kUnknown);
  details.Add("Lag", fmt::format("{} records, {}",
                                 OrUnknown(status.has_lag_records(), status.lag_records()),
                                 OrUnknown(status.has_lag(), status.lag())));
  details.Add(
      "Rate",
      fmt::format("{} records/s, {} MB/s",
                  RateOrUnknown(status.has_records_per_second(), status.records_per_second()),
                  MegabytesOrUnknown(status.has_bytes_per_second(), status.bytes_per_second())));
  details.Add("Delivered", WithSeparators(status.records_delivered()));
  details.Add("Filtered", WithSeparators(status.records_filtered()));
  details.Add("Lost in gaps", Cell(WithSeparators(status.gap_offsets()),
                                   status.gap_offsets() > 0 ? Tone::kBad : Tone::kPlain));
  if (status.conditions().empty()) details.Add("Problems", "none");
}

ExitCode DescribeStream(Session& session, const std::string& name) {
  const StreamName id = ParseStreamName(name);
  v1::GetStreamRequest request;
  request.set_bridge(id.bridge);
  request.set_topic(id.topic);
  const auto stream = session.Call(&v1::StreamService::Stub::GetStream, request);
  if (!stream.ok()) return session.Fail(stream.failure());
  const auto partitions = AllPartitions(session, id);
  if (!partitions.ok()) return session.Fail(partitions.failure());
  if (session.wants_json()) {
    Json json = ToJson(*stream);
    json["partition_list"] = ToJson(*partitions)["partitions"];
    session.Print(json);
    return ExitCode::kOk;
  }
  Details details;
  AddStream(*stream, details);
  details.AddTable("Problems", ConditionTable(stream->status().conditions()));
  details.AddTable("Partitions", PartitionTable(*partitions));
  details.Print(session);
  return ExitCode::kOk;
}

ExitCode DescribeRelay(Session& session, const std::string& name) {
  v1::GetRelayRequest request;
  request.set_name(name);
  const auto relay = session.Call(&v1::RelayService::Stub::GetRelay, request);
  if (!relay.ok()) return session.Fail(relay.failure());
  if (session.wants_json()) {
    session.Print(ToJson(*relay));
    return ExitCode::kOk;
  }
  const WallTime now = session.terminal().clock.WallNow();
  Details details;
  details.Add("Relay", relay->name());
  details.Add("State", WordOrUnknown(relay->state()));
  details.Add("Labels", OrNone(LabelText(relay->labels())));
  details.Add("Last seen",
              relay->has_last_seen() ? AgoOrUnknown(true, relay->last_seen(), now) : "never");
  details.Add("Certificate ends",
              OrUnknown(relay->has_certificate_not_after(), relay->certificate_not_after()));
  details.Add("Partitions", WithSeparators(relay->partitions()));
  details.Add("Surveys", WithSeparators(relay->surveys()));
  details.Add("Version", relay->version().empty() ? kUnknown : relay->version());
  details.Add("librdkafka",
              relay->librdkafka_version().empty() ? kUnknown : relay->librdkafka_version());
  if (relay->conditions().empty()) details.Add("Problems", "none");
  details.AddTable("Problems", ConditionTable(relay->conditions()));
  details.Print(session);
  return ExitCode::kOk;
}

ExitCode Describe(Session& session, const DescribeOptions& options) {
  if (options.kind == "endpoint") return DescribeEndpoint(session, options.name);
  if (options.kind == "bridge") return DescribeBridge(session, options.name);
  if (options.kind == "stream") return DescribeStream(session, options.name);
  return DescribeRelay(session, options.name);
}

constexpr const char* kExamples = R"(Examples:
  drawbridge describe bridge oci-logs             its definition, problems and streams
  drawbridge describe stream oci-logs/audit       its state, problems and partitions
  drawbridge describe endpoint oci-fra
  drawbridge describe relay oci-1)";

}  // namespace

void AddDescribe(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<DescribeOptions>();
  CLI::App& describe = *app.add_subcommand("describe", "Show one thing in full, with its problems");
  describe.add_option("KIND", options->kind, "endpoint, bridge, stream or relay")
      ->required()
      ->check(OneOf({"endpoint", "bridge", "stream", "relay"}))
      ->type_name("");
  describe.add_option("NAME", options->name, "Its name; of a stream BRIDGE/TOPIC")
      ->required()
      ->type_name("");
  describe.footer(kExamples);
  Bind(describe, chosen, std::move(options), Describe);
}

}  // namespace drawbridge::cli
