#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "model/checkpoint.h"
#include "model/observation.h"

namespace drawbridge {

// What a lane has to say about one partition.
struct PartitionNews {
  BootTime at{};  // its spans end then
  CommitItem commit;
  bool must_commit = false;  // carries what the journal waits for
  PartitionReport report;
  std::vector<Condition> conditions;
};

// What is to be said about one lane beside its partitions.
struct LaneNews {
  BootTime at{};
  BridgeId bridge;
  std::vector<Condition> conditions;  // of its two ends
  int64_t buffered_bytes = 0;
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
  // By any number that stands for the lane.
  void PutLane(uint64_t lane, LaneNews news);
  void RemoveLane(uint64_t lane);

  // For commits: however old they are, what they say of the checkpoint holds.
  std::vector<PartitionNews> News() const;
  // What is known at `now`: spans have grown since they were put here. Of a lane that has said
  // nothing for a few seconds nobody knows how its partitions are: they are left out, and a
  // condition says so.
  Report ReportAt(BootTime now) const;
  int64_t BufferedBytes() const;

 private:
  const std::function<void()> wake_;
  mutable Mutex mutex_;
  std::map<PartitionKey, PartitionNews> news_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::map<uint64_t, LaneNews> lanes_ DRAWBRIDGE_GUARDED_BY(mutex_);
};

}  // namespace drawbridge
