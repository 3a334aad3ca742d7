#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/mutex.h"
#include "relay/pipeline/lane.h"
#include "relay/supervisor/lane_factory.h"

namespace drawbridge {

// A lane with the one thread that turns it. The thread waits in one place: for the descriptors of
// both ends and for orders. Thread-safe.
class LaneThread {
 public:
  using OnReleased = std::function<void(ReleasedPartition)>;

  // `on_released` is called on the lane's thread.
  LaneThread(LaneSettings settings, LaneEnds ends, Journal& journal, ProgressBoard& board,
             const Clock& clock, OnReleased on_released);
  // Waits until it has ended.
  ~LaneThread();
  LaneThread(const LaneThread&) = delete;
  LaneThread& operator=(const LaneThread&) = delete;

  // Runs `order` on the lane's thread, at its next turn.
  void Post(std::function<void(Lane&)> order);

  // Begins to end the lane where it is: what is in flight is left to whoever reads from the journal
  // on. Does not wait; a client that cannot reach its cluster takes seconds to end.
  void Stop();
  bool has_ended() const { return has_ended_; }

  // Whether the lane ended by itself, on a fault of ours: it must be made anew.
  bool has_failed() const { return has_failed_; }

 private:
  void Run();
  void Loop();
  void Turn(Lane& lane);
  void Wait(BootTime until);

  const LaneSettings settings_;
  LaneEnds ends_;
  Journal& journal_;
  ProgressBoard& board_;
  const Clock& clock_;
  const OnReleased on_released_;
  const FileDescriptor wake_;
  std::atomic<bool> is_stopping_ = false;
  std::atomic<bool> has_failed_ = false;
  std::atomic<bool> has_ended_ = false;
  Mutex mutex_;
  std::vector<std::function<void(Lane&)>> orders_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace drawbridge
