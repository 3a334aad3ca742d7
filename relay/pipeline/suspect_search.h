#pragma once

#include <cstddef>
#include <optional>

#include "model/offset.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// Finds the record of a partition for which the target refuses a batch as a whole: what was refused
// together is sent again in parts, then one record at a time, until the culprit is refused alone.
// Runs on the lane's thread only.
class SuspectSearch {
 public:
  // These were refused (Disposition::kRefuse). Returns whether the last record of what failed first
  // is at fault without doubt: it was alone, and not for the first time.
  bool Refused(const Confirmation& failure);
  // All below the checkpoint has passed.
  void Passed(Offset checkpoint);
  // Forgets all: the cause may be mended.
  void Reset();

  // Whether records are under suspicion: no more than part_max() are submitted at once, and none
  // beside those.
  bool is_on() const { return until_.has_value(); }
  size_t part_max() const { return part_max_; }

 private:
  std::optional<Offset> refused_;  // the record refused last
  int refusals_ = 0;               // of it
  // Records below it were refused together with the one that is at fault.
  std::optional<Offset> until_;
  size_t part_max_ = 0;
};

}  // namespace drawbridge
