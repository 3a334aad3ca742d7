#include "relay/pipeline/progress_board.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

constexpr PartitionKey kKey{.stream = {1}, .partition = 0};

class ProgressBoardTest : public testing::Test {
 protected:
  static PartitionNews NewsAt(int64_t next, int64_t epoch = 1, bool must_commit = false) {
    PartitionNews news;
    news.commit.key = kKey;
    news.commit.token = {.incarnation = 1, .epoch = epoch};
    news.commit.to.next = {next};
    news.must_commit = must_commit;
    return news;
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
  board_.PutLaneConditions(1, {Condition{}}, 100);
  board_.PutLaneConditions(2, {Condition{}, Condition{}}, 50);
  EXPECT_EQ(board_.LaneConditions().size(), 3U);
  EXPECT_EQ(board_.BufferedBytes(), 150);

  board_.RemoveLane(2);
  EXPECT_EQ(board_.LaneConditions().size(), 1U);
  EXPECT_EQ(board_.BufferedBytes(), 100);
}

}  // namespace
}  // namespace drawbridge
