#include "model/definition.h"

#include <algorithm>
#include <charconv>

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

}  // namespace

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
  const KafkaEndpoint& kafka = endpoint.kafka;
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
  if (!kafka.ca_pem.empty() &&
      kafka.ca_pem.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    return Invalid("kafka.ca_pem", "this is no certificate in PEM");
  }
  if (kafka.source_retention && *kafka.source_retention <= Duration::zero()) {
    return Invalid("kafka.source_retention", "a retention is longer than nothing");
  }
  return {};
}

Status Validate(const BridgeSpec& bridge) {
  if (!IsName(bridge.name)) {
    return Invalid("name", "a name has 1 to 63 of a-z, 0-9 and '-', and starts with a letter");
  }
  const StatusOr<TopicSelection> selection = TopicSelection::Create(bridge.source.topics);
  if (!selection.ok()) return selection.status().At("source.topics");
  const StatusOr<TopicTemplate> mapping = TopicTemplate::Create(bridge.target.topic);
  if (!mapping.ok()) return mapping.status().At("target.topic");
  if (!mapping->has_placeholder() &&
      (selection->has_patterns() || selection->literals().size() > 1)) {
    return Invalid("target.topic",
                   "several source topics cannot share one target topic: use {topic} in its name");
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
  if (!a.spec.kafka.cluster_key.empty() && a.spec.kafka.cluster_key == b.spec.kafka.cluster_key) {
    return true;
  }
  if (!a.cluster_id.empty() && a.cluster_id == b.cluster_id) return true;
  return std::ranges::any_of(a.spec.kafka.bootstrap, [&](const std::string& address) {
    return std::ranges::find(b.spec.kafka.bootstrap, address) != b.spec.kafka.bootstrap.end();
  });
}

Status ValidateWithEndpoints(const BridgeSpec& bridge, const KnownEndpoint& source,
                             const KnownEndpoint& target) {
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
  const Capabilities& capabilities = CapabilitiesOf(target.spec.kafka.profile);
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

TopicFlow FlowOf(const BridgeSpec& bridge) {
  StatusOr<TopicSelection> selection = TopicSelection::Create(bridge.source.topics);
  StatusOr<TopicTemplate> mapping = TopicTemplate::Create(bridge.target.topic);
  return {selection.ok() ? *std::move(selection) : TopicSelection{},
          mapping.ok() ? *std::move(mapping) : TopicTemplate{}};
}

}  // namespace drawbridge
