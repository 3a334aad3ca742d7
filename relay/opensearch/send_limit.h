#pragma once

#include <cstddef>

#include "base/clock.h"

namespace drawbridge {

// How many requests an engine is given at once: one more while it answers as fast as on average,
// a tenth fewer when it pushes back or slows down. (The adaptive concurrency of Vector, which also
// counts a single refused document as pushing back here.) Runs on the lane's thread only.
class SendLimit {
 public:
  static constexpr size_t kMost = 64;

  size_t limit() const { return static_cast<size_t>(limit_); }

  // An answer came after `took`, while `in_flight` requests were on their way, it included.
  void Answered(Duration took, size_t in_flight);
  // The engine asks for less, or does not answer.
  void PushedBack();

 private:
  double limit_ = 1;
  double mean_ns_ = 0;
  double variance_ns2_ = 0;
  // Answers since it last shrank, and since it last grew.
  size_t since_less_ = 0;
  size_t since_more_ = 0;
};

}  // namespace drawbridge
