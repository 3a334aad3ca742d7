#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/motion.h"
#include "model/observation.h"
#include "server/store/rows.h"

namespace drawbridge {

// What an operator sees of one partition.
struct PartitionStatus {
  Motion motion = Motion::kUnknown;
  std::optional<Offset> log_start;
  std::optional<Offset> log_end;
  std::optional<int64_t> in_flight;
  std::optional<int64_t> lag_records;
  std::optional<Duration> lag;
  std::optional<Duration> age;  // of the evidence
  std::optional<double> records_per_second;
  std::optional<double> bytes_per_second;
  int64_t records_delivered = 0;  // since the server started
};

// A condition with who saw it.
struct SeenCondition {
  Condition condition;
  RelayName relay;
};

// What relays have reported, newest per partition, and what follows from it. Runs on the
// controller's thread only.
class FleetObservations {
 public:
  void Take(const RelayName& relay, const Report& report, BootTime now, WallTime wall_now);
  // The ends of logs that a survey looked at, for partitions that no lane reads.
  void TakeLog(PartitionKey key, std::optional<Offset> start, std::optional<Offset> end,
               BootTime now);
  // What a relay said before is not true any more once its session is gone for good.
  void ForgetConditions(const RelayName& relay);
  // Forgets partitions that are not among these, which are in the order of their keys.
  void KeepOnly(const std::vector<StoredPartition>& partitions);

  PartitionStatus StatusOf(const StoredPartition& partition, bool is_paused, bool has_condition,
                           BootTime now, WallTime wall_now) const;

  // What is wrong with this partition, or with all of its bridge.
  bool HasCondition(BridgeId bridge, PartitionKey key) const;
  std::vector<SeenCondition> ConditionsOf(BridgeId bridge) const;

 private:
  struct Sample {
    BootTime at;
    int64_t records = 0;
    int64_t bytes = 0;
  };
  struct Observed {
    PartitionReport report;
    RelayName relay;
    BootTime at;
    std::deque<Sample> samples;                      // of the last seconds
    std::deque<std::pair<BootTime, Duration>> lags;  // of the last minute
    int64_t records_delivered = 0;
  };
  struct Log {
    std::optional<Offset> start;
    std::optional<Offset> end;
    BootTime at;
  };

  std::map<PartitionKey, Observed> observed_;
  std::map<PartitionKey, Log> logs_;
  std::map<RelayName, std::vector<Condition>> conditions_;
};

}  // namespace drawbridge
