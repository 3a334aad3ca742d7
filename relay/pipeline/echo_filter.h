#pragma once

#include <optional>
#include <vector>

#include "model/provenance.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// Takes out of a batch the records that have been in the target's cluster already: sending them
// would let them go round for ever. Runs on the lane's thread only.
class EchoFilter {
 public:
  // nullopt: the target's cluster is not known or provenance is off; nothing is taken out.
  explicit EchoFilter(std::optional<ClusterKey> target) : target_(target) {}

  // The runs of records taken out.
  std::vector<FilteredRange> Apply(Batch& batch) const;

 private:
  std::optional<ClusterKey> target_;
};

// The last provenance header of a record that is one; nullopt: there is none.
std::optional<Provenance> ProvenanceOf(const Record& record);

}  // namespace drawbridge
