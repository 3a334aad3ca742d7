#include "relay/control/query_threads.h"

#include <exception>
#include <system_error>
#include <utility>

#include <pthread.h>

#include "base/log.h"

namespace drawbridge {
namespace {

const Log kLog("relay.control");

}  // namespace

bool QueryThreads::Run(BootTime until, std::function<void()> answer) {
  {
    const MutexLock lock(mutex_);
    if (is_stopping_ || waiting_.size() >= kWaitingMax) return false;
    if (waiting_.size() >= idle_ && threads_.size() < kThreadsMax) {
      try {
        threads_.emplace_back([this] { Loop(); });
      } catch (const std::system_error& error) {
        kLog.Error("thread cannot be started", {{"text", error.what()}});
        if (threads_.empty()) return false;
      }
    }
    waiting_.push_back({until, std::move(answer)});
  }
  changed_.notify_one();
  return true;
}

void QueryThreads::Stop() {
  std::vector<std::thread> threads;
  {
    const MutexLock lock(mutex_);
    is_stopping_ = true;
    waiting_.clear();
    threads.swap(threads_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

void QueryThreads::Loop() {
  pthread_setname_np(pthread_self(), "session-query");
  while (true) {
    Waiting next;
    {
      MutexLock lock(mutex_);
      ++idle_;
      while (waiting_.empty() && !is_stopping_) changed_.wait(mutex_);
      --idle_;
      if (is_stopping_) return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    if (clock_.Now() >= next.until) continue;  // nobody waits for the answer any more
    try {
      next.answer();
    } catch (const std::exception& error) {
      kLog.Error("query failed", {{"text", error.what()}});
    }
  }
}

}  // namespace drawbridge
