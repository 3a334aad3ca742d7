#pragma once

#include "base/clock.h"

namespace drawbridge {

// A clock that shows what a test sets. Starts at 2026-03-14T00:00:00Z.
class StillClock final : public Clock {
 public:
  WallTime WallNow() const override { return now_; }
  BootTime Now() const override { return BootTime{}; }

  void Advance(Duration by) { now_ += std::chrono::duration_cast<WallTime::duration>(by); }

 private:
  WallTime now_ = std::chrono::sys_days{std::chrono::year{2026} / 3 / 14};
};

}  // namespace drawbridge
