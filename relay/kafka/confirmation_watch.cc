#include "relay/kafka/confirmation_watch.h"

#include <algorithm>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr Duration kDeadAfter = 5min;
// Longer than the election of a leader takes when a broker dies.
constexpr Duration kStuckFirst = 30s;
constexpr Duration kStuckMost = 30min;
constexpr Duration kLookEvery = 1s;

}  // namespace

ConfirmationWatch::Waiting& ConfirmationWatch::At(Slot slot) {
  if (slots_.size() <= slot) slots_.resize(slot + 1, {.patience = kStuckFirst});
  return slots_[slot];
}

void ConfirmationWatch::Sent(Slot slot, BootTime now) {
  ++At(slot).in_flight;
  if (in_flight_++ == 0) since_ = now;
}

void ConfirmationWatch::Confirmed(Slot slot, BootTime now) {
  Waiting& waiting = slots_[slot];
  --waiting.in_flight;
  --in_flight_;
  waiting.unled_since.reset();
  waiting.patience = kStuckFirst;
  since_ = now;
}

void ConfirmationWatch::Failed(Slot slot) {
  --slots_[slot].in_flight;
  --in_flight_;
}

void ConfirmationWatch::Led(Slot slot, bool is_led, BootTime now) {
  Waiting& waiting = At(slot);
  if (is_led) {
    waiting.unled_since.reset();
  } else if (!waiting.unled_since) {
    waiting.unled_since = now;
  }
}

void ConfirmationWatch::Reset(Slot slot) {
  Waiting& waiting = At(slot);
  waiting.unled_since.reset();
  waiting.patience = kStuckFirst;
}

bool ConfirmationWatch::IsStuck(const Waiting& waiting, BootTime now) const {
  return waiting.in_flight > 0 && waiting.unled_since &&
         now - *waiting.unled_since > waiting.patience;
}

int64_t ConfirmationWatch::stuck(BootTime now) const {
  int64_t records = 0;
  for (const Waiting& waiting : slots_) {
    if (IsStuck(waiting, now)) records += waiting.in_flight;
  }
  return records;
}

std::optional<std::string_view> ConfirmationWatch::Verdict(BootTime now) {
  if (in_flight_ == 0 || now < looks_at_) return std::nullopt;
  looks_at_ = now + kLookEvery;
  if (now - since_ > kDeadAfter) return "nothing is confirmed";
  if (stuck(now) == 0) return std::nullopt;
  return "a partition has no leader, as the library sees it";
}

void ConfirmationWatch::GivenUp(BootTime now) {
  for (Waiting& waiting : slots_) {
    if (IsStuck(waiting, now)) waiting.patience = std::min(2 * waiting.patience, kStuckMost);
    waiting.unled_since.reset();
  }
}

}  // namespace drawbridge
