// What a lane does about errors: of records, of the target, of the source.
#include <gmock/gmock.h>

#include "tests/relay/pipeline/lane_fixture.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LaneFailureTest : public LaneFixture {
 protected:
  static Status Refused() {
    return {StatusCode::kInvalidArgument, Reason::kRecordTooLarge, "too large for the target"};
  }
  // The target refuses one record and takes what was sent behind it.
  void Refuse(int64_t offset, int partition = 0) {
    RefuseAlone(offset, partition);
    ConfirmAll(partition);
  }
  void RefuseAlone(int64_t offset, int partition = 0) {
    sink_->Fail(KeyOf(partition), {Offset{offset}, Next({offset})}, Disposition::kRefuse,
                Refused());
    Turn();
  }
  // Suspects are sent a few at a time.
  void ConfirmWhatComes() {
    for (int rounds = 0; rounds < 1000 && !pending().empty(); ++rounds) ConfirmAll();
  }
};

// --- Retry ---

TEST_F(LaneFailureTest, ReplaysFromTheFirstFailedRecord) {
  Produce(10);
  Start();
  Confirm(0, 3);
  Fail(3, Disposition::kRetry);
  EXPECT_EQ(shown().report.state, PartitionState::kRetrying);
  EXPECT_THAT(reasons(), ElementsAre(Reason::kBrokerError));
  sink_->Confirm(KeyOf(0));  // what was behind it
  Pass(10s);

  EXPECT_EQ(source_->assigned_at(KeyOf(0)), Offset{3});
  EXPECT_EQ(pending(), Offsets(3, 10));
  EXPECT_EQ(journaled(), 3);
}

TEST_F(LaneFailureTest, ReplaysFromTheCheckpointWhenRecordsBeforeTheFailedOneAreOnTheirWay) {
  Produce(10);
  Start();
  Confirm(0, 2);
  Fail(5, Disposition::kRetry);
  Pass(10s);

  EXPECT_EQ(source_->assigned_at(KeyOf(0)), Offset{2});
}

TEST_F(LaneFailureTest, DoesNotPassAFailedRecordWhateverIsConfirmedBehindIt) {
  Produce(10);
  Start();
  sink_->Fail(KeyOf(0), Offset{3}, Disposition::kRetry);
  sink_->Confirm(KeyOf(0));
  Turn();
  EXPECT_LE(journaled(), 3);

  Pass(10s);
  EXPECT_LE(journaled(), 3);
  ConfirmAll();
  EXPECT_EQ(journaled(), 10);
}

TEST_F(LaneFailureTest, IgnoresConfirmationsOfAnOlderWindow) {
  Produce(10);
  Start();
  Fail(0, Disposition::kRetry);
  Pass(10s);
  ASSERT_EQ(pending().size(), 9U + 10U);

  sink_->ConfirmOldest(KeyOf(0), 9);
  Turn();
  EXPECT_LE(journaled(), 0);
  EXPECT_EQ(news().report.records_confirmed, 0);
  EXPECT_EQ(news().report.in_flight_records, 10);

  ConfirmAll();
  EXPECT_EQ(journaled(), 10);
}

TEST_F(LaneFailureTest, IgnoresFailuresOfAnOlderWindow) {
  Produce(10);
  Start();
  Fail(0, Disposition::kRetry);
  Pass(10s);
  const int assigns = source_->assigns(KeyOf(0));

  Fail(5, Disposition::kRetry);  // of the two that are on their way, the older one
  Pass(10s);

  EXPECT_EQ(source_->assigns(KeyOf(0)), assigns);
  EXPECT_EQ(state(), PartitionState::kRunning);
}

TEST_F(LaneFailureTest, RetriesForEverButNeverOftenAndNeverLater) {
  Produce(1);
  Start();
  for (int attempt = 0; attempt < 30; ++attempt) {
    Fail(0, Disposition::kRetry);
    EXPECT_THAT(pending(), IsEmpty()) << "at once";
    Pass(10s);
    ASSERT_EQ(pending().size(), 1U) << "not within ten seconds";
    EXPECT_THAT(reasons(), ElementsAre(Reason::kBrokerError));
  }
  EXPECT_LE(source_->assigns(KeyOf(0)), 31);

  ConfirmAll();
  EXPECT_EQ(journaled(), 1);
  EXPECT_THAT(news().conditions, IsEmpty());
}

