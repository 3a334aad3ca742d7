#include "relay/opensearch/address_ring.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr BootTime kNow{1h};
const Status kAway(StatusCode::kUnavailable, Reason::kUnreachable, "no answer");

TEST(AddressRingTest, GoesRound) {
  AddressRing ring(3);
  for (const size_t expected : {0U, 1U, 2U, 0U}) EXPECT_EQ(ring.Choose(kNow), expected);
}

TEST(AddressRingTest, LeavesOneAloneThatStaysAway) {
  AddressRing ring(2);
  ring.StayedAway(0, kAway, kNow, kNow);

  EXPECT_EQ(ring.Choose(kNow), 1U);
  EXPECT_EQ(ring.Choose(kNow), 1U);
  EXPECT_EQ(ring.Choose(kNow + 1s), 0U) << "and tries it after a while";
}

TEST(AddressRingTest, TriesEachNowAndThenWhenNoneAnswers) {
  AddressRing ring(2);
  for (int i = 0; i < 20; ++i) {
    ring.StayedAway(0, kAway, kNow + i * 1ms, kNow + i * 1ms);
    ring.StayedAway(1, kAway, kNow + i * 1ms, kNow + i * 1ms);
  }

  EXPECT_EQ(ring.Choose(kNow + 1s), std::nullopt);
  EXPECT_LE(ring.MayBeAsked(), kNow + 6s);
  EXPECT_TRUE(ring.Choose(ring.MayBeAsked()));
}

TEST(AddressRingTest, LetsOneRestThreeTimesAsLongAsItKeptUsWaiting) {
  AddressRing ring(2);
  ring.StayedAway(0, kAway, kNow - 10s, kNow);

  EXPECT_EQ(ring.Choose(kNow + 29s), 1U);
  EXPECT_EQ(ring.Choose(kNow + 29s), 1U);
  EXPECT_EQ(ring.Choose(kNow + 2h), 0U);
}

TEST(AddressRingTest, TakesWhatManyRequestsMetAtOnceForOneAbsence) {
  AddressRing ring(2);
  for (int i = 0; i < 12; ++i) ring.StayedAway(0, kAway, kNow - 10s, kNow);
  // Each of them ends on its own time-out later.
  for (int i = 0; i < 12; ++i) ring.StayedAway(0, kAway, kNow - 10s, kNow + 80s);

  EXPECT_EQ(ring.Choose(kNow + 80s + 4min), 1U);
  EXPECT_EQ(ring.Choose(kNow + 80s + 5min), 0U);
}

TEST(AddressRingTest, CutsNoRestShort) {
  AddressRing ring(2);
  ring.StayedAway(0, kAway, kNow - 10s, kNow);
  ring.StayedAway(0, kAway, kNow + 1s, kNow + 1s);

  EXPECT_EQ(ring.Choose(kNow + 29s), 1U);
  EXPECT_EQ(ring.Choose(kNow + 29s), 1U);
}

TEST(AddressRingTest, AsksOneAgainAtOnceThatAnswersAfterAll) {
  AddressRing ring(2);
  ring.StayedAway(0, kAway, kNow - 10s, kNow);
  ring.Answered(0);
  EXPECT_EQ(ring.Choose(kNow), 0U);
}

TEST(AddressRingTest, SaysWhichOneHasBeenAwayLongestUntilItAnswers) {
  AddressRing ring(3);
  EXPECT_FALSE(ring.LongestAway(kNow));
  ring.StayedAway(1, kAway, kNow - 10s, kNow);
  ring.StayedAway(2, {StatusCode::kUnavailable, Reason::kTlsFailed, "TLS"}, kNow + 1s - 10s,
                  kNow + 1s);
  ring.StayedAway(1, kAway, kNow + 2s, kNow + 2s);

  ASSERT_TRUE(ring.LongestAway(kNow + 2s));
  EXPECT_EQ(ring.LongestAway(kNow + 2s)->since, kNow);
  EXPECT_EQ(ring.LongestAway(kNow + 2s)->why.message(), "no answer");
  ring.Answered(1);
  EXPECT_EQ(ring.LongestAway(kNow + 2s)->why.message(), "TLS");
}

TEST(AddressRingTest, ForgetsTheTroubleOfOneThatNobodyAsksAnyMore) {
  AddressRing ring(2);
  ring.StayedAway(0, kAway, kNow, kNow);
  EXPECT_TRUE(ring.LongestAway(kNow + 29s));
  EXPECT_FALSE(ring.LongestAway(kNow + 31s));
}

}  // namespace
}  // namespace drawbridge
