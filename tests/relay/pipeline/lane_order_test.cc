// Orders to a lane: start, pause, release, a new token, and all of them at the wrong time.
#include <gmock/gmock.h>

#include "tests/relay/pipeline/lane_fixture.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class LaneOrderTest : public LaneFixture {
 protected:
  // A rewind or a new owner: the same partition from another offset under the next epoch.
  void StartAgain(int64_t next, int64_t epoch = 2) {
    LanePartition order = OrderOf(0, next);
    order.last.token.epoch = epoch;
    Start(order);
  }
};

// --- Pause ---

TEST_F(LaneOrderTest, StopsReadingWhenPausedAndTakesWhatIsInFlight) {
  Produce(10);
  Start();
  SetPaused(true);
  EXPECT_EQ(state(), PartitionState::kPaused);
  EXPECT_FALSE(source_->is_read(KeyOf(0)));

  Produce(10);
  ConfirmAll();
  EXPECT_EQ(journaled(), 10);
  EXPECT_THAT(pending(), IsEmpty());
}

TEST_F(LaneOrderTest, NeitherLosesNorDoublesARecordThroughPauses) {
  Produce(100);
  sink_->SetCapacity(7);
  Start();
  for (int round = 0; round < 50; ++round) {
    SetPaused(true);
    sink_->ConfirmOldest(KeyOf(0), 3);
    Turn();
    source_->Fetch();
    SetPaused(false);
    sink_->ConfirmOldest(KeyOf(0), 2);
    Turn();
  }
  sink_->SetAutomatic(true);
  Turn();

  EXPECT_EQ(written(), Offsets(0, 100));
  EXPECT_EQ(sink_->windows(KeyOf(0)), 1U);
}

TEST_F(LaneOrderTest, IgnoresBatchesThatWereFetchedBeforeAPause) {
  Start();
  Produce(10);
  source_->Fetch();
  SetPaused(true);
  EXPECT_THAT(pending(), IsEmpty());

  source_->Fetch();
  SetPaused(false);
  EXPECT_EQ(pending(), Offsets(0, 10));
}

TEST_F(LaneOrderTest, IgnoresAnEndOfPartitionFromBeforeARewind) {
  Produce(10);
  Start(0, 10);
  log().AppendHole(5);
  source_->Fetch();  // the end, now at 15
  StartAgain(3);

  EXPECT_EQ(news().commit.to.next, Offset{3});
  EXPECT_EQ(pending(), Offsets(3, 10));
}

TEST_F(LaneOrderTest, IgnoresAnOutOfRangeFromBeforeARewind) {
  Produce(30);
  SetPaused(false);
  Start(0, 30);
  SetPaused(true);
  log().Expire({20});
  lane_->SetPaused(KeyOf(0), false);
  source_->Fetch();
  StartAgain(20);

  EXPECT_THAT(news().commit.gaps, IsEmpty());
  EXPECT_EQ(pending(), Offsets(20, 30));
}

TEST_F(LaneOrderTest, DoesNotReadAPartitionThatStartsPaused) {
  Produce(10);
  LanePartition order = OrderOf(0, 0);
  order.is_paused = true;
  Start(order);
  Pass(1min);
  EXPECT_EQ(state(), PartitionState::kPaused);
  EXPECT_EQ(source_->assigns(KeyOf(0)), 0);

  SetPaused(false);
  EXPECT_EQ(pending(), Offsets(0, 10));
}

TEST_F(LaneOrderTest, PausesOnePartitionOnly) {
  Produce(10);
  Produce(10, 1);
  Start();
  Start(1);
  SetPaused(true);
  Produce(10, 1);
  Turn();

  EXPECT_EQ(pending(1), Offsets(0, 20));
}

TEST_F(LaneOrderTest, StopsARetryWhenPaused) {
  Produce(10);
  Start();
  Fail(0, Disposition::kRetry);
  SetPaused(true);
  Pass(1min);

  EXPECT_EQ(source_->assigns(KeyOf(0)), 1);
  EXPECT_EQ(state(), PartitionState::kPaused);
  EXPECT_THAT(reasons(), IsEmpty());
}

// --- Release ---

TEST_F(LaneOrderTest, ReleasesAPartitionWhenAllInFlightIsConfirmed) {
  Produce(10);
  Start();
  Release(30s);
  EXPECT_FALSE(source_->is_read(KeyOf(0)));
  Confirm(0, 9);
  EXPECT_THAT(lane_->TakeReleased(), IsEmpty());

  Confirm(9, 10);
  const std::vector<ReleasedPartition> released = lane_->TakeReleased();
  ASSERT_EQ(released.size(), 1U);
  EXPECT_EQ(released.front().key, KeyOf(0));
  EXPECT_EQ(released.front().token, kToken);
  EXPECT_EQ(released.front().last.to, (Checkpoint{.next = {10}, .anchor = AnchorAt(9)}));
  EXPECT_EQ(lane_->partitions(), 0U);
  EXPECT_THAT(board_.News(), IsEmpty());
  EXPECT_EQ(journaled(), 10);
}

