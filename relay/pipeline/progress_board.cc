#include "relay/pipeline/progress_board.h"

#include <utility>

namespace drawbridge {

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

void ProgressBoard::PutLaneConditions(uint64_t lane, std::vector<Condition> conditions,
                                      int64_t buffered_bytes) {
  const MutexLock lock(mutex_);
  lanes_.insert_or_assign(
      lane, LaneNews{.conditions = std::move(conditions), .buffered_bytes = buffered_bytes});
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

std::vector<Condition> ProgressBoard::LaneConditions() const {
  const MutexLock lock(mutex_);
  std::vector<Condition> all;
  for (const auto& [lane, news] : lanes_) {
    all.insert(all.end(), news.conditions.begin(), news.conditions.end());
  }
  return all;
}

int64_t ProgressBoard::BufferedBytes() const {
  const MutexLock lock(mutex_);
  int64_t bytes = 0;
  for (const auto& [lane, news] : lanes_) bytes += news.buffered_bytes;
  return bytes;
}

}  // namespace drawbridge
