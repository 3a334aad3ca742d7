#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/ids.h"
#include "model/offset.h"

namespace drawbridge {

// Fences a partition's writers: whoever holds an older one cannot move the checkpoint. Compared by
// incarnation (restores of the database), then by epoch (owners and changes of position).
struct FencingToken {
  int64_t incarnation = 0;
  int64_t epoch = 0;

  friend auto operator<=>(const FencingToken&, const FencingToken&) = default;
};

// The proof of a checkpoint: the last record that the target confirmed.
struct Anchor {
  Offset offset;
  int64_t timestamp_ms = -1;  // the record's own; -1: it has none
  uint64_t hash = 0;          // RecordHash of key, value and headers

  friend bool operator==(const Anchor&, const Anchor&) = default;
};

// How far a partition has been carried.
struct Checkpoint {
  Offset next;  // the next offset to read: everything below it is accounted for
  std::optional<Anchor> anchor;

  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

enum class GapCause { kRetention, kSkipped };

// Offsets that will never be delivered.
struct Gap {
  OffsetRange range;
  GapCause cause = GapCause::kRetention;

  friend bool operator==(const Gap&, const Gap&) = default;
};

// Records that are not sent on, since they come from the target's own cluster.
struct FilteredRange {
  OffsetRange range;
  int64_t records = 0;

  friend bool operator==(const FilteredRange&, const FilteredRange&) = default;
};

// Records that the target refused for good, and that its dead letters hold. What they were refused
// for is said in few words, so that those of one cause are one group.
struct DeadLetters {
  OffsetRange range;  // from the first to behind the last
  int64_t records = 0;
  std::string error;  // "mapper_parsing_exception: failed to parse field [n] of type [long]"

  friend bool operator==(const DeadLetters&, const DeadLetters&) = default;
};

// Longer ones are cut, bytes.
inline constexpr size_t kDeadLetterErrorMax = 300;

// The error of those that are counted together because there are too many kinds. In each dead
// letter is its own.
inline constexpr const char* kOtherErrors = "other errors";

// A relay's wish to move one checkpoint, with all that it passes over.
struct CommitItem {
  PartitionKey key;
  FencingToken token;
  Offset base;  // where the range begins that was confirmed under this token
  Checkpoint to;
  std::vector<Gap> gaps;
  std::vector<FilteredRange> filtered;
  std::vector<DeadLetters> dead_letters;
};

enum class CommitOutcome {
  kStored,
  kStaleEpoch,
  kStaleIncarnation,
  kRegression,
  kNotContiguous,
  kUnknown,
  kNotOwner,
  kNotStored,
};

struct CommitResult {
  PartitionKey key;
  FencingToken token;
  Offset next;
  CommitOutcome outcome = CommitOutcome::kNotStored;
};

}  // namespace drawbridge
