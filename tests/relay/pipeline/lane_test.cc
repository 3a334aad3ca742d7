#include "relay/pipeline/lane.h"

#include <random>

#include <gmock/gmock.h>

#include "tests/relay/pipeline/lane_fixture.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

class LaneTest : public LaneFixture {};

TEST_F(LaneTest, CarriesRecordsAndMovesTheCheckpointOverThem) {
  Produce(25);
  Start();
  EXPECT_EQ(pending(), Offsets(0, 25));

  ConfirmAll();
  EXPECT_EQ(journaled(), 25);
  EXPECT_EQ(news().commit.to, (Checkpoint{.next = {25}, .anchor = AnchorAt(24)}));
}

TEST_F(LaneTest, DoesNotPassAnUnconfirmedRecord) {
  Produce(10);
  Start();
  Confirm(1, 10);
  EXPECT_EQ(news().commit.to.next, Offset{0});
  EXPECT_LE(journaled(), 0);

  Confirm(0, 1);
  EXPECT_EQ(journaled(), 10);
}

TEST_F(LaneTest, TakesConfirmationsInAnyOrder) {
  Produce(60);
  Start();
  std::vector<int64_t> order = Offsets(0, 60);
  std::ranges::shuffle(order, std::mt19937(7));
  std::set<int64_t> missing(order.begin(), order.end());

  for (const int64_t offset : order) {
    Confirm(offset, offset + 1);
    missing.erase(offset);
    const int64_t prefix = missing.empty() ? 60 : *missing.begin();
    EXPECT_EQ(std::max<int64_t>(0, journaled()), prefix);
  }
}

TEST_F(LaneTest, StepsOverOffsetsThatHoldNoRecord) {
  Produce(2);
  log().AppendHole(3);
  Produce(1);  // at 5
  Start();
  Confirm(0, 2);
  EXPECT_EQ(journaled(), 2);

  Confirm(5, 6);
  EXPECT_EQ(journaled(), 6);
}

TEST_F(LaneTest, MovesToTheEndOfThePartitionOverATailWithoutRecords) {
  Produce(2);
  log().AppendHole(1);
  Start();
  EXPECT_LE(journaled(), 0);

  ConfirmAll();
  EXPECT_EQ(journaled(), 3);
}

TEST_F(LaneTest, MovesOverBatchesThatHoldNoRecord) {
  source_->SetReadsOverHoles(true);
  log().AppendHole(50);
  Start();
  EXPECT_EQ(journaled(), 50);

  Produce(1);
  log().AppendHole(5);
  Turn();
  EXPECT_EQ(journaled(), 50);
  ConfirmAll();
  EXPECT_EQ(journaled(), 56);
}

TEST_F(LaneTest, CarriesWhatArrivesLater) {
  Start();
  EXPECT_EQ(journaled(), 0);

  Produce(3);
  Turn();
  ConfirmAll();
  EXPECT_EQ(journaled(), 3);
}

TEST_F(LaneTest, GoesOnAtItsCheckpoint) {
  Produce(10);
  Start(0, 6);

  EXPECT_EQ(pending(), Offsets(6, 10));
}

TEST_F(LaneTest, RepeatsExactlyTheWindowAfterAKill) {
  Produce(30);
  Start();
  Confirm(0, 12);
  Confirm(20, 25);  // the target has them, the checkpoint cannot say so

  Kill();
  const JournalEntry entry = *journal_->Read(KeyOf(0));
  LanePartition order = OrderOf(0, entry.checkpoint.next.value);
  order.last.to = entry.checkpoint;
  Start(order);

  EXPECT_EQ(entry.checkpoint.next, Offset{12});
  EXPECT_EQ(pending(), Offsets(12, 30));
}

TEST_F(LaneTest, JournalsTheTokenAndTheBaseOfTheRange) {
  Produce(10);
  LanePartition order = OrderOf(0, 4);
  order.last.token = {.incarnation = 3, .epoch = 9};
  order.last.base = {2};
  Start(order);
  ConfirmAll();

  EXPECT_EQ(journal_->Read(KeyOf(0)),
            (JournalEntry{.key = KeyOf(0),
                          .token = order.last.token,
                          .base = {2},
                          .checkpoint = {.next = {10}, .anchor = AnchorAt(9)}}));
  EXPECT_EQ(news().commit.base, Offset{2});
}