TEST_F(LaneOrderTest, ReleasesAtTheDeadlineWithWhatIsConfirmedByThen) {
  Produce(10);
  Start();
  Confirm(0, 4);
  Confirm(6, 10);
  Release(5s);
  Pass(4s);
  EXPECT_THAT(lane_->TakeReleased(), IsEmpty());

  Pass(1s);
  const std::vector<ReleasedPartition> released = lane_->TakeReleased();
  ASSERT_EQ(released.size(), 1U);
  EXPECT_EQ(released.front().last.to.next, Offset{4});
  ConfirmAll();  // late
  EXPECT_EQ(journaled(), 4);
}

TEST_F(LaneOrderTest, ReleasesAtOnceWhereTheTargetLetsNothingPass) {
  Produce(10);
  Start();
  Confirm(0, 4);
  Condition locked;
  locked.reason = Reason::kAuthenticationFailed;
  sink_->SetTrouble(locked);
  Release(30s);
  Pass(1s);
  EXPECT_THAT(lane_->TakeReleased(), IsEmpty()) << "some may still be confirmed";

  locked.blocks = true;
  sink_->SetTrouble(locked);
  Pass(1s);

  const std::vector<ReleasedPartition> released = lane_->TakeReleased();
  ASSERT_EQ(released.size(), 1U);
  EXPECT_EQ(released.front().last.to.next, Offset{4});
}

TEST_F(LaneOrderTest, ReleasesAtOnceWhatHasNothingInFlight) {
  Produce(10);
  Start();
  ConfirmAll();
  Release(30s);

  EXPECT_EQ(lane_->TakeReleased().size(), 1U);
}

TEST_F(LaneOrderTest, ReleasesWithTheGapsThatNobodyHasStored) {
  Produce(50);
  log().Expire({30});
  Start();
  ConfirmAll();
  Release(30s);

  const std::vector<ReleasedPartition> released = lane_->TakeReleased();
  ASSERT_EQ(released.size(), 1U);
  EXPECT_THAT(released.front().last.gaps,
              ElementsAre(Gap{.range = RangeOf(0, 30), .cause = GapCause::kRetention}));
  EXPECT_EQ(journaled(), -1);
}

TEST_F(LaneOrderTest, LeavesToTheNextOwnerWhatTheSinkDidNotTake) {
  Produce(10);
  sink_->SetCapacity(4);
  Start();
  Release(30s);
  ConfirmAll();

  ASSERT_EQ(lane_->TakeReleased().size(), 1U);
  EXPECT_EQ(written(), Offsets(0, 4));
  EXPECT_EQ(source_->records_out(), 0);
  Pass(500ms);
  EXPECT_EQ(board_.BufferedBytes(), 0);
}

TEST_F(LaneOrderTest, GoesOnWhenAReleaseIsTakenBack) {
  Produce(30);
  sink_->SetCapacity(4);
  Start();
  Release(30s);
  Start(OrderOf(0, 0));  // the assignment changed its mind
  sink_->SetCapacity(100);
  Turn();
  ConfirmAll();
  Pass(1min);

  EXPECT_THAT(lane_->TakeReleased(), IsEmpty());
  EXPECT_EQ(state(), PartitionState::kRunning);
  EXPECT_EQ(journaled(), 30);
}

TEST_F(LaneOrderTest, StaysPausedWhenAReleaseIsTakenBack) {
  Produce(30);
  Start();
  SetPaused(true);
  Release(30s);
  LanePartition order = OrderOf(0, 0);
  order.is_paused = true;
  Start(order);
  ConfirmAll();
  Pass(1min);

  EXPECT_EQ(state(), PartitionState::kPaused);
  EXPECT_FALSE(source_->is_read(KeyOf(0)));
}

TEST_F(LaneOrderTest, DoesNotReadWhatItReleasesWhateverIsOrdered) {
  Produce(10);
  Start();
  Release(30s);
  SetPaused(true);
  SetPaused(false);

  EXPECT_FALSE(source_->is_read(KeyOf(0)));
  ConfirmAll();
  EXPECT_EQ(lane_->TakeReleased().size(), 1U);
}

TEST_F(LaneOrderTest, DoesNotReadWhatItReleasesWhenARecordFails) {
  Produce(10);
  Start();
  Release(30s);
  Fail(4, Disposition::kRetry);
  Pass(29s);
  EXPECT_FALSE(lane_->partitions() > 0 && source_->is_read(KeyOf(0)));

  Pass(1s);
  const std::vector<ReleasedPartition> released = lane_->TakeReleased();
  ASSERT_EQ(released.size(), 1U);
  EXPECT_EQ(released.front().last.to.next, Offset{0});
}

