#pragma once

#include <atomic>

#include "base/clock.h"

namespace drawbridge {

// A clock that stands still until a test turns it. Thread-safe.
class FakeClock final : public Clock {
 public:
  // 2026-03-14T00:00:00Z, on a machine that has been up for an hour.
  FakeClock() = default;

  WallTime WallNow() const override { return FromMicros(wall_us_); }
  BootTime Now() const override { return BootTime{Duration{boot_ns_}}; }

  // Time passes.
  void Advance(Duration by) {
    boot_ns_ += by.count();
    wall_us_ += std::chrono::duration_cast<std::chrono::microseconds>(by).count();
  }

  // Somebody sets the wall clock: no time passes.
  void SetWall(WallTime to) { wall_us_ = ToMicros(to); }

 private:
  std::atomic<int64_t> boot_ns_{3'600'000'000'000};
  std::atomic<int64_t> wall_us_{1'773'446'400'000'000};
};

}  // namespace drawbridge
