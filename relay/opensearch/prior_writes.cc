#include "relay/opensearch/prior_writes.h"

#include <algorithm>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

// After so long whatever a relay before has sent has arrived.
constexpr Duration kSuspectFor = 30min;

}  // namespace

void PriorWrites::Suspect(BootTime now) {
  // The window of the relay before was about as large.
  unproven_bytes_ = 2 * window_bytes_;
  unproven_until_ = now + kSuspectFor;
}

bool PriorWrites::MayHave(Offset offset, BootTime now) const {
  return (unproven_bytes_ > 0 && now < unproven_until_) || offset < sent_to_;
}

void PriorWrites::Sent(Offset end) { sent_to_ = std::max(sent_to_, end); }

void PriorWrites::WasThere(BootTime now) {
  if (unproven_bytes_ > 0) Suspect(now);
}

void PriorWrites::WasMissing(size_t bytes) {
  unproven_bytes_ -= std::min(unproven_bytes_, bytes + 1);
}

}  // namespace drawbridge
