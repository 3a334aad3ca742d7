// Where a lane reads: anchors, retention, truncation, and what it passes without sending.
#include <gmock/gmock.h>

#include "tests/relay/pipeline/lane_fixture.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class LanePositionTest : public LaneFixture {
 protected:
  static Gap GapOf(int64_t first, int64_t end) {
    return {.range = RangeOf(first, end), .cause = GapCause::kRetention};
  }
};

// --- The anchor ---

TEST_F(LanePositionTest, ComparesTheAnchorsRecordAndDropsIt) {
  Produce(20);
  StartAfter(7, 10);

  EXPECT_EQ(source_->assigned_at(KeyOf(0)), Offset{7});
  EXPECT_EQ(pending(), Offsets(10, 20));
  EXPECT_EQ(state(), PartitionState::kRunning);
}

TEST_F(LanePositionTest, HaltsWhereAnotherRecordIsInTheAnchorsPlace) {
  Produce(20);
  Produce(5, 1);
  const Anchor anchor = AnchorAt(9);
  log().Replace({9}, {.key = {}, .value = "another life", .headers = {}});
  LanePartition order = OrderOf(0, 10);
  order.last.to.anchor = anchor;
  Start(order);
  Start(1);

  EXPECT_EQ(state(), PartitionState::kHalted);
  EXPECT_THAT(reasons(), ElementsAre(Reason::kSourceChanged));
  EXPECT_THAT(pending(), IsEmpty());
  EXPECT_FALSE(source_->is_read(KeyOf(0)));
  EXPECT_EQ(pending(1), Offsets(0, 5));
}

TEST_F(LanePositionTest, StaysHaltedUntilItIsToldOtherwise) {
  Produce(20);
  const Anchor anchor = AnchorAt(9);
  log().Replace({9}, {.key = {}, .value = "another life", .headers = {}});
  LanePartition order = OrderOf(0, 10);
  order.last.to.anchor = anchor;
  Start(order);

  Pass(1h);
  Start(order);
  EXPECT_EQ(state(), PartitionState::kHalted);
  SetPaused(true);
  EXPECT_EQ(state(), PartitionState::kPaused);
  SetPaused(false);
  EXPECT_EQ(state(), PartitionState::kHalted) << "the cause is still there";
  EXPECT_THAT(pending(), IsEmpty());

  LanePartition accepted = OrderOf(0, 0);
  accepted.last.token.epoch = 2;
  Start(accepted);
  EXPECT_EQ(pending(), Offsets(0, 20));
}

TEST_F(LanePositionTest, GoesOnWhereTheAnchorsRecordWasCompactedAway) {
  Produce(20);
  const Anchor anchor = AnchorAt(9);
  log().Compact({9});
  LanePartition order = OrderOf(0, 10);
  order.last.to.anchor = anchor;
  Start(order);

  EXPECT_EQ(pending(), Offsets(10, 20));
  EXPECT_EQ(state(), PartitionState::kRunning);
}

TEST_F(LanePositionTest, GoesOnWhereNothingIsBehindTheAnchor) {
  Produce(10);
  StartAfter(9, 10);
  EXPECT_EQ(state(), PartitionState::kRunning);

  Produce(2);
  Turn();
  EXPECT_EQ(pending(), Offsets(10, 12));
}

TEST_F(LanePositionTest, GoesOnWhereTheAnchorAndAllBehindItAreGone) {
  Produce(10);
  const Anchor anchor = AnchorAt(9);
  log().Compact({9});
  LanePartition order = OrderOf(0, 10);
  order.last.to.anchor = anchor;
  Start(order);
  EXPECT_EQ(state(), PartitionState::kRunning);

  Produce(2);
  Turn();
  EXPECT_EQ(pending(), Offsets(10, 12));
}

TEST_F(LanePositionTest, SeesNoGapWhereOnlyTheAnchorExpired) {
  Produce(20);
  const Anchor anchor = AnchorAt(5);
  log().Expire({8});
  LanePartition order = OrderOf(0, 10);
  order.last.to.anchor = anchor;
  Start(order);

  EXPECT_EQ(pending(), Offsets(10, 20));
  EXPECT_THAT(news().commit.gaps, IsEmpty());
  EXPECT_EQ(state(), PartitionState::kRunning);
}

