#pragma once

#include <algorithm>
#include <stop_token>

#include "base/clock.h"

namespace drawbridge {

// How long something may still take, and whether anybody still wants it. The library's calls cannot
// be ended from outside: they are made in slices of this. The clock outlives it. Runs on one
// thread.
class Patience {
 public:
  Patience(const Clock& clock, Duration most, std::stop_token stop)
      : clock_(&clock), end_(clock.Now() + most), stop_(std::move(stop)) {}

  // The same, but with at most `most` left.
  Patience Within(Duration most) const {
    Patience shorter = *this;
    shorter.end_ = std::min(end_, clock_->Now() + most);
    return shorter;
  }

  bool is_over() const { return stop_.stop_requested() || clock_->Now() >= end_; }
  bool is_stopped() const { return stop_.stop_requested(); }

  // For a call of the library: what is left, but at most `most` and at least 1 ms.
  int Milliseconds(Duration most) const;

  // Lets time pass; false when there is none left.
  bool Wait(Duration time) const;

 private:
  const Clock* clock_;
  BootTime end_;
  std::stop_token stop_;
};

}  // namespace drawbridge
