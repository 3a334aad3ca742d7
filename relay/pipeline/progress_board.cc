#include "relay/pipeline/progress_board.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

// Lanes say everything twice a second, unless they are held up.
constexpr Duration kSilence = 5500ms;

Duration PassedSince(BootTime at, BootTime now) {
  return std::max<Duration>(Duration::zero(), now - at);
}

void Grow(std::optional<Duration>& span, Duration passed) {
  if (span) *span += passed;
}

void Add(const std::vector<Condition>& conditions, Duration passed, std::vector<Condition>& all) {
  for (const Condition& condition : conditions) Grow(all.emplace_back(condition).age, passed);
}

Condition SilenceOf(uint64_t lane, BridgeId bridge, Duration passed) {
  return {.side = Side::kRelay,
          .reason = Reason::kInternal,
          .text = fmt::format(
              "lane {} stands still, so that nobody knows how its partitions are: if that lasts, "
              "restart the relay",
              lane),
          .bridge = bridge,
          .stream = std::nullopt,
          .partition = std::nullopt,
          .topic = {},
          .age = passed,
          .blocks = false};
}

}  // namespace

void ProgressBoard::Put(PartitionNews news) {
  const bool must_wake = news.must_commit;
  {
    const MutexLock lock(mutex_);
    const PartitionKey key = news.commit.key;
    news_.insert_or_assign(key, std::move(news));
  }
  if (must_wake) wake_();
}

void ProgressBoard::Remove(PartitionKey key, FencingToken token) {
  const MutexLock lock(mutex_);
  const auto found = news_.find(key);
  if (found != news_.end() && found->second.commit.token <= token) news_.erase(found);
}

void ProgressBoard::PutLane(uint64_t lane, LaneNews news) {
  const MutexLock lock(mutex_);
  lanes_.insert_or_assign(lane, std::move(news));
}

void ProgressBoard::RemoveLane(uint64_t lane) {
  const MutexLock lock(mutex_);
  lanes_.erase(lane);
}

std::vector<PartitionNews> ProgressBoard::News() const {
  const MutexLock lock(mutex_);
  std::vector<PartitionNews> all;
  all.reserve(news_.size());
  for (const auto& [key, news] : news_) all.push_back(news);
  return all;
}

Report ProgressBoard::ReportAt(BootTime now) const {
  const MutexLock lock(mutex_);
  Report report;
  for (const auto& [key, news] : news_) {
    const Duration passed = PassedSince(news.at, now);
    if (passed > kSilence) continue;
    PartitionReport& partition = report.partitions.emplace_back(news.report);
    Grow(partition.since_moved, passed);
    Grow(partition.since_source_seen, passed);
    Grow(partition.waiting_for, passed);
    Add(news.conditions, passed, report.conditions);
  }
  for (const auto& [lane, news] : lanes_) {
    const Duration passed = PassedSince(news.at, now);
    Add(news.conditions, passed, report.conditions);
    report.buffered_bytes += news.buffered_bytes;
    if (passed > kSilence) report.conditions.push_back(SilenceOf(lane, news.bridge, passed));
  }
  return report;
}

int64_t ProgressBoard::BufferedBytes() const {
  const MutexLock lock(mutex_);
  int64_t bytes = 0;
  for (const auto& [lane, news] : lanes_) bytes += news.buffered_bytes;
  return bytes;
}

}  // namespace drawbridge
