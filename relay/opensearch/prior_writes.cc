#include "relay/opensearch/prior_writes.h"

#include <algorithm>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

// A slow stream has no two windows to be looked through for a long time. What a relay before has
// sent lies right behind the checkpoint, and has been looked for by then.
constexpr Duration kSuspectFor = 30min;

}  // namespace

void PriorWrites::Suspect() {
  // The window of the relay before was about as large.
  unproven_bytes_ = 2 * window_bytes_;
  unproven_until_.reset();
}

bool PriorWrites::MayHave(Offset offset, BootTime now) {
  if (unproven_bytes_ > 0 && !unproven_until_) unproven_until_ = now + kSuspectFor;
  return (unproven_bytes_ > 0 && now < *unproven_until_) || offset < sent_to_;
}

void PriorWrites::Sent(Offset end) { sent_to_ = std::max(sent_to_, end); }

void PriorWrites::WasThere() {
  if (unproven_bytes_ > 0) Suspect();
}

void PriorWrites::WasMissing(size_t bytes) {
  unproven_bytes_ -= std::min(unproven_bytes_, bytes + 1);
}

}  // namespace drawbridge
