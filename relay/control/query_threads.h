#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"

namespace drawbridge {

// Answers queries on a few threads, so that neither a slow cluster nor a flood of queries holds up
// the session. The threads are made when they are needed, and stay. Thread-safe; the clock outlives
// it.
class QueryThreads {
 public:
  static constexpr size_t kThreadsMax = 4;
  static constexpr size_t kWaitingMax = 32;

  explicit QueryThreads(const Clock& clock) : clock_(clock) {}
  ~QueryThreads() { Stop(); }
  QueryThreads(const QueryThreads&) = delete;
  QueryThreads& operator=(const QueryThreads&) = delete;

  // Runs `answer` when its turn comes; not at all if that is later than `until`. False, and nothing
  // is run, if as many wait as may.
  bool Run(BootTime until, std::function<void()> answer);

  // Waits for those that run, and forgets those that wait.
  void Stop();

 private:
  struct Waiting {
    BootTime until;
    std::function<void()> answer;
  };

  void Loop();

  const Clock& clock_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Waiting> waiting_ DRAWBRIDGE_GUARDED_BY(mutex_);
  size_t idle_ DRAWBRIDGE_GUARDED_BY(mutex_) = 0;
  bool is_stopping_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_ DRAWBRIDGE_GUARDED_BY(mutex_);
};

}  // namespace drawbridge
