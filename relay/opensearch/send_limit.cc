#include "relay/opensearch/send_limit.h"

#include <algorithm>
#include <cmath>

namespace drawbridge {
namespace {

constexpr double kWeight = 0.4;      // of the newest round trip in the mean
constexpr double kDeviations = 2.5;  // above the mean by so many is slow
// Answers that never vary vary by so much of the mean.
constexpr double kDeviationLeast = 0.1;
constexpr double kDecrease = 0.9;

}  // namespace

void SendLimit::Answered(Duration took, size_t in_flight) {
  const auto ns = static_cast<double>(took.count());
  const bool is_first = mean_ns_ == 0;
  const double deviation = std::max(std::sqrt(variance_ns2_), kDeviationLeast * mean_ns_);
  const bool is_slow = !is_first && ns >= mean_ns_ + kDeviations * deviation;
  const bool is_quick = is_first || ns <= mean_ns_;
  if (is_first) {
    mean_ns_ = ns;
  } else {
    const double difference = ns - mean_ns_;
    mean_ns_ += kWeight * difference;
    variance_ns2_ = (1 - kWeight) * (variance_ns2_ + kWeight * difference * difference);
  }
  // What comes of a change shows only in the answers to what was sent after it.
  ++since_less_;
  ++since_more_;
  if (is_slow && since_less_ >= limit()) {
    PushedBack();
  } else if (is_quick && in_flight >= limit() && limit() < kMost && since_less_ >= limit() &&
             since_more_ >= limit()) {
    limit_ = static_cast<double>(limit() + 1);
    since_more_ = 0;
  }
}

void SendLimit::PushedBack() {
  limit_ = std::max(1.0, std::min(limit_ * kDecrease, limit_ - 0.5));
  since_less_ = 0;
}

}  // namespace drawbridge
