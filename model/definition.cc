#include "model/definition.h"

#include <algorithm>
#include <charconv>
#include <span>

#include <fmt/format.h>

namespace drawbridge {
namespace {

Status Invalid(std::string field, std::string message) {
  return {StatusCode::kInvalidArgument, Reason::kFieldInvalid, std::move(message),
          std::move(field)};
}

bool IsHostAndPort(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view port = address.substr(colon + 1);
  int number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return error == std::errc() && end == port.data() + port.size() && number > 0 && number < 65536 &&
         address.find_first_of(" ,/\t\r\n") == std::string_view::npos;
}

// Names of hosts are the same in capitals.
bool AreSameAddress(std::string_view one, std::string_view other) {
  const auto in_lower_case = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::ranges::equal(one, other, {}, in_lower_case, in_lower_case);
}

bool IsEncrypted(std::string_view url) { return url.starts_with("https://"); }

bool Takes(const Capabilities& capabilities, Compression compression) {
  return compression == Compression::kDefault ||
         std::ranges::find(capabilities.codecs, compression) != capabilities.codecs.end();
}

Status Unsupported(std::string field, std::string message) {
  return {StatusCode::kFailedPrecondition, Reason::kGuaranteeUnsupported, std::move(message),
          std::move(field)};
}

// Whether a topic that `first` carries is carried on by `second`.
bool Feeds(const TopicFlow& first, const TopicFlow& second) {
  const bool by_first = std::ranges::any_of(first.selection.literals(), [&](const auto& topic) {
    return second.selection.Matches(first.mapping.Apply(topic));
  });
  const bool by_second = std::ranges::any_of(second.selection.literals(), [&](const auto& topic) {
    const std::optional<std::string> origin = first.mapping.Inverse(topic);
    return origin && first.selection.Matches(*origin);
  });
  // Two patterns may meet in a name that nobody has written yet.
  return by_first || by_second ||
         (first.selection.has_patterns() && second.selection.has_patterns());
}

bool IsCertificate(const std::string& pem) {
  return pem.find("-----BEGIN CERTIFICATE-----") != std::string::npos;
}

Status Check(const KafkaEndpoint& kafka) {
  if (kafka.bootstrap.empty()) {
    return Invalid("kafka.bootstrap", "name at least one broker as host:port");
  }
  for (size_t i = 0; i < kafka.bootstrap.size(); ++i) {
    if (!IsHostAndPort(kafka.bootstrap[i])) {
      return Invalid(fmt::format("kafka.bootstrap[{}]", i),
                     fmt::format("\"{}\" is not host:port", kafka.bootstrap[i]));
    }
  }
  if (kafka.plaintext && !kafka.ca_pem.empty()) {
    return Invalid("kafka.ca_pem", "a CA has no meaning without TLS: leave out one of the two");
  }
  if (!kafka.ca_pem.empty() && !IsCertificate(kafka.ca_pem)) {
    return Invalid("kafka.ca_pem", "this is no certificate in PEM");
  }
  if (kafka.source_retention && *kafka.source_retention <= Duration::zero()) {
    return Invalid("kafka.source_retention", "a retention is longer than nothing");
  }
  return {};
}

// Nothing behind the port: a path would be another product's, or a proxy's.
bool IsUrl(std::string_view address) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (address.starts_with(scheme)) {
      address.remove_prefix(scheme.size());
      return IsHostAndPort(address) && address.find_first_of("@?#") == std::string_view::npos;
    }
  }
  return false;
}

Status Check(const OpenSearchEndpoint& engine) {
  if (engine.addresses.empty()) {
    return Invalid("opensearch.addresses", "name at least one address as https://host:port");
  }
  for (size_t i = 0; i < engine.addresses.size(); ++i) {
    const std::string field = fmt::format("opensearch.addresses[{}]", i);
    if (!IsUrl(engine.addresses[i])) {
      return Invalid(field, fmt::format("\"{}\" is not https://host:port or http://host:port, with "
                                        "nothing behind the port",
                                        engine.addresses[i]));
    }
    if (engine.addresses[i].find(".aoss.amazonaws.com") != std::string::npos) {
      return {
          StatusCode::kInvalidArgument, Reason::kGuaranteeUnsupported,
          "OpenSearch Serverless takes no ids of ours, without which a record that is sent "
          "again is there twice, and only requests that SigV4 signs: use a domain of OpenSearch "
          "Service",
          field};
    }
    if (IsEncrypted(engine.addresses[i]) != IsEncrypted(engine.addresses[0])) {
      return Invalid(field, "all addresses are https, or none is");
    }
    const auto earlier = std::span(engine.addresses).first(i);
    if (std::ranges::any_of(earlier, [&](const std::string& other) {
          return AreSameAddress(other, engine.addresses[i]);
        })) {
      return Invalid(field,
                     fmt::format("\"{}\" is there twice: leave it out here", engine.addresses[i]));
    }
  }
  if (!engine.is_encrypted() && !engine.ca_pem.empty()) {
    return Invalid("opensearch.ca_pem", "a CA has no meaning without TLS: use https addresses");
  }
  if (!engine.ca_pem.empty() && !IsCertificate(engine.ca_pem)) {
    return Invalid("opensearch.ca_pem", "this is no certificate in PEM");
  }
  return {};
}

