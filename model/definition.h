#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "model/ids.h"
#include "model/index_template.h"
#include "model/profile.h"
#include "model/topic.h"

namespace drawbridge {

// A Kafka cluster, as its definition describes it.
struct KafkaEndpoint {
  std::vector<std::string> bootstrap;  // host:port
  Profile profile = Profile::kKafka;
  std::string ca_pem;      // empty: the system's store
  std::string credential;  // empty: none
  bool plaintext = false;
  std::string cluster_key;  // empty: what the cluster says
  std::optional<Duration> source_retention;

  friend bool operator==(const KafkaEndpoint&, const KafkaEndpoint&) = default;
};

// Which search engine answers: what they do apart from each other is small, and told here.
enum class SearchProduct { kAsItTells, kOpenSearch, kElasticsearch };

// OpenSearch or Elasticsearch, as its definition describes it.
struct OpenSearchEndpoint {
  std::vector<std::string> addresses;  // http://host:port or https://host:port
  SearchProduct product = SearchProduct::kAsItTells;
  std::string ca_pem;      // empty: the system's store
  std::string credential;  // empty: none

  // Whether all that is said to it is encrypted.
  bool is_encrypted() const;

  friend bool operator==(const OpenSearchEndpoint&, const OpenSearchEndpoint&) = default;
};

// A cluster that can be a source or a target.
struct EndpointSpec {
  std::string name;
  std::variant<KafkaEndpoint, OpenSearchEndpoint> cluster;

  bool is_kafka() const { return std::holds_alternative<KafkaEndpoint>(cluster); }
  // Of an endpoint of that kind only.
  KafkaEndpoint& kafka() { return std::get<KafkaEndpoint>(cluster); }
  const KafkaEndpoint& kafka() const { return std::get<KafkaEndpoint>(cluster); }
  OpenSearchEndpoint& opensearch() { return std::get<OpenSearchEndpoint>(cluster); }
  const OpenSearchEndpoint& opensearch() const { return std::get<OpenSearchEndpoint>(cluster); }

  // The name of the credential, whatever kind it is; empty: none.
  const std::string& credential() const;

  friend bool operator==(const EndpointSpec&, const EndpointSpec&) = default;
};

// Where a stream starts that is there when its bridge is made.
struct Start {
  enum class Kind { kEarliest, kLatest, kTime } kind = Kind::kEarliest;
  WallTime time{};  // for kTime

  friend bool operator==(const Start&, const Start&) = default;
};

struct BridgeSource {
  std::string endpoint;
  std::vector<std::string> topics;
  Start start;

  friend bool operator==(const BridgeSource&, const BridgeSource&) = default;
};

struct BridgeTarget {
  std::string endpoint;
  std::string topic = "{topic}";
  Compression compression = Compression::kDefault;
  int replication_factor = 0;  // 0: the target's own default
  bool provenance = true;
  bool require_idempotence = false;
  // A search engine's.
  std::string index;                // "logs-{topic}-{+yyyy.MM.dd}"
  std::string dead_letter_index;    // empty: kDeadLetterIndex
  std::string dead_letter_topic;    // of the source's cluster, in place of the index; empty: none
  int dead_letter_max_percent = 0;  // of a partition's records, within an hour; 0: no limit

  // The index of its dead letters, unless they go to a topic.
  std::string letters() const;

  friend bool operator==(const BridgeTarget&, const BridgeTarget&) = default;
};

// Where an engine keeps the records that it refuses, unless the bridge says otherwise.
inline constexpr std::string_view kDeadLetterIndex = "drawbridge-dead-letters";

using Labels = std::map<std::string, std::string>;

// What is carried from where to where.
struct BridgeSpec {
  std::string name;
  BridgeSource source;
  BridgeTarget target;
  Labels placement;  // a relay must have all of them
  int lanes = 1;

  friend bool operator==(const BridgeSpec&, const BridgeSpec&) = default;
};

inline constexpr int kLanesMax = 64;

// Whether it is 1-63 of a-z, 0-9, '-', starting with a letter: the rule for every name.
bool IsName(std::string_view name);

// What is wrong with an endpoint by itself; the field is relative to it ("kafka.bootstrap[0]").
Status Validate(const EndpointSpec& endpoint);

// What is wrong with a bridge by itself; the field is relative to it ("source.topics[1]").
Status Validate(const BridgeSpec& bridge);

// An endpoint with what is known of its cluster.
struct KnownEndpoint {
  EndpointSpec spec;
  std::string cluster_id;  // as a relay saw it; empty: not yet
};

// Whether two endpoints are the same cluster, as far as can be told.
bool AreSameCluster(const KnownEndpoint& a, const KnownEndpoint& b);

// What is wrong with a bridge in the company of its endpoints: a bridge onto itself, a promise that
// the target's profile cannot keep. The field is relative to the bridge.
Status ValidateWithEndpoints(const BridgeSpec& bridge, const KnownEndpoint& source,
                             const KnownEndpoint& target);

// Whether `there` takes records from `here` back to where they came from, with nothing in the
// records to stop them going round. Both bridges are valid; their clusters are the same two.
bool FeedEachOther(const BridgeSpec& here, const BridgeSpec& there);

// What a topic of a valid bridge is called at its target: a topic, or an index whose time is open.
std::string TargetNameOf(const BridgeSpec& bridge, const std::string& topic);

// The topics and names of a valid bridge. Names of indexes are not names of topics: of a bridge to
// an engine every topic keeps its own.
TopicFlow FlowOf(const BridgeSpec& bridge);

}  // namespace drawbridge