TEST_F(LanePositionTest, SeesAGapFromTheCheckpointNotFromTheAnchor) {
  Produce(20);
  const Anchor anchor = AnchorAt(5);
  log().Expire({14});
  LanePartition order = OrderOf(0, 10);
  order.last.to.anchor = anchor;
  Start(order);

  EXPECT_EQ(pending(), Offsets(14, 20));
  EXPECT_THAT(news().commit.gaps, ElementsAre(GapOf(10, 14)));
}

TEST_F(LanePositionTest, ComparesAfterAPauseWhatItCouldNotCompareBefore) {
  Produce(20);
  const Anchor anchor = AnchorAt(9);
  log().Replace({9}, {.key = {}, .value = "another life", .headers = {}});
  LanePartition order = OrderOf(0, 10);
  order.last.to.anchor = anchor;
  order.is_paused = true;
  Start(order);
  EXPECT_EQ(state(), PartitionState::kPaused);

  SetPaused(false);
  EXPECT_EQ(state(), PartitionState::kHalted);
}

TEST_F(LanePositionTest, IsCheckingUntilTheSourceHasAnswered) {
  Produce(20);
  LanePartition order = OrderOf(0, 10);
  order.last.to.anchor = AnchorAt(9);
  ASSERT_TRUE(journal_->Reserve(order.route.key).ok());
  lane_->Start(order);

  EXPECT_EQ(shown().report.state, PartitionState::kChecking);
}

TEST_F(LanePositionTest, ComparesAgainWheneverTimeHasPassed) {
  Produce(20);
  sink_->SetAutomatic(true);
  Start();
  SetPaused(true);
  log().Replace({19}, {.key = {}, .value = "another life", .headers = {}});
  Produce(20);
  SetPaused(false);

  EXPECT_EQ(state(), PartitionState::kHalted);
  EXPECT_THAT(reasons(), ElementsAre(Reason::kSourceChanged));
  EXPECT_EQ(written(), Offsets(0, 20));
}

TEST_F(LanePositionTest, ComparesAgainBeforeAReplay) {
  Produce(20);
  Start();
  Confirm(0, 10);
  Fail(10, Disposition::kRetry);
  log().Replace({9}, {.key = {}, .value = "another life", .headers = {}});
  Pass(10s);

  EXPECT_EQ(state(), PartitionState::kHalted);
}

TEST_F(LanePositionTest, DoesNotSendAgainWhatItReadToCompare) {
  Produce(30);
  Start();
  Confirm(0, 10);
  SetPaused(true);
  SetPaused(false);

  EXPECT_EQ(source_->assigned_at(KeyOf(0)), Offset{9});
  EXPECT_EQ(pending(), Offsets(10, 30));
}

// --- Retention ---

TEST_F(LanePositionTest, CommitsAGapAtOnceWhereRetentionOvertookIt) {
  Produce(50);
  log().Expire({30});
  Start(0, 10);

  EXPECT_GT(wakes_, 0);
  const PartitionNews now = shown();
  EXPECT_TRUE(now.must_commit);
  EXPECT_EQ(now.commit.to.next, Offset{30});
  EXPECT_THAT(now.commit.gaps, ElementsAre(GapOf(10, 30)));
  EXPECT_EQ(pending(), Offsets(30, 50));
}

TEST_F(LanePositionTest, KeepsTheJournalBelowAGapUntilItIsStored) {
  Produce(50);
  log().Expire({30});
  Start(0, 10);
  ConfirmAll();
  EXPECT_EQ(journaled(), -1);

  Stored(29);
  EXPECT_EQ(journaled(), -1);

  Stored(30);
  EXPECT_EQ(journaled(), 50);
  EXPECT_FALSE(news().must_commit);
}

TEST_F(LanePositionTest, DoesNotTakeAnotherTokensStoreForItsOwn) {
  Produce(50);
  log().Expire({30});
  Start(0, 10);

  lane_->Stored(KeyOf(0), {.incarnation = 1, .epoch = 2}, Offset{50});
  lane_->Stored(KeyOf(1), kToken, Offset{50});
  Turn();

  EXPECT_EQ(journaled(), -1);
}