// What a bridge names of an engine's indexes, and where its dead letters go.
Status CheckIndexes(const BridgeTarget& target, const TopicSelection& selection) {
  const StatusOr<IndexTemplate> index = IndexTemplate::Create(target.index);
  if (!index.ok()) return index.status().At("target.index");
  if (target.dead_letter_max_percent < 0 || target.dead_letter_max_percent > 100) {
    return Invalid(
        "target.dead_letter_max_percent",
        "is a percentage of the records, 1 to 100; leave it out, or write 0, for no limit");
  }
  if (!target.dead_letter_index.empty()) {
    const StatusOr<IndexTemplate> letters = IndexTemplate::Create(target.dead_letter_index);
    if (!letters.ok()) return letters.status().At("target.dead_letter_index");
    if (letters->has_time() || letters->has_topic()) {
      return Invalid("target.dead_letter_index", "is one index: leave out the {...}");
    }
  }
  if (!target.dead_letter_topic.empty()) {
    constexpr const char* kField = "target.dead_letter_topic";
    if (!target.dead_letter_index.empty()) {
      return Invalid(kField, "dead letters go to a topic or to an index: leave out the one");
    }
    if (!IsTopicName(target.dead_letter_topic)) {
      return Invalid(kField, fmt::format("\"{}\" is no topic name: use letters, digits, '.', '_' "
                                         "and '-', at most 249",
                                         target.dead_letter_topic));
    }
    if (selection.Matches(target.dead_letter_topic)) {
      return Invalid(kField, fmt::format("the bridge would carry its own dead letters: give them a "
                                         "topic that source.topics does not select, as it does {}",
                                         target.dead_letter_topic));
    }
    return {};
  }
  if (index->MayName(target.letters())) {
    return Invalid("target.dead_letter_index",
                   fmt::format("{} could be the index of records as well, which \"{}\" names: give "
                               "dead letters one that begins otherwise",
                               target.letters(), target.index));
  }
  return {};
}

Status CheckTopics(const BridgeSpec& bridge, const TopicSelection& selection) {
  const StatusOr<TopicTemplate> mapping = TopicTemplate::Create(bridge.target.topic);
  if (!mapping.ok()) return mapping.status().At("target.topic");
  if (!mapping->has_placeholder() &&
      (selection.has_patterns() || selection.literals().size() > 1)) {
    return Invalid("target.topic",
                   "several source topics cannot share one target topic: use {topic} in its name");
  }
  return {};
}

// What one kind of target has and the other has not would be lost without a word.
Status CheckKind(const BridgeTarget& target, const EndpointSpec& endpoint) {
  const auto meaningless = [&](const std::string& field, std::string_view kind) {
    return Invalid("target." + field,
                   fmt::format("has no meaning for {}, which is {}: leave it out, or name another "
                               "endpoint",
                               endpoint.name, kind));
  };
  if (endpoint.is_kafka()) {
    constexpr std::string_view kKind = "a Kafka cluster";
    if (!target.index.empty()) return meaningless("index", kKind);
    if (!target.dead_letter_index.empty()) return meaningless("dead_letter_index", kKind);
    if (!target.dead_letter_topic.empty()) return meaningless("dead_letter_topic", kKind);
    if (target.dead_letter_max_percent != 0) return meaningless("dead_letter_max_percent", kKind);
    return {};
  }
  constexpr std::string_view kKind = "a search engine";
  const BridgeTarget usual;
  if (target.topic != usual.topic) return meaningless("topic", kKind);
  if (target.compression != usual.compression) return meaningless("compression", kKind);
  if (target.replication_factor != usual.replication_factor) {
    return meaningless("replication_factor", kKind);
  }
  if (target.provenance != usual.provenance) return meaningless("provenance", kKind);
  if (target.require_idempotence) return meaningless("require_idempotence", kKind);
  if (target.index.empty()) {
    return Invalid("target.index", fmt::format("{} is a search engine: name an index such as "
                                               "\"logs-{{topic}}-{{+yyyy.MM.dd}}\"",
                                               endpoint.name));
  }
  return {};
}

}  // namespace

std::string BridgeTarget::letters() const {
  return dead_letter_index.empty() ? std::string(kDeadLetterIndex) : dead_letter_index;
}

bool OpenSearchEndpoint::is_encrypted() const {
  return !addresses.empty() && IsEncrypted(addresses.front());
}

