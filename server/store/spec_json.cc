#include "server/store/spec_json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace drawbridge {
namespace {

using nlohmann::json;

// Runs what may throw on a damaged text.
template <typename T, typename Read>
StatusOr<T> Parse(const std::string& text, Read read) {
  try {
    return read(json::parse(text));
  } catch (const json::exception& error) {
    return Status(StatusCode::kDataLoss, Reason::kDatabaseCorrupt,
                  fmt::format("a stored definition cannot be read: {}", error.what()));
  }
}

std::string_view KindName(Start::Kind kind) {
  switch (kind) {
    case Start::Kind::kEarliest:
      return "earliest";
    case Start::Kind::kLatest:
      return "latest";
    case Start::Kind::kTime:
      return "time";
  }
  return "earliest";
}

Start StartFrom(const json& source) {
  Start start;
  const std::string kind = source.value("start", "earliest");
  if (kind == "latest") start.kind = Start::Kind::kLatest;
  if (kind == "time") {
    start.kind = Start::Kind::kTime;
    start.time = FromMicros(source.value("start_time_us", int64_t{0}));
  }
  return start;
}

Compression CompressionFrom(const std::string& name) {
  for (const Compression known : {Compression::kNone, Compression::kGzip, Compression::kSnappy,
                                  Compression::kLz4, Compression::kZstd}) {
    if (Name(known) == name) return known;
  }
  return Compression::kDefault;
}

json JsonOf(const KafkaEndpoint& kafka) {
  json spec = {{"bootstrap", kafka.bootstrap}, {"profile", CapabilitiesOf(kafka.profile).name},
               {"ca_pem", kafka.ca_pem},       {"credential", kafka.credential},
               {"plaintext", kafka.plaintext}, {"cluster_key", kafka.cluster_key}};
  if (kafka.source_retention) spec["source_retention_ns"] = kafka.source_retention->count();
  return spec;
}

KafkaEndpoint KafkaFrom(const json& from) {
  KafkaEndpoint kafka;
  kafka.bootstrap = from.at("bootstrap").get<std::vector<std::string>>();
  kafka.profile = ProfileFromName(from.at("profile").get<std::string>()).value_or(Profile::kKafka);
  kafka.ca_pem = from.value("ca_pem", "");
  kafka.credential = from.value("credential", "");
  kafka.plaintext = from.value("plaintext", false);
  kafka.cluster_key = from.value("cluster_key", "");
  if (from.contains("source_retention_ns")) {
    kafka.source_retention = Duration(from.at("source_retention_ns").get<int64_t>());
  }
  return kafka;
}

std::string_view ProductName(SearchProduct product) {
  switch (product) {
    case SearchProduct::kAsItTells:
      return "";
    case SearchProduct::kOpenSearch:
      return "opensearch";
    case SearchProduct::kElasticsearch:
      return "elasticsearch";
  }
  return "";
}

json JsonOf(const OpenSearchEndpoint& engine) {
  return {{"addresses", engine.addresses},
          {"product", ProductName(engine.product)},
          {"ca_pem", engine.ca_pem},
          {"credential", engine.credential}};
}

OpenSearchEndpoint OpenSearchFrom(const json& from) {
  OpenSearchEndpoint engine;
  engine.addresses = from.at("addresses").get<std::vector<std::string>>();
  const std::string product = from.value("product", "");
  for (const SearchProduct known : {SearchProduct::kOpenSearch, SearchProduct::kElasticsearch}) {
    if (product == ProductName(known)) engine.product = known;
  }
  engine.ca_pem = from.value("ca_pem", "");
  engine.credential = from.value("credential", "");
  return engine;
}

}  // namespace

std::string ToJson(const EndpointSpec& endpoint) {
  json spec = {{"name", endpoint.name}};
  if (endpoint.is_kafka()) {
    spec["kafka"] = JsonOf(endpoint.kafka());
  } else {
    spec["opensearch"] = JsonOf(endpoint.opensearch());
  }
  return spec.dump();
}

std::string ToJson(const BridgeSpec& bridge) {
  json source = {{"endpoint", bridge.source.endpoint},
                 {"topics", bridge.source.topics},
                 {"start", KindName(bridge.source.start.kind)}};
  if (bridge.source.start.kind == Start::Kind::kTime) {
    source["start_time_us"] = ToMicros(bridge.source.start.time);
  }
  return json{{"name", bridge.name},
              {"source", source},
              {"target",
               {{"endpoint", bridge.target.endpoint},
                {"topic", bridge.target.topic},
                {"compression", Name(bridge.target.compression)},
                {"replication_factor", bridge.target.replication_factor},
                {"provenance", bridge.target.provenance},
                {"require_idempotence", bridge.target.require_idempotence},
                {"index", bridge.target.index},
                {"dead_letter_index", bridge.target.dead_letter_index},
                {"dead_letter_topic", bridge.target.dead_letter_topic},
                {"dead_letter_max_percent", bridge.target.dead_letter_max_percent}}},
              {"placement", bridge.placement},
              {"lanes", bridge.lanes}}
      .dump();
}

std::string ToJson(const Labels& labels) { return json(labels).dump(); }

StatusOr<EndpointSpec> EndpointFromJson(const std::string& text) {
  return Parse<EndpointSpec>(text, [](const json& spec) {
    EndpointSpec endpoint;
    endpoint.name = spec.at("name").get<std::string>();
    if (spec.contains("opensearch")) {
      endpoint.cluster = OpenSearchFrom(spec.at("opensearch"));
    } else {
      endpoint.cluster = KafkaFrom(spec.at("kafka"));
    }
    return endpoint;
  });
}

StatusOr<BridgeSpec> BridgeFromJson(const std::string& text) {
  return Parse<BridgeSpec>(text, [](const json& spec) {
    const json& source = spec.at("source");
    const json& target = spec.at("target");
    BridgeSpec bridge;
    bridge.name = spec.at("name").get<std::string>();
    bridge.source.endpoint = source.at("endpoint").get<std::string>();
    bridge.source.topics = source.at("topics").get<std::vector<std::string>>();
    bridge.source.start = StartFrom(source);
    bridge.target.endpoint = target.at("endpoint").get<std::string>();
    bridge.target.topic = target.at("topic").get<std::string>();
    bridge.target.compression = CompressionFrom(target.value("compression", "default"));
    bridge.target.replication_factor = target.value("replication_factor", 0);
    bridge.target.provenance = target.value("provenance", true);
    bridge.target.require_idempotence = target.value("require_idempotence", false);
    bridge.target.index = target.value("index", "");
    bridge.target.dead_letter_index = target.value("dead_letter_index", "");
    bridge.target.dead_letter_topic = target.value("dead_letter_topic", "");
    bridge.target.dead_letter_max_percent = target.value("dead_letter_max_percent", 0);
    bridge.placement = spec.value("placement", Labels{});
    bridge.lanes = spec.value("lanes", 1);
    return bridge;
  });
}

StatusOr<Labels> LabelsFromJson(const std::string& text) {
  return Parse<Labels>(text, [](const json& labels) { return labels.get<Labels>(); });
}

}  // namespace drawbridge
