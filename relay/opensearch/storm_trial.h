#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/offset.h"
#include "relay/opensearch/pending.h"

namespace drawbridge {

// A record that was refused, and why; the cause is what others have in common with it (CauseOf).
struct Suspect {
  Pending entry;
  Refusal refusal;
  std::string cause;
};

// What became of the records that a partition sends ahead while it is blocked by a storm of
// refusals: where less than half of them are refused it was no storm but bad records side by side.
// Runs on the lane's thread only.
class StormTrial {
 public:
  enum class Verdict {
    kPending,     // more records may come that tell, or are on their way
    kNone,        // nothing is known, and nothing comes
    kOver,        // records pass, and none is refused
    kBadRecords,  // those refused are at fault themselves
    kStorm,       // the index is
  };

  // A record is submitted under this window; another one than the last begins the trial anew.
  void Admit(uint32_t window, Offset first, BootTime now);
  // Begins the trial anew with the next record.
  void Restart();
  // Whether a record that was submitted under this window is on trial.
  bool IsOf(uint32_t window) const { return window_ == window; }
  // One has passed; or it was found there, which says nothing of what comes behind it.
  void AddPassed(Offset end, bool is_new);
  // One was refused. It is kept, whatever begins anew, until somebody takes it.
  void Hold(Suspect suspect) { refused_.push_back(std::move(suspect)); }
  std::vector<Suspect> TakeHeld() { return std::exchange(refused_, {}); }

  // What is known by now, where so many records of the partition are in the sink with those held.
  Verdict Judge(size_t entries, BootTime now) const;
  // Whether one has passed that was not there before.
  bool has_written() const { return written_ > 0; }
  // From the first one to the last that passed.
  const OffsetRange& range() const { return range_; }

 private:
  uint32_t window_ = 0;
  size_t passed_ = 0;
  size_t written_ = 0;  // of those that passed
  std::vector<Suspect> refused_;
  OffsetRange range_{};
  BootTime last_at_{};  // when the last one was admitted
};

}  // namespace drawbridge
