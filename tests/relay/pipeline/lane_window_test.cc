// Bounds: what a lane holds, and what one partition may hold of it.
#include <gmock/gmock.h>

#include "tests/relay/pipeline/lane_fixture.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;

constexpr size_t kMiB = size_t{1} << 20;

class LaneWindowTest : public LaneFixture {
 protected:
  LaneWindowTest() {
    settings_.window_bytes = 8 * kMiB;
    settings_.poll_bytes = kMiB;
  }

  // A record of this is 64 KiB; 16 make a MiB, 128 the window.
  void ProduceLarge(int64_t records, int partition = 0) {
    log(partition).AppendMany(records, kRecordBytes);
  }

  static constexpr size_t kRecordBytes = kMiB / 16;
};

// --- The lane's window ---

TEST_F(LaneWindowTest, HoldsNoMoreThanItsWindow) {
  ProduceLarge(1'000);
  Start();
  Pass(10s);

  const auto held = static_cast<size_t>(source_->records_out()) * kRecordBytes;
  EXPECT_GE(held, settings_.window_bytes);
  EXPECT_LE(held, settings_.window_bytes + settings_.poll_bytes + 10 * kRecordBytes);
  EXPECT_GE(static_cast<size_t>(board_.BufferedBytes()), held);
  EXPECT_EQ(state(), PartitionState::kRunning);
}

TEST_F(LaneWindowTest, CountsTheBookkeepingOfSmallRecords) {
  settings_.window_bytes = kMiB;
  settings_.poll_bytes = kMiB / 64;
  MakeLane();
  log().AppendMany(20'000, 12);
  Start();

  EXPECT_LE(source_->records_out(), static_cast<int64_t>(kMiB / InFlightWindow::kRecordOverhead) +
                                        static_cast<int64_t>(kMiB / 64 / 12) + 10);
}

TEST_F(LaneWindowTest, ReadsOnAsRoomComes) {
  ProduceLarge(1'000);
  Start();
  for (int round = 0; round < 100; ++round) {
    sink_->ConfirmOldest(KeyOf(0), 10);
    Turn();
  }

  EXPECT_EQ(written(), Offsets(0, 1'000));
  EXPECT_EQ(journaled(), 1'000);
}

TEST_F(LaneWindowTest, ReadsNothingMoreUnderASmallerWindow) {
  ProduceLarge(1'000);
  Start();
  lane_->SetWindow(2 * kMiB);
  const int64_t before = source_->records_out();
  sink_->ConfirmOldest(KeyOf(0), 64);
  Turn();

  EXPECT_EQ(source_->records_out(), before - 64);
}

TEST_F(LaneWindowTest, KeepsTheRoomOfWhatIsStillInFlightAfterAReplay) {
  ProduceLarge(1'000);
  Start();
  for (int attempt = 0; attempt < 10; ++attempt) {
    sink_->Fail(KeyOf(0), Offset{0}, Disposition::kRetry);
    Pass(11s);
    if (std::ranges::count(pending(), 0) == 0) break;  // no room to send it again
  }

  EXPECT_LE(static_cast<size_t>(source_->records_out()) * kRecordBytes,
            settings_.window_bytes + settings_.poll_bytes + 10 * kRecordBytes);
}

// --- A sink that takes little or nothing ---

TEST_F(LaneWindowTest, SubmitsInPiecesToAFullSinkInOrder) {
  Produce(200);
  sink_->SetCapacity(3);
  Start();
  for (int round = 0; round < 100; ++round) {
    sink_->ConfirmOldest(KeyOf(0), 2);
    Turn();
  }

  EXPECT_EQ(written(), Offsets(0, 200));
  EXPECT_EQ(journaled(), 200);
}

TEST_F(LaneWindowTest, DoesNotReadWhileTheSinkIsNotReady) {
  sink_->SetReady(false);
  Produce(10);
  Start();
  Pass(1min);
  EXPECT_EQ(source_->records_out(), 0);

  sink_->SetReady(true);
  Pass(500ms);
  EXPECT_EQ(pending(), Offsets(0, 10));
}

TEST_F(LaneWindowTest, LosesNothingThatItHeldWhenTheSinkWasNotReady) {
  ProduceLarge(50);
  sink_->SetCapacity(5);
  Start();
  sink_->SetReady(false);
  ConfirmAll();
  Pass(1min);
  EXPECT_THAT(pending(), IsEmpty());

  sink_->SetReady(true);
  sink_->SetCapacity(100);
  sink_->SetAutomatic(true);
  Pass(10s);
  EXPECT_EQ(written(), Offsets(0, 50));
  EXPECT_EQ(journaled(), 50);
}

// --- Partitions that are stuck ---

TEST_F(LaneWindowTest, SleepsWhileItsOnlyPartitionIsStuck) {
  ProduceLarge(1'000);
  Start();
  Pass(10s);

  EXPECT_GT(next_turn_, clock_.Now());
}

TEST_F(LaneWindowTest, ParksAPartitionThatIsStuckAtItsCap) {
  ProduceLarge(500);
  Start(1);
  Start();
  EXPECT_EQ(shown().report.state, PartitionState::kRunning);
  Pass(2s);

  EXPECT_EQ(state(), PartitionState::kParked);
  EXPECT_FALSE(source_->is_read(KeyOf(0)));
}

TEST_F(LaneWindowTest, LeavesNeighboursOfAStuckPartitionAtSpeed) {
  ProduceLarge(500);
  sink_->SetAutomatic(true);
  sink_->Stick(KeyOf(0));
  Start(1);
  Start();
  Pass(2s);
  ASSERT_EQ(state(), PartitionState::kParked);

  for (int round = 1; round <= 20; ++round) {
    ProduceLarge(50, 1);
    Turn();
    EXPECT_EQ(journaled(1), 50 * round) << "without time passing";
  }
}

TEST_F(LaneWindowTest, LeavesANeighbourOfManyStuckPartitionsAtSpeed) {
  sink_->SetAutomatic(true);
  for (int partition = 0; partition < 8; ++partition) Start(partition);
  for (int partition = 0; partition < 7; ++partition) {
    ProduceLarge(200, partition);
    sink_->Stick(KeyOf(partition));
  }
  Pass(5s);

  for (int round = 1; round <= 20; ++round) {
    ProduceLarge(50, 7);
    Turn();
    EXPECT_EQ(journaled(7), 50 * round) << "without time passing";
  }
}

TEST_F(LaneWindowTest, ReadsAParkedPartitionOnByItselfWithoutALossOrADouble) {
  ProduceLarge(300);
  sink_->SetAutomatic(true);
  sink_->Stick(KeyOf(0));
  Start(1);
  Start();
  Pass(10s);
  ASSERT_EQ(state(), PartitionState::kParked);

  sink_->Loosen(KeyOf(0));
  Pass(1s);
  EXPECT_EQ(state(), PartitionState::kRunning);
  EXPECT_EQ(written(), Offsets(0, 300));
  EXPECT_EQ(journaled(), 300);
}

TEST_F(LaneWindowTest, DoesNotParkAPartitionThatIsOnlySlow) {
  ProduceLarge(500);
  Start(1);
  Start();
  for (int round = 0; round < 40; ++round) {
    Pass(500ms);
    sink_->ConfirmOldest(KeyOf(0), 1);
    Turn();
  }

  EXPECT_EQ(state(), PartitionState::kRunning);
  EXPECT_EQ(source_->assigns(KeyOf(0)), 1);
}

TEST_F(LaneWindowTest, FetchesNothingAgainWhileAPartitionStaysStuck) {
  ProduceLarge(500);
  Start(1);
  Start();
  Pass(1h);

  EXPECT_EQ(state(), PartitionState::kParked);
  EXPECT_EQ(source_->assigns(KeyOf(0)), 1);
}

TEST_F(LaneWindowTest, DoesNotParkForASinkThatHasRoomForNobody) {
  ProduceLarge(100);
  ProduceLarge(100, 1);
  sink_->SetCapacity(5);
  Start();
  Start(1);
  Pass(1min);
  EXPECT_EQ(state(), PartitionState::kRunning);
  EXPECT_EQ(source_->assigns(KeyOf(0)), 1);

  sink_->SetCapacity(1'000);
  sink_->SetAutomatic(true);
  Pass(1s);
  EXPECT_EQ(written(), Offsets(0, 100));
  EXPECT_EQ(written(1), Offsets(0, 100));
}

TEST_F(LaneWindowTest, LeavesNeighboursOfAPartitionThatFailsAndFailsAtSpeed) {
  sink_->SetAutomatic(true);
  sink_->Stick(KeyOf(0));
  Start(1);
  Start();
  ProduceLarge(500);
  Turn();
  for (int attempt = 0; attempt < 10; ++attempt) {  // and the rest of each window stays out
    if (std::ranges::count(pending(), 0) > 0) Fail(0, Disposition::kRetry);
    Pass(11s);
  }

  ProduceLarge(50, 1);
  Turn();
  EXPECT_EQ(journaled(1), 50) << "without time passing";
}

TEST_F(LaneWindowTest, CarriesARecordThatIsLargerThanAPartitionsShare) {
  sink_->SetAutomatic(true);
  for (int partition = 0; partition < 8; ++partition) Start(partition);
  log().AppendMany(5, 3 * kMiB);
  Pass(1s);

  EXPECT_EQ(written(), Offsets(0, 5));
}

TEST_F(LaneWindowTest, DoesNotWakeAParkedPartitionThatIsPaused) {
  ProduceLarge(300);
  Start(1);
  Start();
  Pass(2s);
  ASSERT_EQ(state(), PartitionState::kParked);
  SetPaused(true);
  ConfirmAll();
  Pass(1min);
  EXPECT_EQ(state(), PartitionState::kPaused);
  EXPECT_FALSE(source_->is_read(KeyOf(0)));

  sink_->SetAutomatic(true);
  SetPaused(false);
  Pass(1s);
  EXPECT_EQ(written(), Offsets(0, 300));
}

TEST_F(LaneWindowTest, ReplaysAParkedPartitionWhoseRecordsFail) {
  ProduceLarge(300);
  Start(1);
  Start();
  Pass(2s);
  ASSERT_EQ(state(), PartitionState::kParked);
  Fail(0, Disposition::kRetry);
  sink_->SetAutomatic(true);
  Pass(20s);

  EXPECT_EQ(journaled(), 300);
  EXPECT_EQ(state(), PartitionState::kRunning);
}

TEST_F(LaneWindowTest, ReleasesAParkedPartition) {
  ProduceLarge(300);
  Start(1);
  Start();
  Pass(2s);
  ASSERT_EQ(state(), PartitionState::kParked);
  Release(10s);
  ConfirmAll();

  ASSERT_EQ(lane_->TakeReleased().size(), 1U);
  EXPECT_EQ(journaled(), static_cast<int64_t>(written().size()));
}

TEST_F(LaneWindowTest, LeavesTheNeighboursOfASuspectThatIsStuckAtSpeed) {
  ProduceLarge(500);
  sink_->SetAutomatic(true);
  sink_->Stick(KeyOf(0));
  Start(1);
  Start();
  sink_->Fail(KeyOf(0), FakeSink::kAll, Disposition::kRefuse);
  Turn();
  Pass(30s);  // it is sent again in parts, and the first of them gets no answer
  ProduceLarge(50, 1);

  Pass(1min);

  EXPECT_EQ(journaled(1), 50);
}

}  // namespace
}  // namespace drawbridge
