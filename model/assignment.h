#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "model/credential.h"
#include "model/definition.h"
#include "model/ids.h"

namespace drawbridge {

// One partition that a relay shall carry, and from where.
struct PartitionAssignment {
  PartitionNumber partition = 0;
  FencingToken token;
  Checkpoint start;  // the stored checkpoint when the token was given out

  friend bool operator==(const PartitionAssignment&, const PartitionAssignment&) = default;
};

struct StreamAssignment {
  StreamId stream;
  std::string topic;
  std::string target_topic;
  int source_epoch = 1;
  bool is_paused = false;
  std::vector<PartitionAssignment> partitions;

  friend bool operator==(const StreamAssignment&, const StreamAssignment&) = default;
};

// A relay's share of a bridge: some partitions, the survey, or both.
struct BridgeAssignment {
  BridgeId bridge;
  int64_t generation = 0;
  BridgeSpec spec;
  EndpointSpec source;
  EndpointSpec target;
  std::optional<SecretRef> source_secret;
  std::optional<SecretRef> target_secret;
  std::string source_cluster_id;  // as first seen; empty: not known yet
  std::string target_cluster_id;
  bool surveys = false;
  std::vector<std::pair<std::vector<std::string>, std::string>> reverse_flows;  // topics, template
  std::vector<StreamAssignment> streams;

  friend bool operator==(const BridgeAssignment&, const BridgeAssignment&) = default;
};

// All that a relay shall do: what is not in it is revoked.
struct Assignments {
  int64_t incarnation = 0;
  int64_t revision = 0;
  std::vector<BridgeAssignment> bridges;

  friend bool operator==(const Assignments&, const Assignments&) = default;
};

// A partition that a relay says it holds.
struct HeldPartition {
  PartitionKey key;
  FencingToken token;
  Offset base;
  Checkpoint checkpoint;
  bool is_running = false;  // else it is only in the journal
};

}  // namespace drawbridge
