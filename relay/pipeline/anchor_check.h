#pragma once

#include <optional>

#include "model/checkpoint.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// What a first look at the source says about the record that a checkpoint rests on.
enum class AnchorVerdict {
  kSame,       // it is there, unchanged
  kUnknown,    // it is gone (expired, compacted): neither equal nor different
  kDifferent,  // another record is in its place: the source is not what it was
};

// Compares the first record that came after an Assign at the anchor's offset.
AnchorVerdict CheckAnchor(const Anchor& anchor, const Record& first);

}  // namespace drawbridge