TEST_F(LanePositionTest, DoesNotCommitAGapBeforeTheRecordsBelowIt) {
  Produce(10);
  Start();
  Produce(40);
  log().Expire({30});
  Turn();
  EXPECT_EQ(pending().size(), 30U);
  EXPECT_THAT(news().commit.gaps, IsEmpty());
  EXPECT_EQ(news().commit.to.next, Offset{0});

  Confirm(0, 10);
  EXPECT_EQ(news().commit.to.next, Offset{30});
  EXPECT_THAT(news().commit.gaps, ElementsAre(GapOf(10, 30)));
}

TEST_F(LanePositionTest, CountsWhatExpiredBeforeItsReplayToTheGap) {
  Produce(10);
  Start();
  Produce(40);
  log().Expire({30});
  Turn();

  Confirm(0, 4);
  Fail(4, Disposition::kRetry);
  Pass(10s);
  ConfirmAll();

  EXPECT_THAT(news().commit.gaps, ElementsAre(GapOf(4, 30)));
  EXPECT_EQ(news().commit.to.next, Offset{50});
}

TEST_F(LanePositionTest, CommitsEachGapUntilItIsStored) {
  sink_->SetAutomatic(true);
  Produce(50);
  log().Expire({10});
  Start();
  SetPaused(true);
  Produce(50);
  log().Expire({80});
  SetPaused(false);
  EXPECT_THAT(news().commit.gaps, ElementsAre(GapOf(0, 10), GapOf(50, 80)));

  Stored(50);
  EXPECT_THAT(news().commit.gaps, ElementsAre(GapOf(50, 80)));
  EXPECT_EQ(journaled(), -1);
}

TEST_F(LanePositionTest, SeesAGapWhenAPauseLastedTooLong) {
  Produce(10);
  sink_->SetAutomatic(true);
  Start();
  SetPaused(true);
  Produce(40);
  log().Expire({30});
  SetPaused(false);

  EXPECT_THAT(news().commit.gaps, ElementsAre(GapOf(10, 30)));
  EXPECT_EQ(news().commit.to.next, Offset{50});
}

TEST_F(LanePositionTest, LooksAgainWhenTheSourceDoesNotSayWhereItsLogIs) {
  Produce(50);
  log().Expire({30});
  source_->ForgetWatermarks();
  Start(0, 10);
  EXPECT_THAT(news().commit.gaps, IsEmpty());
  EXPECT_THAT(pending(), IsEmpty());

  Pass(2s);
  EXPECT_THAT(news().commit.gaps, ElementsAre(GapOf(10, 30)));
  EXPECT_EQ(pending(), Offsets(30, 50));
}

TEST_F(LanePositionTest, ReadsAgainWhatTheSourceLeftOut) {
  Produce(10);
  Start();
  Produce(10);
  source_->LeaveOut(KeyOf(0), {15});
  Turn();
  EXPECT_THAT(reasons(), ElementsAre(Reason::kInternal));

  sink_->SetAutomatic(true);
  Pass(10s);
  EXPECT_EQ(journaled(), 20);
  for (int64_t at = 0; at < 20; ++at) EXPECT_GT(std::ranges::count(written(), at), 0) << at;
  EXPECT_THAT(news().conditions, IsEmpty());
}

// --- Truncation ---

TEST_F(LanePositionTest, HaltsOverATruncatedLogOnlyAfterSeveralLooks) {
  Produce(20);
  Start(0, 50);
  Pass(3s);
  EXPECT_NE(state(), PartitionState::kHalted);

  Pass(3s);
  EXPECT_EQ(state(), PartitionState::kHalted);
  EXPECT_THAT(reasons(), ElementsAre(Reason::kSourceChanged));
  EXPECT_EQ(news().commit.to.next, Offset{50});
}

TEST_F(LanePositionTest, HaltsOverALogThatEndsBetweenTheAnchorAndTheCheckpoint) {
  Produce(20);
  const Anchor anchor = AnchorAt(9);
  log().Truncate({12});
  LanePartition order = OrderOf(0, 15);
  order.last.to.anchor = anchor;
  Start(order);
  Pass(10s);

  EXPECT_EQ(state(), PartitionState::kHalted);
  EXPECT_THAT(written(), IsEmpty());
  EXPECT_EQ(shown().commit.to.next, Offset{15});
}

