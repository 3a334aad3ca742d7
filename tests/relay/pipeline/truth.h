#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "relay/pipeline/journal.h"
#include "tests/fakes/fake_log.h"
#include "tests/fakes/fake_sink.h"

namespace drawbridge {

// What is true of one partition, as an onlooker knows who sees the target and the server's store;
// and the promise, checked against it: whatever a journal, a commit or the server says was passed,
// was written, was filtered by rule, or lies in a declared gap.
class Truth {
 public:
  explicit Truth(PartitionKey name) : key(name) {}

  const PartitionKey key;
  // What the server has stored of it.
  FencingToken token{.incarnation = 1, .epoch = 1};
  Checkpoint stored;
  bool is_held = false;  // by the relay, as far as the server knows
  bool is_paused = false;

  // --- What happens ---

  // Offsets up to `end` are in the log; the last one holds a record.
  void Produced(Offset end, bool is_echo) {
    fates_.resize(Index(end), kNothing);
    fates_.back() = is_echo ? kEcho : 0;
  }
  void Compacted(Offset at) { fates_[Index(at)] |= kNothing; }

  // A client of the target is new: what it says was written begins at the beginning.
  void Reconnected() {
    writes_seen_ = 0;
    old_window_ = 0;
  }
  // The target has these records.
  void NoteWrites(const std::vector<FakeSink::Written>& written) {
    for (; writes_seen_ < written.size(); ++writes_seen_) {
      const FakeSink::Written& one = written[writes_seen_];
      if (one.window > old_window_) fates_[Index(one.offset)] |= kWritten;
    }
  }

  // The server stores a commit, if it may. Returns whether it did.
  bool Store(const CommitItem& commit) {
    if (commit.token != token || commit.base > stored.next || commit.to.next < stored.next) {
      return false;
    }
    for (const Gap& gap : commit.gaps) Lose(gap.range);
    for (const FilteredRange& passed : commit.filtered) {
      for (size_t at = Index(passed.range.first); at < Index(passed.range.end); ++at) {
        if ((fates_[at] & kEcho) != 0) fates_[at] |= kFiltered;
      }
    }
    stored = commit.to;
    return true;
  }

  // The offsets will never be delivered, and the server has stored that.
  void Lose(OffsetRange range) {
    for (size_t at = Index(range.first); at < Index(range.end); ++at) fates_[at] |= kLost;
  }

  // Everything from `to` on shall be delivered once more: what was submitted under windows up to
  // `old_window` does not count.
  void Rewind(Offset to, uint32_t old_window) {
    for (size_t at = Index(to); at < fates_.size(); ++at) fates_[at] &= kEcho | kNothing;
    old_window_ = old_window;
    journal_checked_ = std::min(journal_checked_, to);
  }

  // A relay starts to carry it at `next`.
  void Started(Offset next) { committed_ = next; }

  // --- The promise ---

  void CheckCommit(const CommitItem& commit, const FakeLog& log) {
    if (commit.token != token) return;
    EXPECT_GE(commit.to.next, committed_) << "a commit went back";
    committed_ = commit.to.next;
    CheckReach(std::min(stored.next, commit.to.next), commit.to.next, commit);
    for (const Gap& gap : commit.gaps) {
      EXPECT_LE(gap.range.end, log.start()) << "a gap over records that were there";
    }
    for (const FilteredRange& passed : commit.filtered) {
      const auto begin = fates_.begin();
      const auto echoes =
          std::count_if(begin + passed.range.first.value, begin + passed.range.end.value,
                        [](uint8_t fate) { return (fate & kEcho) != 0; });
      EXPECT_LE(passed.records, echoes) << "more was filtered than there was";
    }
    EXPECT_LT(commit.to.anchor.value_or(Anchor{.offset = {-1}}).offset, commit.to.next);
  }

  void CheckJournal(const std::optional<JournalEntry>& entry) {
    if (!entry || entry->token != token) return;
    EXPECT_GE(entry->checkpoint.next, entry->base);
    CheckReach(journal_checked_, entry->checkpoint.next, {});
    journal_checked_ = std::max(journal_checked_, entry->checkpoint.next);
  }

 private:
  // What became of an offset.
  enum Fate : uint8_t {
    kEcho = 1,      // its record has been in the target's cluster
    kNothing = 2,   // it holds no record
    kWritten = 4,   // the target has it, since the last rewind
    kLost = 8,      // the server has stored that it will never be delivered
    kFiltered = 16  // the server has stored that it was filtered
  };

  static size_t Index(Offset offset) { return static_cast<size_t>(offset.value); }

  static bool Hold(const auto& ranges, Offset at) {
    return std::ranges::any_of(
        ranges, [&](const auto& one) { return one.range.first <= at && at < one.range.end; });
  }

  // By what is stored, or by what the commit carries.
  void CheckReach(Offset first, Offset end, const CommitItem& commit) const {
    for (Offset at = first; at < end; at = Next(at)) {
      const uint8_t fate = fates_[Index(at)];
      if ((fate & (kNothing | kWritten | kLost | kFiltered)) != 0) continue;
      if (Hold(commit.gaps, at)) continue;
      if ((fate & kEcho) != 0 && Hold(commit.filtered, at)) continue;
      ADD_FAILURE() << "partition " << key.partition << " passed offset " << at.value
                    << " on its way to " << end.value;
      return;
    }
  }

  std::vector<uint8_t> fates_;  // by offset
  size_t writes_seen_ = 0;
  uint32_t old_window_ = 0;
  Offset committed_;  // what its commits said last
  Offset journal_checked_;
};

}  // namespace drawbridge
