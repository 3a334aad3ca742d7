#include "relay/opensearch/storm_trial.h"

#include <algorithm>
#include <utility>

#include "relay/opensearch/storm_breaker.h"

namespace drawbridge {
namespace {

// How long a trial of few records waits for more: of large ones a fetch holds one or two.
constexpr Duration kPatience = std::chrono::seconds(3);

}  // namespace

void StormTrial::Admit(uint32_t window, Offset first, BootTime now) {
  if (window_ != window) {
    Restart();
    window_ = window;
    range_ = {first, first};
  }
  last_at_ = now;
}

void StormTrial::Restart() {
  window_ = 0;
  passed_ = 0;
  written_ = 0;
  range_ = {};
  last_at_ = {};
}

void StormTrial::AddPassed(Offset end, bool is_new) {
  ++passed_;
  if (is_new) ++written_;
  range_.end = std::max(range_.end, end);
}

StormTrial::Verdict StormTrial::Judge(size_t entries, BootTime now) const {
  const size_t refused = refused_.size();
  const size_t tried = passed_ + refused;
  const bool are_all_through = entries <= refused;
  if (refused == 0) {
    if (written_ == 0 && !are_all_through) return Verdict::kPending;
    return passed_ > 0 ? Verdict::kOver : Verdict::kNone;
  }
  if (tried >= StormBreaker::kLeast && refused * 2 < tried) return Verdict::kBadRecords;
  const bool may_more_come = tried < StormBreaker::kWindow && now - last_at_ < kPatience;
  return are_all_through && !may_more_come ? Verdict::kStorm : Verdict::kPending;
}

}  // namespace drawbridge
