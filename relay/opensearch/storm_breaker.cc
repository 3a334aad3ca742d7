#include "relay/opensearch/storm_breaker.h"

#include <algorithm>
#include <utility>

namespace drawbridge {

void StormBreaker::AddGood() { Add({}); }

bool StormBreaker::AddBad(const std::string& group) {
  Add(group);
  return IsStorm(group);
}

bool StormBreaker::IsStorm(const std::string& group) const {
  const auto bad = bad_.find(group);
  if (bad == bad_.end()) return false;
  const bool are_half = last_.size() >= kLeast && bad->second * 2 >= last_.size();
  return are_half || (row_ == group && in_a_row_ >= kInARow);
}

void StormBreaker::Reset() {
  last_.clear();
  bad_.clear();
  in_a_row_ = 0;
}

void StormBreaker::Add(std::string group) {
  in_a_row_ = group.empty() ? 0 : group == row_ ? in_a_row_ + 1 : 1;
  row_ = group;
  if (!group.empty()) ++bad_[group];
  last_.push_back(std::move(group));
  if (last_.size() <= kWindow) return;
  if (const auto gone = bad_.find(last_.front()); gone != bad_.end() && --gone->second == 0) {
    bad_.erase(gone);
  }
  last_.pop_front();
}

void StreamBreaker::Leave(PartitionNumber partition) {
  partitions_.erase(partition);
  for (auto& [group, hit] : hit_) hit.erase(partition);
}

bool StreamBreaker::AddBad(PartitionNumber partition, const std::string& group) {
  records_.AddBad(group);
  hit_[group].insert(partition);
  return IsStorm(group);
}

bool StreamBreaker::IsStorm(const std::string& group) const {
  const auto hit = hit_.find(group);
  if (hit == hit_.end()) return false;
  const size_t least = std::max(kPartitionsLeast, (partitions_.size() + 1) / 2);
  return hit->second.size() >= least && records_.IsStorm(group);
}

void StreamBreaker::Reset() {
  records_.Reset();
  hit_.clear();
}

}  // namespace drawbridge
