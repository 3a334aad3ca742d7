#include "relay/pipeline/progress_board.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr BootTime kThen{1h};
constexpr PartitionKey kKey{.stream = {1}, .partition = 0};

class ProgressBoardTest : public testing::Test {
 protected:
  static PartitionNews NewsAt(int64_t next, int64_t epoch = 1, bool must_commit = false) {
    PartitionNews news;
    news.at = kThen;
    news.commit.key = kKey;
    news.commit.token = {.incarnation = 1, .epoch = epoch};
    news.commit.to.next = {next};
    news.must_commit = must_commit;
    return news;
  }

  static LaneNews LaneNewsOf(size_t conditions, int64_t bytes) {
    return {.at = kThen,
            .bridge = {5},
            .conditions = std::vector<Condition>(conditions),
            .buffered_bytes = bytes};
  }

  int wakes_ = 0;
  ProgressBoard board_{[this] { ++wakes_; }};
};

TEST_F(ProgressBoardTest, ShowsTheNewestOfEachPartition) {
  board_.Put(NewsAt(10));
  board_.Put(NewsAt(20));

  ASSERT_EQ(board_.News().size(), 1U);
  EXPECT_EQ(board_.News().front().commit.to.next, Offset{20});
}

TEST_F(ProgressBoardTest, WakesForWhatMustBeCommittedAtOnce) {
  board_.Put(NewsAt(10));
  EXPECT_EQ(wakes_, 0);

  board_.Put(NewsAt(20, 1, true));
  EXPECT_EQ(wakes_, 1);
}

TEST_F(ProgressBoardTest, KeepsANewTokensNewsWhenTheOldTokenLeaves) {
  board_.Put(NewsAt(10, 2));
  board_.Remove(kKey, {.incarnation = 1, .epoch = 1});
  EXPECT_EQ(board_.News().size(), 1U);

  board_.Remove(kKey, {.incarnation = 1, .epoch = 2});
  EXPECT_TRUE(board_.News().empty());
}

TEST_F(ProgressBoardTest, SumsUpWhatAllLanesSay) {
  board_.PutLane(1, LaneNewsOf(1, 100));
  board_.PutLane(2, LaneNewsOf(2, 50));
  EXPECT_EQ(board_.ReportAt(kThen).conditions.size(), 3U);
  EXPECT_EQ(board_.BufferedBytes(), 150);
  EXPECT_EQ(board_.ReportAt(kThen).buffered_bytes, 150);

  board_.RemoveLane(2);
  EXPECT_EQ(board_.ReportAt(kThen).conditions.size(), 1U);
  EXPECT_EQ(board_.BufferedBytes(), 100);
}

TEST_F(ProgressBoardTest, LetsSpansGrowUntilSomebodyLooks) {
  PartitionNews news = NewsAt(10);
  news.report.since_moved = 1s;
  news.report.waiting_for = 0s;
  news.conditions.emplace_back().age = 10s;
  board_.Put(std::move(news));

  const Report report = board_.ReportAt(kThen + 3s);

  ASSERT_EQ(report.partitions.size(), 1U);
  EXPECT_EQ(report.partitions.front().since_moved, 4s);
  EXPECT_EQ(report.partitions.front().waiting_for, 3s);
  EXPECT_EQ(report.partitions.front().since_source_seen, std::nullopt) << "unknown stays so";
  ASSERT_EQ(report.conditions.size(), 1U);
  EXPECT_EQ(report.conditions.front().age, 13s);
}

TEST_F(ProgressBoardTest, SaysNothingOfAPartitionWhoseNewsAreOld) {
  board_.Put(NewsAt(10));

  EXPECT_EQ(board_.ReportAt(kThen + 5s).partitions.size(), 1U);
  EXPECT_EQ(board_.ReportAt(kThen + 6s).partitions.size(), 0U);
  EXPECT_EQ(board_.News().size(), 1U) << "its checkpoint is to be stored all the same";
}

TEST_F(ProgressBoardTest, SaysOfASilentLaneThatNobodyKnows) {
  board_.PutLane(1, LaneNewsOf(0, 100));
  EXPECT_TRUE(board_.ReportAt(kThen + 5s).conditions.empty());

  const Report report = board_.ReportAt(kThen + 6s);

  ASSERT_EQ(report.conditions.size(), 1U);
  EXPECT_EQ(report.conditions.front().side, Side::kRelay);
  EXPECT_EQ(report.conditions.front().bridge, BridgeId{5});
  EXPECT_EQ(report.conditions.front().age, 6s);
}

}  // namespace
}  // namespace drawbridge
