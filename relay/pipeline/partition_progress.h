#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "relay/pipeline/io.h"
#include "relay/pipeline/journal.h"
#include "relay/pipeline/offset_tracker.h"

namespace drawbridge {

// How far one partition is under one token: the checkpoint with its anchor, and what the next
// commit passes over. What the server has not stored yet (gaps, filtered ranges, dead letters)
// keeps the journal back, so that a kill can never lose it.
//
// Runs on the lane's thread only.
class PartitionProgress {
 public:
  // Goes on from `last.to`; what `last` passed counts as not stored.
  explicit PartitionProgress(CommitItem last);

  // Registers a batch as read; its records wait for confirmation. Records that the source gave
  // twice, below what was read before, must have been taken out. Fails with kInternal if the source
  // left something out before it: what nobody has read must not be passed.
  Status Begin(const Batch& batch);

  // Marks a range as durably accounted for.
  void Confirm(OffsetRange range);

  // The source has been read up to `offset` without a record between.
  void ReadUpTo(Offset offset) { tracker_.ReadUpTo(offset); }

  // The source lost everything below `log_start` that was not read: a gap, and reading goes on
  // there.
  void PassGap(Offset log_start);

  // The records of the range are not sent on, and need no confirmation.
  void PassFiltered(FilteredRange run);

  // The target refused the record for good, and keeps it among its dead letters; it is confirmed.
  void PassDeadLetter(Offset offset, std::string error);

  // Forgets what was read from `offset` on: it will be read again. Nothing below the checkpoint.
  void ForgetFrom(Offset offset);

  // The server has stored the checkpoint `next` with all that was passed below it.
  void Stored(Offset next);

  Checkpoint checkpoint() const { return {.next = tracker_.checkpoint(), .anchor = anchor_}; }
  Offset read_to() const { return tracker_.read_to(); }

  // Time of the oldest record that is not confirmed, milliseconds; nullopt: none in hand, or it has
  // no time.
  std::optional<int64_t> oldest_unconfirmed_ms() const;

  // What the next commit says.
  CommitItem Commit();

  // Whether the commit carries something that the journal waits for.
  bool has_unstored() const;

  // What the journal may know by now; nullopt while something passed is not stored.
  std::optional<JournalEntry> Entry() const;

 private:
  // A batch in flight: enough to name the last confirmed record without keeping its bytes.
  struct Mark {
    OffsetRange range;
    int64_t first_timestamp_ms = -1;
    std::optional<Anchor> last;  // unset: of a batch that was forgotten in part
  };

  void DropMarks();
  void SumUpFiltered(Offset checkpoint);
  void SumUpDeadLetters(Offset checkpoint);

  const PartitionKey key_;
  const FencingToken token_;
  const Offset base_;
  OffsetTracker tracker_;
  std::optional<Anchor> anchor_;
  std::deque<Mark> marks_;
  std::vector<Gap> gaps_;
  // Runs of filtered records, and those that the checkpoint has passed, summed up for the server.
  std::deque<FilteredRange> filtered_runs_;
  std::vector<FilteredRange> filtered_passed_;
  // The same of dead letters: above the checkpoint, and passed.
  std::map<Offset, std::string> dead_;
  std::vector<DeadLetters> dead_passed_;
};

}  // namespace drawbridge