TEST_F(LaneFailureTest, ShowsSinceWhenATroubleLasts) {
  Produce(1);
  Start();
  for (int attempt = 0; attempt < 3; ++attempt) {
    Fail(0, Disposition::kBlock);
    Pass(10s);
  }

  ASSERT_EQ(news().conditions.size(), 1U);
  EXPECT_EQ(shown().conditions.front().age, 30s + 500ms);
  EXPECT_EQ(shown().conditions.front().side, Side::kTarget);
}

TEST_F(LaneFailureTest, TakesSeveralFailuresToldAsOne) {
  Produce(10);
  Start();
  Confirm(0, 4);
  sink_->Fail(KeyOf(0), RangeOf(4, 10), Disposition::kRetry);
  Pass(10s);

  EXPECT_EQ(pending(), Offsets(4, 10));
  EXPECT_EQ(news().report.in_flight_records, 6);
}

TEST_F(LaneFailureTest, LosesNothingOfTheWindowsRoomThroughReplays) {
  Produce(50);
  Start();
  for (int attempt = 0; attempt < 5; ++attempt) {
    sink_->Fail(KeyOf(0), Offset{attempt}, Disposition::kRetry);
    sink_->Confirm(KeyOf(0));
    Pass(11s);
    Confirm(0, attempt + 1);
  }
  ConfirmAll();
  Pass(1s);

  EXPECT_EQ(journaled(), 50);
  EXPECT_EQ(board_.BufferedBytes(), 0);
  EXPECT_EQ(source_->records_out(), 0);
}

// --- Refused records ---

TEST_F(LaneFailureTest, HaltsAPartitionWhoseRecordIsRefusedTwice) {
  Produce(10);
  Start();
  Confirm(0, 3);
  Refuse(3);
  EXPECT_EQ(shown().report.state, PartitionState::kRetrying);
  Pass(10s);
  Refuse(3);

  EXPECT_EQ(shown().report.state, PartitionState::kHalted);
  ASSERT_THAT(reasons(), ElementsAre(Reason::kRecordTooLarge));
  EXPECT_THAT(shown().conditions.front().text,
              AllOf(HasSubstr("offset 3"), HasSubstr("pause and resume the stream")));
  Pass(1h);
  EXPECT_EQ(state(), PartitionState::kHalted);
  EXPECT_EQ(journaled(), 3);
  EXPECT_FALSE(source_->is_read(KeyOf(0)));
}

TEST_F(LaneFailureTest, LetsItsNeighboursGoOnWhenAPartitionHalts) {
  Produce(10);
  Produce(10, 1);
  Start();
  Start(1);
  for (int attempt = 0; attempt < 2; ++attempt) {
    Refuse(0);
    Pass(10s);
  }
  ASSERT_EQ(state(), PartitionState::kHalted);

  Produce(10, 1);
  Turn();
  ConfirmAll(1);
  EXPECT_EQ(journaled(1), 20);
  EXPECT_EQ(sink_->windows(KeyOf(1)), 1U) << "nothing of it was sent again";
}

TEST_F(LaneFailureTest, GoesOnWhereTheReplayedRecordIsTaken) {
  Produce(10);
  Start();
  Refuse(3);
  Pass(10s);
  ConfirmWhatComes();

  EXPECT_EQ(state(), PartitionState::kRunning);
  EXPECT_EQ(journaled(), 10);
  EXPECT_THAT(shown().conditions, IsEmpty());
}

TEST_F(LaneFailureTest, FindsTheRecordForWhichABatchWasRefused) {
  Produce(100);
  Start();
  sink_->Fail(KeyOf(0), RangeOf(0, 100), Disposition::kRefuse, Refused());
  Turn();

  // Parts first: the target refuses the one with the culprit in it.
  Pass(500ms);
  EXPECT_EQ(pending(), Offsets(0, 3));
  ConfirmAll();
  EXPECT_EQ(pending(), Offsets(3, 6));
  sink_->Fail(KeyOf(0), RangeOf(3, 6), Disposition::kRefuse, Refused());
  Turn();

  // Then one by one.
  Pass(2s);
  EXPECT_EQ(pending(), Offsets(3, 4));
  ConfirmAll();
  EXPECT_EQ(pending(), Offsets(4, 5));
  Refuse(4);
  Pass(2s);
  EXPECT_EQ(pending(), Offsets(4, 5));
  Refuse(4);

  EXPECT_EQ(state(), PartitionState::kHalted);
  EXPECT_THAT(shown().conditions[0].text, HasSubstr("offset 4:"));
  EXPECT_EQ(shown().commit.to.next, Offset{4}) << "all before it has arrived";
}

