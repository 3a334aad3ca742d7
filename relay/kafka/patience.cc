#include "relay/kafka/patience.h"

#include <algorithm>

#include "base/mutex.h"

namespace drawbridge {

int Patience::Milliseconds(Duration most) const {
  const Duration left = std::min(most, end_ - clock_->Now());
  const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::max<int64_t>(1, whole));
}

bool Patience::Wait(Duration time) const {
  if (is_over()) return false;
  Mutex mutex;
  ConditionVariable never;
  mutex.lock();
  never.wait_for(mutex, stop_, std::min(time, end_ - clock_->Now()), [] { return false; });
  mutex.unlock();
  return !is_over();
}

}  // namespace drawbridge
