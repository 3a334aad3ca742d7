#include "relay/opensearch/storm_breaker.h"

#include <algorithm>
#include <utility>

namespace drawbridge {

void StormBreaker::AddGood() { Add({}); }

bool StormBreaker::AddBad(const std::string& cause) {
  Add(cause);
  return IsStorm(cause);
}

bool StormBreaker::IsStorm(const std::string& cause) const {
  const auto bad = bad_.find(cause);
  if (bad == bad_.end()) return false;
  const bool are_half = last_.size() >= kLeast && bad->second * 2 >= last_.size();
  return are_half || (row_ == cause && in_a_row_ >= kInARow);
}

void StormBreaker::Reset() {
  last_.clear();
  bad_.clear();
  in_a_row_ = 0;
}

void StormBreaker::Add(std::string cause) {
  in_a_row_ = cause.empty() ? 0 : cause == row_ ? in_a_row_ + 1 : 1;
  row_ = cause;
  if (!cause.empty()) ++bad_[cause];
  last_.push_back(std::move(cause));
  if (last_.size() <= kWindow) return;
  if (const auto gone = bad_.find(last_.front()); gone != bad_.end() && --gone->second == 0) {
    bad_.erase(gone);
  }
  last_.pop_front();
}

void StreamBreaker::Leave(PartitionNumber partition) {
  partitions_.erase(partition);
  for (auto& [cause, hit] : hit_) hit.erase(partition);
  std::erase_if(hit_, [](const auto& of_cause) { return of_cause.second.empty(); });
}

bool StreamBreaker::AddBad(PartitionNumber partition, const std::string& cause) {
  records_.AddBad(cause);
  hit_[cause].insert(partition);
  return IsStorm(cause);
}

bool StreamBreaker::IsStorm(const std::string& cause) const {
  const auto hit = hit_.find(cause);
  if (hit == hit_.end()) return false;
  const size_t least = std::max(kPartitionsLeast, (partitions_.size() + 1) / 2);
  return hit->second.size() >= least && records_.IsStorm(cause);
}

void StreamBreaker::Reset() {
  records_.Reset();
  hit_.clear();
}

}  // namespace drawbridge