TEST_F(LaneFailureTest, SendsASuspectOnlyWhenNothingElseOfItsPartitionIsWithTheSink) {
  Produce(10);
  Start();
  RefuseAlone(0);
  Pass(10s);
  EXPECT_EQ(pending(), Offsets(1, 10)) << "a client may put it into one batch with these";

  ConfirmAll();
  EXPECT_EQ(pending(), Offsets(0, 1));
}

TEST_F(LaneFailureTest, GoesOnAtFullWidthWhenTheSuspectsHavePassed) {
  Produce(200);
  Start();
  sink_->Fail(KeyOf(0), RangeOf(0, 100), Disposition::kRefuse, Refused());
  sink_->Fail(KeyOf(0), RangeOf(100, 200), Disposition::kRetry);
  Turn();
  Pass(500ms);

  ConfirmWhatComes();
  EXPECT_EQ(news().report.confirmed, Offset{200});
  Produce(300);
  Pass(1s);

  EXPECT_GT(pending().size(), 100U);
}

TEST_F(LaneFailureTest, CountsRefusalsOfOneRecordOnly) {
  Produce(10);
  Start();
  Refuse(0);
  Pass(10s);
  ConfirmWhatComes();
  Produce(2);
  Turn();
  Refuse(10);
  EXPECT_EQ(shown().report.state, PartitionState::kRetrying);
  Pass(10s);

  EXPECT_EQ(state(), PartitionState::kRunning);
}

TEST_F(LaneFailureTest, TriesAHaltedPartitionAgainAfterAPause) {
  Produce(10);
  Start();
  for (int attempt = 0; attempt < 2; ++attempt) {
    Refuse(0);
    Pass(10s);
  }
  ASSERT_EQ(state(), PartitionState::kHalted);
  SetPaused(true);
  SetPaused(false);
  ASSERT_EQ(pending(), Offsets(0, 10));

  Refuse(0);
  EXPECT_EQ(shown().report.state, PartitionState::kRetrying) << "it counts anew";
  Pass(10s);
  ConfirmWhatComes();
  EXPECT_EQ(journaled(), 10);
  EXPECT_EQ(state(), PartitionState::kRunning);
}

TEST_F(LaneFailureTest, HaltsOverARecordThatIsRefusedOnBothSidesOfAnOutage) {
  Produce(10);
  Start();
  Refuse(0);
  Pass(10s);
  Fail(0, Disposition::kRetry);
  Pass(10s);
  Refuse(0);

  EXPECT_EQ(state(), PartitionState::kHalted);
}

// --- The target's partition ---

TEST_F(LaneFailureTest, OpensAPartitionAgainUntilTheTargetHasIt) {
  sink_->RefuseOpen(Status{StatusCode::kNotFound, Reason::kTopicNotFound, "no such topic"});
  Produce(10);
  Start();
  EXPECT_EQ(shown().report.state, PartitionState::kRetrying);
  EXPECT_THAT(reasons(), ElementsAre(Reason::kTopicNotFound));
  EXPECT_EQ(source_->assigns(KeyOf(0)), 0);

  Pass(1min);
  EXPECT_GT(sink_->opens(), 3);
  sink_->RefuseOpen(std::nullopt);
  Pass(10s);
  EXPECT_EQ(pending(), Offsets(0, 10));
}

TEST_F(LaneFailureTest, StopsComplainingWhenTheTargetHasThePartitionThoughNothingIsToBeSent) {
  sink_->RefuseOpen(Status{StatusCode::kNotFound, Reason::kTopicNotFound, "no such topic"});
  Start();
  sink_->RefuseOpen(std::nullopt);
  Pass(10s);

  EXPECT_EQ(state(), PartitionState::kRunning);
  EXPECT_THAT(reasons(), IsEmpty());
}

TEST_F(LaneFailureTest, TriesARefusedRecordAgainAfterAPauseAndAResume) {
  Produce(10);
  Start();
  Confirm(0, 4);
  Refuse(4);
  Pass(20s);
  Refuse(4);
  ASSERT_EQ(state(), PartitionState::kHalted);

  SetPaused(true);
  SetPaused(false);
  ConfirmAll();
  EXPECT_EQ(state(), PartitionState::kRunning);
  EXPECT_EQ(shown().report.confirmed, Offset{10});
}

