#pragma once

#include <condition_variable>
#include <mutex>

// Attributes for clang's -Wthread-safety. Prefixed: abseil, which grpcpp pulls in, defines the
// plain names.
#if defined(__clang__)
#define DRAWBRIDGE_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define DRAWBRIDGE_THREAD_ATTRIBUTE(x)
#endif
#define DRAWBRIDGE_GUARDED_BY(x) DRAWBRIDGE_THREAD_ATTRIBUTE(guarded_by(x))
#define DRAWBRIDGE_REQUIRES(...) DRAWBRIDGE_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define DRAWBRIDGE_EXCLUDES(...) DRAWBRIDGE_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))

namespace drawbridge {

// std::mutex that clang's -Wthread-safety can reason about.
class DRAWBRIDGE_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void lock() DRAWBRIDGE_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() DRAWBRIDGE_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

// Holds a Mutex for a scope.
class DRAWBRIDGE_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) DRAWBRIDGE_THREAD_ATTRIBUTE(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() DRAWBRIDGE_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits with a Mutex held; the caller loops over its condition.
using ConditionVariable = std::condition_variable_any;

}  // namespace drawbridge
