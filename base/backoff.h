#pragma once

#include <algorithm>
#include <random>

#include "base/clock.h"

namespace drawbridge {

// Waiting times between attempts: exponential from `first` to `most`, each drawn at random below
// that ("full jitter"), so that many who failed together do not come back together. Attempts have
// no end. Thread-compatible.
class Backoff {
 public:
  Backoff(Duration first, Duration most, uint64_t seed = std::random_device{}())
      : first_(first), most_(most), ceiling_(first), random_(seed) {}

  // How long to wait before the next attempt: in (0, ceiling], where the ceiling doubles each time.
  Duration Next() {
    std::uniform_int_distribution<Duration::rep> draw(ceiling_.count() / 8 + 1, ceiling_.count());
    const Duration wait{draw(random_)};
    ceiling_ = std::min(ceiling_ * 2, most_);
    return wait;
  }

  // After a success: the next failure waits briefly again.
  void Reset() { ceiling_ = first_; }

 private:
  Duration first_;
  Duration most_;
  Duration ceiling_;
  std::mt19937_64 random_;
};

}  // namespace drawbridge
