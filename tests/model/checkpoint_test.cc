#include "model/checkpoint.h"

#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

TEST(FencingTokenTest, ARestoredDatabaseOutranksEveryEpoch) {
  const FencingToken before{.incarnation = 1, .epoch = 900};
  const FencingToken after{.incarnation = 2, .epoch = 1};

  EXPECT_LT(before, after);
  EXPECT_LT(after, (FencingToken{.incarnation = 2, .epoch = 2}));
}

TEST(OffsetRangeTest, CountsNoOffsetsWhenItRunsBackwards) {
  EXPECT_EQ((OffsetRange{Offset{7}, Offset{10}}).size(), 3);

  const OffsetRange backwards{Offset{10}, Offset{7}};
  EXPECT_TRUE(backwards.empty());
  EXPECT_EQ(backwards.size(), 0);
}

TEST(OffsetTest, PrintsAsANumber) {
  EXPECT_EQ(fmt::format("{}", Next(Offset{41})), "42");
  EXPECT_EQ(fmt::format("{}", StreamId{7}), "7");
}

TEST(PartitionKeyTest, OrdersByStreamThenByPartition) {
  const PartitionKey first{.stream = {1}, .partition = 9};
  const PartitionKey second{.stream = {2}, .partition = 0};

  EXPECT_LT(first, second);
  EXPECT_NE(std::hash<PartitionKey>{}(first), std::hash<PartitionKey>{}(second));
}

// Ids come from the store, and the largest may be hashed as well as any other.
TEST(PartitionKeyTest, HashesTheLargestId) {
  const PartitionKey largest{.stream = {std::numeric_limits<int64_t>::max()}, .partition = 7};

  EXPECT_EQ(std::hash<PartitionKey>{}(largest), std::hash<PartitionKey>{}(largest));
}

}  // namespace
}  // namespace drawbridge