const std::string& EndpointSpec::credential() const {
  return is_kafka() ? kafka().credential : opensearch().credential;
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= 63 && name.front() >= 'a' && name.front() <= 'z' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

Status Validate(const EndpointSpec& endpoint) {
  if (!IsName(endpoint.name)) {
    return Invalid("name", "a name has 1 to 63 of a-z, 0-9 and '-', and starts with a letter");
  }
  return endpoint.is_kafka() ? Check(endpoint.kafka()) : Check(endpoint.opensearch());
}

Status Validate(const BridgeSpec& bridge) {
  if (!IsName(bridge.name)) {
    return Invalid("name", "a name has 1 to 63 of a-z, 0-9 and '-', and starts with a letter");
  }
  const StatusOr<TopicSelection> selection = TopicSelection::Create(bridge.source.topics);
  if (!selection.ok()) return selection.status().At("source.topics");
  const bool has_index = !bridge.target.index.empty();
  if (Status target =
          has_index ? CheckIndexes(bridge.target, *selection) : CheckTopics(bridge, *selection);
      !target.ok()) {
    return target;
  }
  if (bridge.lanes < 1 || bridge.lanes > kLanesMax) {
    return Invalid("lanes", fmt::format("lanes are 1 to {}", kLanesMax));
  }
  if (bridge.target.replication_factor < 0 || bridge.target.replication_factor > 32767) {
    return Invalid("target.replication_factor", "a replication factor is 1 to 32767");
  }
  for (const auto& [key, value] : bridge.placement) {
    if (key.empty() || value.empty()) return Invalid("placement", "a label has a key and a value");
  }
  return {};
}

bool AreSameCluster(const KnownEndpoint& a, const KnownEndpoint& b) {
  if (a.spec.name == b.spec.name) return true;
  if (!a.spec.is_kafka() || !b.spec.is_kafka()) return false;
  const KafkaEndpoint& one = a.spec.kafka();
  const KafkaEndpoint& other = b.spec.kafka();
  if (!one.cluster_key.empty() && one.cluster_key == other.cluster_key) return true;
  if (!a.cluster_id.empty() && a.cluster_id == b.cluster_id) return true;
  return std::ranges::any_of(one.bootstrap, [&](const std::string& address) {
    return std::ranges::find(other.bootstrap, address) != other.bootstrap.end();
  });
}

Status ValidateWithEndpoints(const BridgeSpec& bridge, const KnownEndpoint& source,
                             const KnownEndpoint& target) {
  if (!source.spec.is_kafka()) {
    return Invalid("source.endpoint", fmt::format("{} is a search engine, which can be a target "
                                                  "only: name a Kafka cluster",
                                                  source.spec.name));
  }
  if (Status fits = CheckKind(bridge.target, target.spec); !fits.ok()) return fits;
  if (!target.spec.is_kafka()) return {};
  const TopicFlow flow = FlowOf(bridge);
  if (AreSameCluster(source, target)) {
    const bool is_onto_itself =
        flow.mapping.is_identity() ||
        std::ranges::any_of(flow.selection.literals(), [&](const std::string& topic) {
          return flow.mapping.Apply(topic) == topic;
        });
    if (is_onto_itself) {
      return {
          StatusCode::kInvalidArgument, Reason::kBridgeOntoItself,
          bridge.source.endpoint == bridge.target.endpoint
              ? fmt::format("the bridge would write the topics of \"{}\" onto themselves: choose "
                            "another target, or another name for the topics",
                            bridge.source.endpoint)
              : fmt::format("\"{}\" and \"{}\" are one cluster, so the bridge would write its "
                            "topics onto themselves: choose another target, or another name for "
                            "the topics",
                            bridge.source.endpoint, bridge.target.endpoint),
          "target.endpoint"};
    }
  }
  const Capabilities& capabilities = CapabilitiesOf(target.spec.kafka().profile);
  if (bridge.target.require_idempotence && !capabilities.idempotence) {
    return Unsupported(
        "target.require_idempotence",
        fmt::format("{} has no idempotent production: leave require_idempotence out, "
                    "or choose another target",
                    capabilities.name));
  }
  if (!Takes(capabilities, bridge.target.compression)) {
    return Unsupported(
        "target.compression",
        fmt::format("{} does not take {}: use {}", capabilities.name,
                    Name(bridge.target.compression), Name(capabilities.codecs.front())));
  }
  return {};
}

bool FeedEachOther(const BridgeSpec& here, const BridgeSpec& there) {
  if (here.target.provenance && there.target.provenance) return false;
  const TopicFlow out = FlowOf(here);
  const TopicFlow back = FlowOf(there);
  return Feeds(out, back) && Feeds(back, out);
}

std::string TargetNameOf(const BridgeSpec& bridge, const std::string& topic) {
  if (bridge.target.index.empty()) return FlowOf(bridge).mapping.Apply(topic);
  const StatusOr<IndexTemplate> index = IndexTemplate::Create(bridge.target.index);
  return index.ok() ? index->ForTopic(topic) : topic;
}

TopicFlow FlowOf(const BridgeSpec& bridge) {
  StatusOr<TopicSelection> selection = TopicSelection::Create(bridge.source.topics);
  StatusOr<TopicTemplate> mapping = TopicTemplate::Create(bridge.target.topic);
  return {selection.ok() ? *std::move(selection) : TopicSelection{},
          mapping.ok() ? *std::move(mapping) : TopicTemplate{}};
}

}  // namespace drawbridge
