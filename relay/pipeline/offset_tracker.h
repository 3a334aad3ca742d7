#pragma once

#include <algorithm>
#include <deque>

#include "base/status.h"
#include "model/offset.h"

namespace drawbridge {

// Turns confirmations of one partition, in whatever order they come, into a checkpoint.
//
// A checkpoint may only say "everything below this offset is accounted for". The tracker keeps the
// ranges that were read and are not yet confirmed; the checkpoint is where the first of them
// begins, or, when there is none, how far the source has been read. It is the only place in the
// relay that decides how far that is.
//
// Offsets may have holes (compacted records, transaction markers) but never fall.
//
// Runs on the lane's thread only.
class OffsetTracker {
 public:
  // `start` is the stored checkpoint: the next offset to read.
  explicit OffsetTracker(Offset start) : read_to_(start) {}

  // Registers records as read and not yet confirmed.
  // Fails with kInternal if they begin below what was read before.
  Status Begin(OffsetRange records);

  // Marks records as durably accounted for. Doing so twice is harmless: retries do it.
  void Confirm(OffsetRange records);

  // The source has been read up to `offset`, and what lies between holds no record.
  void ReadUpTo(Offset offset) { read_to_ = std::max(read_to_, offset); }

  // Forgets what was read from `offset` on: it will be read again. Nothing below the checkpoint.
  void ForgetFrom(Offset offset);

  // The next offset to read after a crash. Never falls, and never passes an unconfirmed record.
  Offset checkpoint() const { return unconfirmed_.empty() ? read_to_ : unconfirmed_.front().first; }

  // The next offset to read while nothing goes wrong.
  Offset read_to() const { return read_to_; }

  bool is_settled() const { return unconfirmed_.empty(); }

 private:
  Offset read_to_;
  std::deque<OffsetRange> unconfirmed_;  // rising, never overlapping, never empty ones
};

}  // namespace drawbridge
