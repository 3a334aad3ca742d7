#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/checkpoint.h"
#include "model/credential.h"
#include "model/definition.h"
#include "model/ids.h"

// What the store gives back: model values with what only the store knows of them.

namespace drawbridge {

struct StoredEndpoint {
  EndpointSpec spec;
  int64_t generation = 0;
  std::string cluster_id;  // empty: not seen yet
};

struct StoredBridge {
  BridgeId id;
  BridgeSpec spec;
  int64_t generation = 0;
  bool is_paused = false;
  bool is_start_resolved = false;
  std::string source_cluster_id;  // as first seen; empty: not yet
  std::string target_cluster_id;
};

struct StoredCredential {
  CredentialId id;
  std::string name;
  int64_t version = 0;
  CredentialKind kind = CredentialKind::kSaslPlain;
  std::string username;
  std::optional<WallTime> not_after;
  WallTime updated_at{};
};

struct StoredStream {
  StreamId id;
  BridgeId bridge;
  std::string topic;
  std::string target_topic;
  int source_epoch = 1;
  bool is_paused = false;
  int target_partitions = 0;
  bool is_selected = true;    // by its bridge's topics; if not, it is not carried
  std::string topic_id = {};  // of the topic that it carries; empty: not known
};

struct StoredPartition {
  PartitionKey key;
  FencingToken token;
  std::optional<RelayName> owner;
  Checkpoint checkpoint;
  WallTime updated_at{};
};

struct StoredGap {
  PartitionKey key;
  Gap gap;
  std::string bridge;
  std::string topic;
  WallTime at{};
};

// Dead letters of one stream and error, in all its partitions.
struct StoredDeadLetters {
  StreamId stream;
  std::string bridge;
  std::string topic;
  std::string error;
  int64_t records = 0;
  int64_t retried = 0;  // of them, with success
  WallTime first_at{};
  WallTime last_at{};
};

struct StoredRelay {
  RelayName name;
  Labels labels;
  std::string certificate_serial;
  WallTime certificate_not_after{};
  bool is_revoked = false;
  std::string version;
  std::string librdkafka;
  std::optional<WallTime> last_seen;
};

// All that relays shall be made to do, read at one moment.
struct DesiredState {
  std::string deployment_id;
  int64_t incarnation = 0;
  int64_t revision = 0;
  std::vector<StoredEndpoint> endpoints;
  std::vector<StoredCredential> credentials;
  std::vector<StoredBridge> bridges;
  std::vector<StoredStream> streams;
  std::vector<StoredPartition> partitions;  // in the order of their keys
  std::vector<StoredRelay> relays;

  std::span<const StoredPartition> PartitionsOf(StreamId stream) const {
    const auto stream_of = [](const StoredPartition& partition) { return partition.key.stream; };
    const auto first = std::ranges::lower_bound(partitions, stream, {}, stream_of);
    return {first, std::ranges::upper_bound(first, partitions.end(), stream, {}, stream_of)};
  }
};

// Who changes something, and why; makes the change safe to repeat.
struct Mutation {
  std::string actor;
  std::string reason;
  std::string request_id;
  std::string body_hash;  // of the request: the same id with another one is refused
  std::string response;   // what a repeated call shall get
};

// What became of a mutation.
struct Receipt {
  bool is_replayed = false;
  std::string response;  // the first call's
};

}  // namespace drawbridge