TEST_F(LaneOrderTest, HasNothingInFlightWhenItReleasesBeforeTheDeadline) {
  Produce(10);
  Start();
  Fail(4, Disposition::kRetry);  // the other nine are still on their way, under the older window
  Release(30s);
  EXPECT_THAT(lane_->TakeReleased(), IsEmpty());

  ConfirmAll();
  EXPECT_EQ(lane_->TakeReleased().size(), 1U);
}

TEST_F(LaneOrderTest, ReleasesAHaltedPartition) {
  Produce(10);
  Start();
  source_->Break(KeyOf(0), {StatusCode::kFailedPrecondition, Reason::kSourceChanged, "truncated"},
                 true);
  Turn();
  Release(5s);
  Pass(5s);

  EXPECT_EQ(lane_->TakeReleased().size(), 1U);
}

TEST_F(LaneOrderTest, DoesNotCountAnOldOwnersConfirmationsForTheNextInItsSlot) {
  Produce(10);
  Produce(10, 1);
  Start();
  Release(0s);
  ASSERT_EQ(lane_->TakeReleased().size(), 1U);
  Start(1);

  ConfirmAll();
  EXPECT_LE(journaled(1), 0);
  ConfirmAll(1);
  EXPECT_EQ(journaled(1), 10);
}

// --- Tokens ---

TEST_F(LaneOrderTest, ForgetsWhatWasInFlightUnderAnOlderToken) {
  Produce(10);
  Start(0, 5);
  StartAgain(0);
  sink_->ConfirmOldest(KeyOf(0), 5);  // under the older token
  Turn();

  EXPECT_EQ(news().commit.token.epoch, 2);
  EXPECT_EQ(news().commit.to.next, Offset{0});
  EXPECT_LE(journaled(), 0);
  EXPECT_EQ(pending(), Offsets(0, 10));
  EXPECT_THAT(lane_->TakeReleased(), IsEmpty());
}

TEST_F(LaneOrderTest, ReadsEveryRecordAgainAfterARewind) {
  sink_->SetAutomatic(true);
  Produce(10);
  Start();
  StartAgain(4);

  std::vector<int64_t> expected = Offsets(0, 10);
  for (int64_t at = 4; at < 10; ++at) expected.push_back(at);
  EXPECT_EQ(written(), expected);
  EXPECT_EQ(journal_->Read(KeyOf(0))->token.epoch, 2);
}

TEST_F(LaneOrderTest, ReplacesAReleasedPartitionByANewerToken) {
  Produce(10);
  Start();
  Release(30s);
  StartAgain(0);
  ConfirmAll();
  Pass(1min);

  EXPECT_THAT(lane_->TakeReleased(), IsEmpty());
  EXPECT_EQ(state(), PartitionState::kRunning);
  EXPECT_EQ(journaled(), 10);
}

TEST_F(LaneOrderTest, DoesNothingWhenItIsToldTheSameAgain) {
  Produce(10);
  Start();
  Confirm(0, 5);
  Start(OrderOf(0, 0));

  EXPECT_EQ(source_->assigns(KeyOf(0)), 1);
  EXPECT_EQ(pending(), Offsets(5, 10));
  EXPECT_EQ(news().commit.to.next, Offset{5});
}

TEST_F(LaneOrderTest, DoesNothingWhenItIsToldAnOlderToken) {
  Produce(10);
  StartAgain(5, 7);
  LanePartition late = OrderOf(0, 0);
  late.is_paused = true;
  Start(late);

  EXPECT_EQ(pending(), Offsets(5, 10));
  EXPECT_EQ(news().commit.token.epoch, 7);
  EXPECT_EQ(state(), PartitionState::kRunning);
}

TEST_F(LaneOrderTest, TakesAPauseFromTheSameToken) {
  Produce(10);
  Start();
  LanePartition order = OrderOf(0, 0);
  order.is_paused = true;
  Start(order);
  EXPECT_EQ(state(), PartitionState::kPaused);

  Start(OrderOf(0, 0));
  EXPECT_EQ(state(), PartitionState::kRunning);
  ConfirmAll();
  EXPECT_EQ(journaled(), 10);
}

TEST_F(LaneOrderTest, TakesAnIncarnationForNewerThanAnyEpoch) {
  Produce(10);
  StartAgain(5, 900);
  LanePartition restored = OrderOf(0, 2);
  restored.last.token = {.incarnation = 2, .epoch = 1};
  Start(restored);

  EXPECT_EQ(news().commit.token, restored.last.token);
  EXPECT_EQ(news().commit.to.next, Offset{2});
}

TEST_F(LaneOrderTest, DoesNotMindOrdersAboutAPartitionThatItDoesNotHave) {
  lane_->SetPaused(KeyOf(8), true);
  lane_->Release(KeyOf(8), clock_.Now());
  lane_->Stored(KeyOf(8), kToken, Offset{5});
  Turn();

  EXPECT_EQ(lane_->partitions(), 0U);
  EXPECT_THAT(lane_->TakeReleased(), IsEmpty());
}

}  // namespace
}  // namespace drawbridge