TEST_F(LanePositionTest, HaltsWhenTheLogIsTruncatedWhileItIsRead) {
  Produce(20);
  sink_->SetAutomatic(true);
  Start();
  log().Truncate({12});
  Pass(10s);

  EXPECT_EQ(state(), PartitionState::kHalted);
}

TEST_F(LanePositionTest, DoesNotReadATruncatedLogOnceItHasGrownAgain) {
  sink_->SetAutomatic(true);
  Produce(20);
  Start();
  log().Truncate({12});
  Pass(10s);
  ASSERT_EQ(state(), PartitionState::kHalted);
  for (int i = 0; i < 50; ++i) log().Append({.key = {}, .value = "another life", .headers = {}});
  SetPaused(true);
  SetPaused(false);

  EXPECT_EQ(state(), PartitionState::kHalted);
  EXPECT_EQ(written(), Offsets(0, 20));
}

TEST_F(LanePositionTest, ForgivesALogEndThatWasLowForAMoment) {
  sink_->SetAutomatic(true);
  Produce(20);
  Start(0, 30);
  Pass(3s);
  Produce(10);  // the other replica's records
  Pass(5s);
  EXPECT_EQ(state(), PartitionState::kRunning);

  log().Truncate({25});  // and again: the earlier looks do not count
  Pass(1s);
  EXPECT_NE(state(), PartitionState::kHalted);
}

// --- Records that are not sent ---

TEST_F(LanePositionTest, DoesNotSendRecordsBackToWhereTheyWere) {
  Produce(3);
  ProduceEchoes(4);
  Produce(3);
  Start();
  ConfirmAll();

  EXPECT_THAT(written(), ElementsAre(0, 1, 2, 7, 8, 9));
  EXPECT_EQ(news().report.records_filtered, 4);
}

TEST_F(LanePositionTest, CommitsWhatItFilteredAndKeepsTheJournalBackUntilThatIsStored) {
  Produce(3);
  ProduceEchoes(4);
  Produce(3);
  Start();
  Confirm(0, 3);
  EXPECT_EQ(journaled(), 3);

  Confirm(7, 10);
  const PartitionNews now = shown();
  EXPECT_TRUE(now.must_commit);
  EXPECT_EQ(now.commit.to.next, Offset{10});
  EXPECT_THAT(now.commit.filtered,
              ElementsAre(FilteredRange{.range = RangeOf(3, 7), .records = 4}));
  EXPECT_EQ(journaled(), 3);

  Stored(10);
  EXPECT_EQ(journaled(), 10);
  EXPECT_THAT(news().commit.filtered, IsEmpty());
}

TEST_F(LanePositionTest, WakesTheSessionOnceUntilItHasAnAnswer) {
  Produce(1);
  ProduceEchoes(1);
  Produce(50);
  Start();
  for (int64_t at = 0; at < 50; ++at) Confirm(at, at + 1);
  EXPECT_EQ(wakes_, 1);

  ProduceEchoes(1);
  Stored(20);
  EXPECT_EQ(wakes_, 1) << "nothing new";
  ConfirmAll();
  EXPECT_EQ(wakes_, 2);
}

TEST_F(LanePositionTest, MovesOverBatchesOfWhichNothingIsLeft) {
  ProduceEchoes(30);
  Start();
  Pass(500ms);

  EXPECT_EQ(shown().commit.to.next, Offset{30});
  EXPECT_TRUE(shown().must_commit);
  int64_t filtered = 0;
  for (const FilteredRange& passed : shown().commit.filtered) filtered += passed.records;
  EXPECT_EQ(filtered, 30);
}

TEST_F(LanePositionTest, CountsAFilteredRecordOnceThoughItIsReadTwice) {
  Produce(1);
  ProduceEchoes(4);
  Start();
  Fail(0, Disposition::kRetry);
  Pass(10s);
  ConfirmAll();

  EXPECT_THAT(news().commit.filtered,
              ElementsAre(FilteredRange{.range = RangeOf(1, 5), .records = 4}));
}

TEST_F(LanePositionTest, SendsEverythingWhereTheTargetIsNotKnown) {
  settings_.target_cluster = std::nullopt;
  MakeLane();
  ProduceEchoes(4);
  Start();

  EXPECT_EQ(pending(), Offsets(0, 4));
}

}  // namespace
}  // namespace drawbridge
