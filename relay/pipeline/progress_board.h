#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "model/checkpoint.h"
#include "model/observation.h"

namespace drawbridge {

// What a lane has to say about one partition.
struct PartitionNews {
  CommitItem commit;
  bool must_commit = false;  // carries what the journal waits for
  PartitionReport report;
  std::vector<Condition> conditions;
};

// Where lanes put their news and the session with the server picks them up: the newest of each
// partition. Thread-safe.
class ProgressBoard {
 public:
  // `wake` is called, on a lane's thread, when something shall be committed at once.
  explicit ProgressBoard(std::function<void()> wake) : wake_(std::move(wake)) {}

  void Put(PartitionNews news);
  // Only if it is about this token or an older one: a new owner's news stay.
  void Remove(PartitionKey key, FencingToken token);
  // What is wrong with a lane's two ends, by any number that stands for the lane.
  void PutLaneConditions(uint64_t lane, std::vector<Condition> conditions, int64_t buffered_bytes);
  void RemoveLane(uint64_t lane);

  std::vector<PartitionNews> News() const;
  std::vector<Condition> LaneConditions() const;
  int64_t BufferedBytes() const;

 private:
  struct LaneNews {
    std::vector<Condition> conditions;
    int64_t buffered_bytes = 0;
  };

  const std::function<void()> wake_;
  mutable Mutex mutex_;
  std::map<PartitionKey, PartitionNews> news_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::map<uint64_t, LaneNews> lanes_ DRAWBRIDGE_GUARDED_BY(mutex_);
};

}  // namespace drawbridge