TEST_F(LaneFailureTest, SubmitsNothingAfterAResumeUntilTheTargetHasThePartition) {
  sink_->RefuseOpen(Status{StatusCode::kNotFound, Reason::kTopicNotFound, "no such topic"});
  Produce(10);
  Start();
  SetPaused(true);
  SetPaused(false);
  EXPECT_THAT(pending(), IsEmpty());  // the sink would have complained, too

  sink_->RefuseOpen(std::nullopt);
  Pass(20s);
  EXPECT_EQ(pending(), Offsets(0, 10));
}

TEST_F(LaneFailureTest, DoesNotReadAPausedPartitionOnceTheTargetHasIt) {
  sink_->RefuseOpen(Status{StatusCode::kNotFound, Reason::kTopicNotFound, "no such topic"});
  Produce(10);
  LanePartition order = OrderOf(0, 0);
  order.is_paused = true;
  Start(order);
  sink_->RefuseOpen(std::nullopt);
  Pass(20s);

  EXPECT_THAT(pending(), IsEmpty());
  EXPECT_EQ(state(), PartitionState::kPaused);
  SetPaused(false);
  EXPECT_EQ(pending(), Offsets(0, 10));
}

TEST_F(LaneFailureTest, DoesNotReadAPausedPartitionWhenWhatWasInFlightFails) {
  Produce(10);
  Start();
  SetPaused(true);
  Fail(4, Disposition::kRetry);
  Pass(1min);
  EXPECT_EQ(source_->assigns(KeyOf(0)), 1);
  EXPECT_EQ(state(), PartitionState::kPaused);

  SetPaused(false);
  EXPECT_EQ(source_->assigned_at(KeyOf(0)), Offset{0});
  ConfirmAll();
  EXPECT_EQ(journaled(), 10);
}

// --- The source ---

TEST_F(LaneFailureTest, AssignsAgainWhenTheSourceRefuses) {
  source_->FailNextAssign({StatusCode::kUnavailable, Reason::kUnreachable, "no broker"});
  Produce(10);
  Start();
  EXPECT_EQ(shown().report.state, PartitionState::kRetrying);
  EXPECT_THAT(reasons(), ElementsAre(Reason::kUnreachable));

  Pass(10s);
  EXPECT_EQ(pending(), Offsets(0, 10));
  EXPECT_EQ(state(), PartitionState::kRunning);
  EXPECT_THAT(reasons(), IsEmpty());
}

TEST_F(LaneFailureTest, ShowsASourceFaultUntilThePartitionIsReadAgain) {
  Produce(10);
  Start();
  ConfirmAll();
  source_->Break(KeyOf(0), {StatusCode::kPermissionDenied, Reason::kAuthorizationFailed, "no"});
  Turn();
  EXPECT_THAT(reasons(), ElementsAre(Reason::kAuthorizationFailed));
  EXPECT_EQ(shown().conditions.front().side, Side::kSource);
  EXPECT_FALSE(source_->is_read(KeyOf(0)));

  Produce(1);
  Pass(10s);
  EXPECT_THAT(news().conditions, IsEmpty());
  EXPECT_EQ(pending(), Offsets(10, 11));
}

TEST_F(LaneFailureTest, ClearsASourceFaultThoughNoRecordComes) {
  Produce(10);
  Start();
  ConfirmAll();
  source_->Break(KeyOf(0), {StatusCode::kPermissionDenied, Reason::kAuthorizationFailed, "no"});
  Turn();

  Pass(10s);

  EXPECT_THAT(news().conditions, IsEmpty());
  EXPECT_TRUE(pending().empty()) << "nothing is sent twice for it";
}

TEST_F(LaneFailureTest, HaltsOverASourceFaultThatSaysSo) {
  Produce(10);
  Produce(10, 1);
  Start();
  Start(1);
  source_->Break(KeyOf(0), {StatusCode::kFailedPrecondition, Reason::kSourceChanged, "truncated"},
                 true);
  Turn();

  EXPECT_EQ(state(), PartitionState::kHalted);
  EXPECT_EQ(state(1), PartitionState::kRunning);
  ConfirmAll();
  EXPECT_LE(journaled(), 0) << "a halted partition does not move";
}

TEST_F(LaneFailureTest, IgnoresAFaultOfAnEarlierAssign) {
  Produce(10);
  Start();
  source_->Break(KeyOf(0), {StatusCode::kFailedPrecondition, Reason::kSourceChanged, "truncated"},
                 true);
  SetPaused(true);
  SetPaused(false);

  EXPECT_EQ(state(), PartitionState::kRunning);
}

}  // namespace
}  // namespace drawbridge
