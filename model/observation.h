#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/reason.h"
#include "model/checkpoint.h"
#include "model/ids.h"
#include "model/offset.h"

namespace drawbridge {

enum class Side { kSource, kTarget, kRelay, kServer };

// "source", "target", "relay", "server".
std::string_view Name(Side side);

// Something that is wrong at present. Nothing named: the whole bridge.
struct Condition {
  Side side = Side::kSource;
  Reason reason = Reason::kUnspecified;
  std::string text;  // the other end's words, and what to do
  BridgeId bridge;
  std::optional<StreamId> stream;
  std::optional<PartitionNumber> partition;
  std::string topic;            // where there is no stream yet
  std::optional<Duration> age;  // how long it has been so
  // A survey's: the bridge or topic must not run while it is so. A sink's: nothing passes.
  bool blocks = false;

  friend bool operator==(const Condition&, const Condition&) = default;
};

enum class PartitionState { kUnknown, kChecking, kRunning, kParked, kRetrying, kHalted, kPaused };

// What a lane knows of one of its partitions. Unset is unknown.
struct PartitionReport {
  PartitionKey key;
  FencingToken token;
  Offset confirmed;      // next offset after the longest confirmed prefix
  Offset read_position;  // next offset that will be read
  std::optional<Offset> log_start;
  std::optional<Offset> log_end;
  std::optional<int64_t> oldest_unconfirmed_ms;
  int64_t in_flight_records = 0;
  int64_t in_flight_bytes = 0;
  std::optional<Duration> since_moved;
  std::optional<Duration> since_source_seen;
  std::optional<Duration> waiting_for;
  PartitionState state = PartitionState::kUnknown;
  int64_t records_confirmed = 0;
  int64_t bytes_confirmed = 0;
  int64_t records_filtered = 0;
};

// What a relay sees at one moment.
struct Report {
  std::vector<PartitionReport> partitions;
  std::vector<Condition> conditions;
  int64_t buffered_bytes = 0;
};

struct SurveyedPartition {
  PartitionNumber partition = 0;
  std::optional<Offset> log_start;
  std::optional<Offset> log_end;
  std::optional<Offset> start;  // where the bridge's start points to
  bool is_target_ready = false;
};

struct SurveyedTopic {
  std::string topic;
  std::string target_topic;
  int target_partitions = 0;  // 0: the topic is not there
  std::vector<SurveyedPartition> partitions;
  std::optional<int64_t> retention_ms;  // -1: for ever
  // Another one than before: it was deleted and made anew. Empty: the source does not tell.
  std::string topic_id = {};
};

// What a look at a bridge's two clusters found.
struct SurveyResult {
  BridgeId bridge;
  int64_t generation = 0;
  std::string source_cluster_id;
  std::string target_cluster_id;
  std::vector<SurveyedTopic> topics;
  std::vector<Condition> conditions;
  bool is_complete = false;  // what is not named does not exist
};

// One step of an endpoint test.
struct EndpointCheck {
  std::string name;
  bool is_ok = false;
  Reason reason = Reason::kUnspecified;
  std::string detail;
};

}  // namespace drawbridge
