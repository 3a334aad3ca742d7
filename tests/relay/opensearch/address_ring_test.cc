#include "relay/opensearch/address_ring.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr BootTime kNow{1h};

TEST(AddressRingTest, GoesRound) {
  AddressRing ring(3);
  for (const size_t expected : {0U, 1U, 2U, 0U}) EXPECT_EQ(ring.Choose(kNow), expected);
}

TEST(AddressRingTest, LeavesOneAloneThatStaysAway) {
  AddressRing ring(2);
  ring.StayedAway(0, kNow);

  EXPECT_EQ(ring.Choose(kNow), 1U);
  EXPECT_EQ(ring.Choose(kNow), 1U);
  EXPECT_EQ(ring.Choose(kNow + 1s), 0U) << "and tries it after a while";
}

TEST(AddressRingTest, TriesEachNowAndThenWhenNoneAnswers) {
  AddressRing ring(2);
  for (int i = 0; i < 20; ++i) {
    ring.StayedAway(0, kNow + i * 1ms);
    ring.StayedAway(1, kNow + i * 1ms);
  }

  EXPECT_EQ(ring.Choose(kNow + 1s), std::nullopt);
  EXPECT_LE(ring.MayBeAsked(), kNow + 6s);
  EXPECT_TRUE(ring.Choose(ring.MayBeAsked()));
}

}  // namespace
}  // namespace drawbridge
