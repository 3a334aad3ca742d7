#include "relay/opensearch/storm_breaker.h"

#include <utility>

namespace drawbridge {

void StormBreaker::AddGood() { Add({}); }

bool StormBreaker::AddBad(const std::string& group) {
  Add(group);
  return last_.size() >= kLeast && bad_[group] * 2 >= last_.size();
}

void StormBreaker::Reset() {
  last_.clear();
  bad_.clear();
}

void StormBreaker::Add(std::string group) {
  if (!group.empty()) ++bad_[group];
  last_.push_back(std::move(group));
  if (last_.size() <= kWindow) return;
  if (const auto gone = bad_.find(last_.front()); gone != bad_.end() && --gone->second == 0) {
    bad_.erase(gone);
  }
  last_.pop_front();
}

}  // namespace drawbridge
