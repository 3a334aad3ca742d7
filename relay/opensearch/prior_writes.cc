#include "relay/opensearch/prior_writes.h"

#include <algorithm>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

// A slow stream has no two windows to be looked through for a long time. What a relay before has
// sent lies right behind the checkpoint, and has been looked for by then; while the engine does not
// answer nothing is, so that such a while does not count.
constexpr Duration kSuspectFor = 30min;

}  // namespace

void PriorWrites::Suspect() {
  // The window of the relay before was about as large.
  unproven_bytes_ = 2 * window_bytes_;
  unproven_until_.reset();
  waiting_since_.reset();
}

bool PriorWrites::MayHave(Offset offset, BootTime now) {
  if (unproven_bytes_ > 0) {
    if (!waiting_since_) waiting_since_ = now;
    if (!unproven_until_ || *waiting_since_ < *unproven_until_) return true;
  }
  return offset < sent_to_;
}

void PriorWrites::Sent(Offset end) { sent_to_ = std::max(sent_to_, end); }

void PriorWrites::WasThere() {
  if (unproven_bytes_ > 0) Suspect();
}

void PriorWrites::WasMissing(size_t bytes, BootTime now) {
  if (unproven_until_ && waiting_since_) *unproven_until_ += now - *waiting_since_;
  if (!unproven_until_) unproven_until_ = now + kSuspectFor;
  waiting_since_.reset();
  unproven_bytes_ -= std::min(unproven_bytes_, bytes + 1);
}

}  // namespace drawbridge
