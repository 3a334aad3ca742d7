#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "relay/opensearch/letter_budget.h"
#include "relay/opensearch/pending.h"
#include "relay/opensearch/prior_writes.h"
#include "relay/opensearch/storm_breaker.h"
#include "relay/opensearch/storm_trial.h"

namespace drawbridge {

// What is at fault where a record is refused.
enum class Blame {
  kRecord,
  kIndex,    // others are refused for the same in a storm
  kOnTrial,  // the one or the other, which shows when more of those on trial are through
  kTooMany,  // more records of the partition than the bridge lets become dead letters
};

// How a trial has ended, and those that were refused in it.
struct Judgement {
  Slot slot = 0;
  bool is_storm = false;
  std::vector<Suspect> refused;
};

// The partitions that a sink writes: which of their records may be there already, which partitions
// are blocked, and whether a refusal is a record's own fault or its index's.
//
// A blocked partition sends one record at a time, until one passes that was submitted after it was
// blocked. One that is blocked by a storm of refusals sends those that lie ahead on trial, in as
// many requests as they need: where less than half of them are refused it was no storm but bad
// records side by side, which are written off. Runs on the lane's thread only.
class WrittenPartitions {
 public:
  // `window_bytes` is what a lane sends without a confirmation; `letters_percent` of a partition's
  // records may become dead letters (LetterBudget).
  WrittenPartitions(size_t window_bytes, int letters_percent)
      : window_bytes_(window_bytes), letters_percent_(letters_percent) {}

  // The slot's partition is written from now on; or is opened anew for a replay, and what it was
  // blocked for lasts.
  void Open(Slot slot, std::shared_ptr<const Destination> to);
  // It has left. Harmless if none is open.
  void Close(Slot slot);

  // Whether the slot takes a record at present.
  bool TakesMore(Slot slot) const;
  bool IsBlocked(Slot slot) const { return partitions_[slot].blocked_in.has_value(); }
  // A record as it was submitted.
  Pending Admit(Slot slot, uint32_t window, OffsetRange covered, Record record, BootTime now);
  // It shall be a dead letter, of which its partition may have so many.
  void BeginLetter(Pending& entry);
  bool IsWritingLetters(Slot slot) const { return partitions_[slot].letters.has_begun(); }
  // It is confirmed.
  void Confirmed(const Pending& entry, BootTime now);
  // It is the lane's again, or nobody's.
  void Release(const Pending& entry);
  // Whether the lane has given the record up since: it is read again, here or elsewhere.
  bool IsOld(const Pending& entry) const { return entry.to != partitions_[entry.slot].to; }

  // The engine has the record: since it came, or it was there.
  void Passed(const Pending& entry, bool was_there, BootTime now);
  // It was found there without being sent: the engine has taken it before, if not today.
  void Found(const Pending& entry, BootTime now);
  // It is refused for this cause; empty: for its own fault without doubt. Unless the record itself
  // is at fault it is to be held back rather than written off. It is not old.
  Blame Refused(const Pending& entry, const std::string& cause, BootTime now);
  // Keeps one that is on trial.
  void Hold(Suspect suspect);
  // The trials that have ended: enough is known, or no more records come that could tell. Those
  // refused in one that was no storm are each judged anew.
  std::vector<Judgement> Judge(BootTime now);
  // Takes out those that are kept of a partition.
  std::vector<Pending> TakeHeld(Slot slot);

  void Block(Slot slot) { BlockIn(slot, 0); }
  // Only a record passes for a proof that was submitted after this one.
  void Block(const Pending& entry) { BlockIn(entry.slot, entry.window); }

 private:
  struct Partition {
    std::shared_ptr<const Destination> to;
    StormBreaker storm;
    LetterBudget letters;
    StreamBreaker* stream = nullptr;
    // Set: blocked, until a record passes that was submitted under a later window.
    std::optional<uint32_t> blocked_in;
    bool is_in_storm = false;  // it is blocked for that, or about to be
    StormTrial trial;
    // Records of it are refused for a fault of their own: others passed with them.
    OffsetRange own_fault{};
    // Free because a record was found there, which does not say that the storm is over: the next
    // one that is written does, or is refused and blocks again.
    bool is_storm_open = false;
    bool is_held_by_stream = false;
    size_t entries = 0;  // in the sink, but for old ones
    PriorWrites prior;
  };

  static bool IsOnTrial(const Partition& partition, const Pending& entry);
  void BlockIn(Slot slot, uint32_t window);
  void NotePass(const Pending& entry, bool is_new);
  void Prove(const Pending& entry, bool was_there, BootTime now);
  static bool IsStorm(Partition& partition, const Pending& entry, const std::string& cause);
  static void EndStorm(Partition& partition, bool were_bad_records);

  const size_t window_bytes_;
  const int letters_percent_;
  std::deque<Partition> partitions_;              // by slot
  std::map<std::string, StreamBreaker> streams_;  // by topic of the source
  std::set<Slot> on_trial_;                       // of which something is known
};

}  // namespace drawbridge
