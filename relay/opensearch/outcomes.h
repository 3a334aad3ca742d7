#pragma once

#include <map>
#include <vector>

#include "base/status.h"
#include "relay/opensearch/pending.h"

namespace drawbridge {

// What became of records, as the lane wants to hear it: those that are next to each other in one
// piece. A value.
class Outcomes {
 public:
  // The target, or the place of its dead letters, has the record; its bytes are freed.
  void Confirm(Pending& entry);
  // It has not: `why` by slot. They are one failure of each slot and window.
  void GiveBack(const std::vector<Pending>& entries, const std::map<Slot, Status>& why,
                Disposition disposition);

  // Appends all, and forgets them.
  void MoveTo(std::vector<Confirmation>& confirmations);

 private:
  std::vector<Confirmation> confirmations_;
};

}  // namespace drawbridge
