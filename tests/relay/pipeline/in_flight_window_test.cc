#include "relay/pipeline/in_flight_window.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

TEST(InFlightWindowTest, IsFullAtItsLimitAndHasRoomAgainBelowIt) {
  InFlightWindow window(100);
  window.Take(99);
  EXPECT_FALSE(window.is_full());

  window.Take(1);
  EXPECT_TRUE(window.is_full());

  window.GiveBack(50);
  EXPECT_FALSE(window.is_full());
  EXPECT_EQ(window.bytes(), 50U);
}

TEST(InFlightWindowTest, DoesNotWrapWhenMoreIsGivenBackThanWasTaken) {
  InFlightWindow window(100);
  window.Take(10);

  window.GiveBack(11);

  EXPECT_EQ(window.bytes(), 0U);
}

TEST(InFlightWindowTest, IsFullAtOnceUnderASmallerLimit) {
  InFlightWindow window(100);
  window.Take(60);

  window.SetLimit(50);

  EXPECT_TRUE(window.is_full());
}

TEST(InFlightWindowTest, GivesEachPartitionAnEqualShare) {
  const InFlightWindow window(64 * kMiB);

  EXPECT_EQ(window.PartitionCap(0), 64 * kMiB);
  EXPECT_EQ(window.PartitionCap(1), 64 * kMiB);
  EXPECT_EQ(window.PartitionCap(4), 16 * kMiB);
}

TEST(InFlightWindowTest, LeavesEveryPartitionEnoughToMove) {
  const InFlightWindow window(64 * kMiB);

  EXPECT_EQ(window.PartitionCap(10'000), InFlightWindow::kPartitionFloor);
}

}  // namespace
}  // namespace drawbridge
