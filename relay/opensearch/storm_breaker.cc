#include "relay/opensearch/storm_breaker.h"

#include <utility>

namespace drawbridge {

void StormBreaker::AddGood() { Add({}); }

bool StormBreaker::AddBad(const std::string& group) {
  Add(group);
  const bool are_half = last_.size() >= kLeast && bad_[group] * 2 >= last_.size();
  return are_half || in_a_row_ >= kInARow;
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

}  // namespace drawbridge
