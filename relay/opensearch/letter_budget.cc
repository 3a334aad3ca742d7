#include "relay/opensearch/letter_budget.h"

#include <algorithm>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr int64_t kAlwaysFew = 20;
constexpr size_t kKnownMax = 10'000;

}  // namespace

void LetterBudget::AddRecord(Offset offset, BootTime now) {
  if (percent_ == 0 || offset < counted_to_) return;
  counted_to_ = Next(offset);
  ++At(now).records;
  ++records_;
}

void LetterBudget::Keep(Offset offset, BootTime now) {
  --begun_;
  if (percent_ == 0 || !kept_.insert(offset).second) return;
  if (kept_.size() > kKnownMax) kept_.erase(kept_.begin());
  ++At(now).letters;
  ++letters_;
}

bool LetterBudget::IsSpent(Offset offset, BootTime now) {
  if (percent_ == 0 || kept_.contains(offset)) return false;
  Forget(now);
  return letters_ + begun_ >= std::max(kAlwaysFew, records_ * percent_ / 100);
}

void LetterBudget::Forget(BootTime now) {
  while (!hour_.empty() && now - hour_.front().since >= 1h) {
    records_ -= hour_.front().records;
    letters_ -= hour_.front().letters;
    hour_.pop_front();
  }
}

LetterBudget::Minute& LetterBudget::At(BootTime now) {
  Forget(now);
  if (hour_.empty() || now - hour_.back().since >= 1min) hour_.push_back({.since = now});
  return hour_.back();
}

}  // namespace drawbridge
