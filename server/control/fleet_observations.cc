#include "server/control/fleet_observations.h"

#include <algorithm>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr Duration kRateSpan = 10s;
constexpr Duration kTrendSpan = 60s;
constexpr Duration kReportIsOld = 15s;
constexpr Duration kLogIsOld = 30s;  // a survey looks every 10 s, and has its patience

double PerSecond(int64_t count, Duration span) {
  return static_cast<double>(count) / std::chrono::duration<double>(span).count();
}

}  // namespace

void FleetObservations::Take(const RelayName& relay, const Report& report, BootTime now,
                             WallTime wall_now) {
  conditions_[relay] = report.conditions;
  for (const PartitionReport& partition : report.partitions) {
    const auto known = observed_.find(partition.key);
    if (known != observed_.end() && partition.token < known->second.report.token) continue;
    Observed& observed = observed_[partition.key];
    const bool is_same_writer = observed.relay == relay &&
                                observed.report.token == partition.token &&
                                partition.records_confirmed >= observed.report.records_confirmed;
    observed.records_delivered +=
        is_same_writer ? partition.records_confirmed - observed.report.records_confirmed
                       : partition.records_confirmed;
    if (!is_same_writer) observed.samples.clear();
    observed.report = partition;
    observed.relay = relay;
    observed.at = now;
    observed.samples.push_back(
        {.at = now, .records = partition.records_confirmed, .bytes = partition.bytes_confirmed});
    while (observed.samples.size() > 2 && now - observed.samples.front().at > kRateSpan) {
      observed.samples.pop_front();
    }
    if (const std::optional<Duration> lag = LagOf(partition, wall_now)) {
      observed.lags.emplace_back(now, *lag);
    }
    while (observed.lags.size() > 1 && now - observed.lags.front().first > kTrendSpan) {
      observed.lags.pop_front();
    }
  }
}

void FleetObservations::TakeLog(PartitionKey key, std::optional<Offset> start,
                                std::optional<Offset> end, BootTime now) {
  logs_[key] = {.start = start, .end = end, .at = now};
}

void FleetObservations::ForgetConditions(const RelayName& relay) { conditions_.erase(relay); }

void FleetObservations::KeepOnly(const std::vector<StoredPartition>& partitions) {
  const auto is_gone = [&](const auto& of_partition) {
    return !std::ranges::binary_search(partitions, of_partition.first, {}, &StoredPartition::key);
  };
  std::erase_if(observed_, is_gone);
  std::erase_if(logs_, is_gone);
}

PartitionStatus FleetObservations::StatusOf(const StoredPartition& partition, bool is_paused,
                                            bool has_condition, BootTime now,
                                            WallTime wall_now) const {
  PartitionStatus status;
  MotionEvidence evidence{.is_paused = is_paused,
                          .has_owner = partition.owner.has_value(),
                          .report = std::nullopt,
                          .age = std::nullopt,
                          .has_condition = has_condition,
                          .lag = std::nullopt,
                          .lag_a_minute_ago = std::nullopt};
  const auto log = logs_.find(partition.key);
  if (log != logs_.end() && now - log->second.at < kLogIsOld) {
    status.log_start = log->second.start;
    status.log_end = log->second.end;
  }
  const auto found = observed_.find(partition.key);
  if (found != observed_.end()) {
    const Observed& observed = found->second;
    PartitionReport report = observed.report;
    status.age = now - observed.at;
    const bool is_old = *status.age >= kReportIsOld;
    // What a lane says of a log that it does not see is what it saw last.
    if (is_old || !IsSourceSeen(report)) {
      report.log_start.reset();
      report.log_end.reset();
    }
    // A lane that does not fetch sees no log end: the later look counts.
    status.log_start = std::max(status.log_start, report.log_start);
    status.log_end = std::max(status.log_end, report.log_end);
    report.log_start = status.log_start;
    report.log_end = status.log_end;
    if (status.log_end && *status.log_end > report.confirmed && !report.waiting_for) {
      report.waiting_for = *status.age;
    }
    if (!is_old) status.in_flight = report.in_flight_records;
    status.lag_records = LagRecordsOf(report);
    // Nothing waited then; who knows since.
    if (!is_old || report.waiting_for) status.lag = LagOf(report, wall_now);
    status.records_delivered = observed.records_delivered;
    if (observed.samples.size() > 1 && *status.age < kReportIsOld) {
      const Sample& first = observed.samples.front();
      const Sample& last = observed.samples.back();
      status.records_per_second = PerSecond(last.records - first.records, last.at - first.at);
      status.bytes_per_second = PerSecond(last.bytes - first.bytes, last.at - first.at);
    }
    const bool is_owners = partition.owner == observed.relay && report.token == partition.token;
    if (is_owners) {
      evidence.report = report;
      evidence.age = status.age;
      evidence.lag = status.lag;
      if (!observed.lags.empty() && now - observed.lags.front().first > kTrendSpan / 2) {
        evidence.lag_a_minute_ago = observed.lags.front().second;
      }
    }
  } else if (status.log_end) {
    status.lag_records =
        std::max<int64_t>(0, status.log_end->value - partition.checkpoint.next.value);
  }
  status.motion = JudgeMotion(evidence);
  return status;
}

bool FleetObservations::HasCondition(BridgeId bridge, PartitionKey key) const {
  return std::ranges::any_of(conditions_, [&](const auto& of_relay) {
    return std::ranges::any_of(of_relay.second, [&](const Condition& condition) {
      return condition.bridge == bridge && (!condition.stream || *condition.stream == key.stream) &&
             (!condition.partition || *condition.partition == key.partition);
    });
  });
}

std::vector<SeenCondition> FleetObservations::ConditionsOf(BridgeId bridge) const {
  std::vector<SeenCondition> all;
  for (const auto& [relay, conditions] : conditions_) {
    for (const Condition& condition : conditions) {
      if (condition.bridge == bridge) all.push_back({.condition = condition, .relay = relay});
    }
  }
  return all;
}

}  // namespace drawbridge