TEST_F(LaneTest, HandsOnNullAndEmptyValuesAsTheyAre) {
  log().Append({.key = std::nullopt, .value = std::nullopt, .headers = {}});
  log().Append({.key = "", .value = "", .headers = {}});
  Start();
  ConfirmAll();

  const auto& records = sink_->written(KeyOf(0));
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].value, std::nullopt);
  EXPECT_EQ(records[1].value, "");
}

TEST_F(LaneTest, GivesRecordsBackWhenTheyAreConfirmed) {
  Produce(30);
  Start();
  EXPECT_EQ(source_->records_out(), 30);

  Confirm(0, 12);
  EXPECT_EQ(source_->records_out(), 18);
}

TEST_F(LaneTest, CarriesManyPartitions) {
  sink_->SetAutomatic(true);
  for (int partition = 0; partition < 300; ++partition) {
    Produce(partition % 37, partition);
    Start(partition);
  }
  Turn();

  EXPECT_EQ(lane_->partitions(), 300U);
  for (int partition = 0; partition < 300; ++partition) {
    EXPECT_EQ(journaled(partition), partition % 37);
    EXPECT_EQ(written(partition), Offsets(0, partition % 37));
  }
}

TEST_F(LaneTest, KeepsPartitionsOfTheSameNumberApart) {
  const PartitionKey other{.stream = {2}, .partition = 0};
  Produce(10);
  logs_[other].AppendMany(20);
  Start();
  LanePartition order = OrderOf(0, 0);
  order.route.key = order.last.key = other;
  Start(order);

  sink_->Confirm(other);
  Turn();
  EXPECT_LE(journaled(), 0);
  EXPECT_EQ(journal_->Read(other)->checkpoint.next, Offset{20});
}

TEST_F(LaneTest, ReportsWhatItKnowsOfAPartition) {
  Produce(10);
  log().Expire({2});
  Start(0, 4);
  Confirm(4, 7);
  Pass(1s);

  const PartitionReport report = news().report;
  EXPECT_EQ(report.token, kToken);
  EXPECT_EQ(report.confirmed, Offset{7});
  EXPECT_EQ(report.read_position, Offset{10});
  EXPECT_EQ(report.log_start, Offset{2});
  EXPECT_EQ(report.log_end, Offset{10});
  EXPECT_EQ(report.in_flight_records, 3);
  EXPECT_EQ(report.records_confirmed, 3);
  EXPECT_EQ(report.bytes_confirmed, 3 * 8);  // "record 4" and its like
  EXPECT_EQ(report.state, PartitionState::kRunning);
  EXPECT_EQ(report.since_moved, 1s + 500ms);
  EXPECT_EQ(report.waiting_for, 1s + 500ms);
}

TEST_F(LaneTest, DoesNotKnowWhatItHasNotSeen) {
  LanePartition order = OrderOf(0, 0);
  order.is_paused = true;
  Start(order);

  const PartitionReport report = news().report;
  EXPECT_EQ(report.log_start, std::nullopt);
  EXPECT_EQ(report.log_end, std::nullopt);
  EXPECT_EQ(report.oldest_unconfirmed_ms, std::nullopt);
  EXPECT_EQ(report.since_moved, std::nullopt);
  EXPECT_EQ(report.since_source_seen, std::nullopt);
  EXPECT_EQ(report.waiting_for, std::nullopt);
}

TEST_F(LaneTest, ShowsWhatIsWrongWithItsTwoEnds) {
  source_->SetTrouble(Condition{.side = Side::kSource,
                                .reason = Reason::kUnreachable,
                                .text = "no answer",
                                .bridge = {},
                                .stream = std::nullopt,
                                .partition = std::nullopt,
                                .topic = {},
                                .age = std::nullopt});
  Pass(500ms);
  ASSERT_EQ(board_.ReportAt(clock_.Now()).conditions.size(), 1U);
  EXPECT_EQ(board_.ReportAt(clock_.Now()).conditions.front().reason, Reason::kUnreachable);
  EXPECT_EQ(board_.ReportAt(clock_.Now()).conditions.front().bridge, settings_.bridge);

  source_->SetTrouble(std::nullopt);
  Pass(500ms);
  EXPECT_TRUE(board_.ReportAt(clock_.Now()).conditions.empty());
}

TEST_F(LaneTest, SleepsWhileNothingHappens) {
  Produce(10);
  Start();
  ConfirmAll();

  EXPECT_GT(next_turn_, clock_.Now());
  EXPECT_LE(next_turn_, clock_.Now() + 500ms);
}

}  // namespace
}  // namespace drawbridge
