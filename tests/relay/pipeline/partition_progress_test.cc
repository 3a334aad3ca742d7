#include "relay/pipeline/partition_progress.h"

#include <gtest/gtest.h>

#include "tests/relay/pipeline/batches.h"

namespace drawbridge {
namespace {

constexpr PartitionKey kKey{.stream = {7}, .partition = 3};
constexpr FencingToken kToken{.incarnation = 2, .epoch = 5};

class PartitionProgressTest : public testing::Test {
 protected:
  // Reads a batch and confirms none of it.
  void Begin(int64_t from, std::initializer_list<int64_t> offsets, int64_t read_to) {
    ASSERT_TRUE(progress_.Begin(BatchOf(from, offsets, read_to)).ok());
  }
  int64_t checkpoint() const { return progress_.checkpoint().next.value; }
  std::optional<int64_t> journaled() const {
    const auto entry = progress_.Entry();
    return entry ? std::optional(entry->checkpoint.next.value) : std::nullopt;
  }

  const Anchor anchor_{.offset = {99}, .timestamp_ms = 1, .hash = 2};
  PartitionProgress progress_{{.key = kKey,
                               .token = kToken,
                               .base = Offset{90},
                               .to = {.next = {100}, .anchor = anchor_},
                               .gaps = {},
                               .filtered = {},
                               .dead_letters = {}}};
};

TEST_F(PartitionProgressTest, CommitsUnderItsTokenFromItsBase) {
  const CommitItem commit = progress_.Commit();

  EXPECT_EQ(commit.key, kKey);
  EXPECT_EQ(commit.token, kToken);
  EXPECT_EQ(commit.base, Offset{90});
  EXPECT_EQ(commit.to, (Checkpoint{.next = {100}, .anchor = anchor_}));
}

TEST_F(PartitionProgressTest, RestsOnTheLastRecordOfABatchOnceAllOfItIsConfirmed) {
  Begin(100, {100, 101, 102}, 103);
  progress_.Confirm(RangeOf(100, 102));
  EXPECT_EQ(progress_.checkpoint(), (Checkpoint{.next = {102}, .anchor = anchor_}));

  progress_.Confirm(RangeOf(102, 103));
  EXPECT_EQ(progress_.checkpoint(), (Checkpoint{.next = {103}, .anchor = AnchorOf(RecordAt(102))}));
}

TEST_F(PartitionProgressTest, AnchorsARecordBelowTheHoleThatFollowsIt) {
  Begin(100, {100}, 120);
  progress_.Confirm(RangeOf(100, 101));

  EXPECT_EQ(progress_.checkpoint(), (Checkpoint{.next = {120}, .anchor = AnchorOf(RecordAt(100))}));
}

TEST_F(PartitionProgressTest, PassesAHoleOnlyWithTheRecordsBeforeIt) {
  Begin(100, {100}, 101);
  Begin(101, {150}, 151);
  progress_.Confirm(RangeOf(101, 151));
  EXPECT_EQ(checkpoint(), 100);

  progress_.Confirm(RangeOf(100, 101));
  EXPECT_EQ(checkpoint(), 151);
}

TEST_F(PartitionProgressTest, TellsTheTimeOfTheOldestUnconfirmedBatch) {
  EXPECT_EQ(progress_.oldest_unconfirmed_ms(), std::nullopt);
  Begin(100, {100}, 101);
  Begin(101, {101}, 102);
  EXPECT_EQ(progress_.oldest_unconfirmed_ms(), RecordAt(100).timestamp_ms);

  progress_.Confirm(RangeOf(100, 101));
  EXPECT_EQ(progress_.oldest_unconfirmed_ms(), RecordAt(101).timestamp_ms);
}

TEST_F(PartitionProgressTest, KnowsNoTimeOfRecordsThatHaveNone) {
  Batch batch = BatchOf(100, {100}, 101);
  batch.records.front().timestamp_ms = -1;
  ASSERT_TRUE(progress_.Begin(batch).ok());

  EXPECT_EQ(progress_.oldest_unconfirmed_ms(), std::nullopt);
}

TEST_F(PartitionProgressTest, RefusesABatchThatSomethingWasLeftOutBefore) {
  Begin(100, {100}, 101);

  EXPECT_EQ(progress_.Begin(BatchOf(105, {105}, 106)).code(), StatusCode::kInternal);
  EXPECT_EQ(progress_.read_to(), Offset{101});
}

// --- Dead letters ---

TEST_F(PartitionProgressTest, CommitsDeadLettersWithTheCheckpointThatPassesThem) {
  Begin(100, {100, 101, 102, 103}, 104);
  progress_.PassDeadLetter(Offset{101}, "a");
  progress_.PassDeadLetter(Offset{103}, "a");
  progress_.Confirm(RangeOf(101, 104));
  EXPECT_TRUE(progress_.Commit().dead_letters.empty());

  progress_.PassDeadLetter(Offset{100}, "b");
  progress_.Confirm(RangeOf(100, 101));

  EXPECT_EQ(progress_.Commit().dead_letters, (std::vector{DeadLetters{RangeOf(100, 101), 1, "b"},
                                                          DeadLetters{RangeOf(101, 104), 2, "a"}}));
}

TEST_F(PartitionProgressTest, KeepsTheJournalBackUntilDeadLettersAreStored) {
  Begin(100, {100, 101}, 102);
  progress_.PassDeadLetter(Offset{100}, "a");
  EXPECT_FALSE(progress_.has_unstored()) << "the checkpoint has not passed it";
  progress_.Confirm(RangeOf(100, 102));
  EXPECT_EQ(journaled(), std::nullopt);
  EXPECT_TRUE(progress_.has_unstored());
  ASSERT_EQ(progress_.Commit().dead_letters.size(), 1U);

  progress_.Stored(Offset{100});
  EXPECT_EQ(journaled(), std::nullopt);
  progress_.Stored(Offset{102});

  EXPECT_EQ(journaled(), 102);
  EXPECT_FALSE(progress_.has_unstored());
  EXPECT_TRUE(progress_.Commit().dead_letters.empty());
}

TEST_F(PartitionProgressTest, ForgetsDeadLettersThatAreReadAgain) {
  Begin(100, {100, 101}, 102);
  progress_.PassDeadLetter(Offset{101}, "a");
  progress_.ForgetFrom(Offset{100});
  Begin(100, {100, 101}, 102);
  progress_.Confirm(RangeOf(100, 102));

  EXPECT_TRUE(progress_.Commit().dead_letters.empty());
}

TEST_F(PartitionProgressTest, CommitsFewGroupsOfDeadLettersHoweverLongTheServerIsAway) {
  int64_t records = 0;
  for (int64_t offset = 100; offset < 2100; ++offset) {
    Begin(offset, {offset}, offset + 1);
    progress_.PassDeadLetter(Offset{offset}, "error " + std::to_string(offset));
    progress_.Confirm(RangeOf(offset, offset + 1));
    if (offset % 3 == 0) progress_.Commit();
  }
  const CommitItem commit = progress_.Commit();
  for (const DeadLetters& letters : commit.dead_letters) {
    records += letters.records;
    EXPECT_LE(letters.records, letters.range.size());
  }

  EXPECT_LE(commit.dead_letters.size(), 300U);
  EXPECT_EQ(records, 2000);
}

// --- Gaps ---

TEST_F(PartitionProgressTest, CommitsAGapWithTheCheckpointThatPassesIt) {
  Begin(100, {100}, 101);
  progress_.PassGap(Offset{150});
  EXPECT_TRUE(progress_.Commit().gaps.empty());

  progress_.Confirm(RangeOf(100, 101));
  const CommitItem commit = progress_.Commit();
  EXPECT_EQ(commit.to.next, Offset{150});
  EXPECT_EQ(commit.gaps, (std::vector{Gap{RangeOf(101, 150), GapCause::kRetention}}));
}

TEST_F(PartitionProgressTest, KeepsTheJournalBackUntilTheGapIsStored) {
  progress_.PassGap(Offset{150});
  EXPECT_EQ(journaled(), std::nullopt);
  EXPECT_TRUE(progress_.has_unstored());

  progress_.Stored(Offset{149});  // an earlier commit
  EXPECT_EQ(journaled(), std::nullopt);

  progress_.Stored(Offset{150});
  EXPECT_EQ(journaled(), 150);
  EXPECT_FALSE(progress_.has_unstored());
}

TEST_F(PartitionProgressTest, JournalsUpToAGapThatIsStillAhead) {
  Begin(100, {100, 101}, 102);
  progress_.PassGap(Offset{150});
  progress_.Confirm(RangeOf(100, 101));

  EXPECT_EQ(journaled(), 101);
  EXPECT_FALSE(progress_.has_unstored());
}

TEST_F(PartitionProgressTest, CommitsAGapAgainUntilItIsStored) {
  progress_.PassGap(Offset{150});
  Begin(150, {150}, 151);
  progress_.Commit();
  progress_.Confirm(RangeOf(150, 151));

  EXPECT_EQ(progress_.Commit().gaps.size(), 1U);
  progress_.Stored(Offset{151});
  EXPECT_TRUE(progress_.Commit().gaps.empty());
}

TEST_F(PartitionProgressTest, HasNoGapWhereTheLogBeginsBelowWhatWasRead) {
  progress_.PassGap(Offset{60});

  EXPECT_EQ(checkpoint(), 100);
  EXPECT_FALSE(progress_.has_unstored());
}

// --- Filtered records ---

TEST_F(PartitionProgressTest, CommitsWhatWasFilteredWithTheCheckpointThatPassesIt) {
  progress_.PassFiltered({.range = RangeOf(101, 103), .records = 2});
  Begin(100, {100, 103}, 104);
  EXPECT_TRUE(progress_.Commit().filtered.empty());

  progress_.Confirm(RangeOf(100, 104));
  const CommitItem commit = progress_.Commit();
  EXPECT_EQ(commit.to.next, Offset{104});
  EXPECT_EQ(commit.filtered,
            (std::vector{FilteredRange{.range = RangeOf(101, 103), .records = 2}}));
}

TEST_F(PartitionProgressTest, PassesABatchOfWhichNothingIsLeft) {
  progress_.PassFiltered({.range = RangeOf(100, 110), .records = 10});
  Begin(100, {}, 110);

  EXPECT_EQ(checkpoint(), 110);
  EXPECT_TRUE(progress_.has_unstored());
}

TEST_F(PartitionProgressTest, KeepsTheJournalBackUntilWhatWasFilteredIsStored) {
  progress_.PassFiltered({.range = RangeOf(100, 110), .records = 10});
  Begin(100, {}, 110);
  EXPECT_EQ(journaled(), std::nullopt);
  progress_.Commit();
  EXPECT_EQ(journaled(), std::nullopt);

  progress_.Stored(Offset{110});
  EXPECT_EQ(journaled(), 110);
}

TEST_F(PartitionProgressTest, SumsUpWhatOneCommitPasses) {
  progress_.PassFiltered({.range = RangeOf(100, 101), .records = 1});
  progress_.PassFiltered({.range = RangeOf(105, 110), .records = 4});
  Begin(100, {}, 110);

  EXPECT_EQ(progress_.Commit().filtered,
            (std::vector{FilteredRange{.range = RangeOf(100, 110), .records = 5}}));
}

TEST_F(PartitionProgressTest, CountsEachFilteredRecordOnceOverManyCommits) {
  int64_t stored = 0;
  for (int64_t at = 100; at < 200; at += 10) {
    progress_.PassFiltered({.range = RangeOf(at, at + 10), .records = 10});
    Begin(at, {}, at + 10);
    const CommitItem commit = progress_.Commit();
    if (at % 30 != 0) continue;  // the others do not arrive
    for (const FilteredRange& passed : commit.filtered) stored += passed.records;
    progress_.Stored(commit.to.next);
  }
  for (const FilteredRange& passed : progress_.Commit().filtered) stored += passed.records;

  EXPECT_EQ(stored, 100);
}

TEST_F(PartitionProgressTest, BoundsWhatItCommitsWhileTheServerIsAway) {
  for (int64_t at = 100; at < 10'100; ++at) {
    progress_.PassFiltered({.range = RangeOf(at, at + 1), .records = 1});
    Begin(at, {}, at + 1);
    progress_.Commit();
  }

  const CommitItem commit = progress_.Commit();
  EXPECT_LE(commit.filtered.size(), 64U);
  EXPECT_EQ(commit.filtered.front().range.first, Offset{100});
  int64_t filtered = 0;
  for (const FilteredRange& passed : commit.filtered) filtered += passed.records;
  EXPECT_EQ(filtered, 10'000);
}

// --- Reading again ---

TEST_F(PartitionProgressTest, ReadsAgainFromTheCheckpoint) {
  Begin(100, {100, 101, 102}, 103);
  progress_.Confirm(RangeOf(100, 101));
  progress_.ForgetFrom(progress_.checkpoint().next);
  EXPECT_EQ(progress_.read_to(), Offset{101});
  EXPECT_EQ(progress_.oldest_unconfirmed_ms(), std::nullopt);

  Begin(101, {101, 102}, 103);
  EXPECT_EQ(checkpoint(), 101);
}

TEST_F(PartitionProgressTest, PassesAGapBeyondTheCheckpointAgain) {
  Begin(100, {100}, 101);
  progress_.PassGap(Offset{150});
  progress_.ForgetFrom(progress_.checkpoint().next);
  progress_.PassGap(Offset{160});  // by then the first record had expired too

  EXPECT_EQ(progress_.Commit().gaps, (std::vector{Gap{RangeOf(100, 160), GapCause::kRetention}}));
}

TEST_F(PartitionProgressTest, KeepsAGapThatTheCheckpointHasPassed) {
  progress_.PassGap(Offset{150});
  Begin(150, {150}, 151);
  progress_.ForgetFrom(progress_.checkpoint().next);

  EXPECT_EQ(progress_.Commit().gaps.size(), 1U);
  EXPECT_EQ(journaled(), std::nullopt);
}

TEST_F(PartitionProgressTest, CountsFilteredRecordsOnceThoughTheyAreReadTwice) {
  progress_.PassFiltered({.range = RangeOf(101, 102), .records = 1});
  Begin(100, {100}, 102);
  progress_.ForgetFrom(progress_.checkpoint().next);
  progress_.PassFiltered({.range = RangeOf(101, 102), .records = 1});
  Begin(100, {100}, 102);
  progress_.Confirm(RangeOf(100, 101));

  EXPECT_EQ(progress_.Commit().filtered,
            (std::vector{FilteredRange{.range = RangeOf(101, 102), .records = 1}}));
}

TEST_F(PartitionProgressTest, KeepsWhatIsInFlightWhenItForgetsWhatIsNot) {
  Begin(100, {100, 101}, 102);
  Begin(102, {102, 103, 104}, 105);
  progress_.ForgetFrom(Offset{103});  // of the second batch, one record is on its way
  EXPECT_EQ(progress_.read_to(), Offset{103});

  progress_.Confirm(RangeOf(100, 103));
  EXPECT_EQ(progress_.checkpoint(), (Checkpoint{.next = {103}, .anchor = AnchorOf(RecordAt(101))}));

  Begin(103, {103, 104}, 105);
  progress_.Confirm(RangeOf(103, 105));
  EXPECT_EQ(progress_.checkpoint(), (Checkpoint{.next = {105}, .anchor = AnchorOf(RecordAt(104))}));
}

TEST_F(PartitionProgressTest, NeverForgetsWhatIsBelowTheCheckpoint) {
  Begin(100, {100, 101}, 102);
  progress_.Confirm(RangeOf(100, 101));
  progress_.ForgetFrom(Offset{50});

  EXPECT_EQ(checkpoint(), 101);
  EXPECT_EQ(progress_.read_to(), Offset{101});
}

}  // namespace
}  // namespace drawbridge
