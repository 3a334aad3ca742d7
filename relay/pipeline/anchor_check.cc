#include "relay/pipeline/anchor_check.h"

namespace drawbridge {

AnchorVerdict CheckAnchor(const Anchor& anchor, const Record& first) {
  // Later ones exist, so it was compacted away. "Absent" is never "different".
  if (first.offset != anchor.offset) return AnchorVerdict::kUnknown;
  return AnchorOf(first) == anchor ? AnchorVerdict::kSame : AnchorVerdict::kDifferent;
}

}  // namespace drawbridge
