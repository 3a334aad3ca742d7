#include "relay/kafka/confirmation_watch.h"

#include <gtest/gtest.h>

#include "tests/fakes/fake_clock.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr Slot kLost = 0;
constexpr Slot kNeighbour = 3;

class ConfirmationWatchTest : public testing::Test {
 protected:
  // Time passes in which the neighbour is confirmed every second, and the library says of the other
  // one whether it has a leader; true once the producer is to be made anew.
  bool GoesBy(Duration span, bool is_led = false) {
    for (Duration passed{}; passed < span; passed += 1s) {
      watch_.Led(kLost, is_led, clock_.Now());
      clock_.Advance(1s);
      watch_.Sent(kNeighbour, clock_.Now());
      watch_.Confirmed(kNeighbour, clock_.Now());
      if (watch_.Verdict(clock_.Now())) return true;
    }
    return false;
  }
  // What is in flight of the slot fails, as it does when a producer is given up.
  void Renew(Slot slot) {
    watch_.GivenUp(clock_.Now());
    while (watch_.in_flight() > 0) watch_.Failed(slot);
    watch_.Sent(slot, clock_.Now());
  }

  FakeClock clock_;
  ConfirmationWatch watch_;
};

TEST_F(ConfirmationWatchTest, WantsANewProducerForAPartitionThatTheLibraryHasLostFromSight) {
  watch_.Sent(kLost, clock_.Now());

  EXPECT_FALSE(GoesBy(30s));
  EXPECT_TRUE(GoesBy(1s));
}

TEST_F(ConfirmationWatchTest, WaitsForAPartitionThatIsOnlySlow) {
  watch_.Sent(kLost, clock_.Now());

  EXPECT_FALSE(GoesBy(1h, true));
}

TEST_F(ConfirmationWatchTest, CountsFromWhenTheLeaderIsGone) {
  watch_.Sent(kLost, clock_.Now());
  EXPECT_FALSE(GoesBy(20s));
  EXPECT_FALSE(GoesBy(1s, true));

  EXPECT_FALSE(GoesBy(30s));
  EXPECT_TRUE(GoesBy(1s));
}

TEST_F(ConfirmationWatchTest, CountsOnlyWhatIsStuckAsStuck) {
  watch_.Sent(kLost, clock_.Now());
  watch_.Sent(kLost, clock_.Now());
  GoesBy(31s);
  watch_.Sent(kNeighbour, clock_.Now());

  EXPECT_EQ(watch_.stuck(clock_.Now()), 2);
  EXPECT_EQ(watch_.in_flight(), 3);
}

TEST_F(ConfirmationWatchTest, WantsANewProducerWhenNothingIsConfirmedForMinutes) {
  watch_.Sent(kLost, clock_.Now());
  for (int seconds = 0; seconds < 300; ++seconds) {
    clock_.Advance(1s);
    ASSERT_FALSE(watch_.Verdict(clock_.Now())) << seconds;
  }

  clock_.Advance(1s);

  EXPECT_TRUE(watch_.Verdict(clock_.Now())) << "the cluster may be elsewhere";
}

TEST_F(ConfirmationWatchTest, TriesAgainAtLongerIntervals) {
  watch_.Sent(kLost, clock_.Now());
  EXPECT_TRUE(GoesBy(31s));
  Renew(kLost);

  EXPECT_FALSE(GoesBy(60s));
  EXPECT_TRUE(GoesBy(1s));
  for (int tries = 0; tries < 20; ++tries) {
    Renew(kLost);
    ASSERT_TRUE(GoesBy(31min)) << "at least every half hour";
  }
}

TEST_F(ConfirmationWatchTest, IsPatientWithAPartitionNoLongerThanItsTroubleLasts) {
  watch_.Sent(kLost, clock_.Now());
  GoesBy(31s);
  Renew(kLost);
  watch_.Confirmed(kLost, clock_.Now());
  watch_.Sent(kLost, clock_.Now());

  EXPECT_FALSE(GoesBy(30s));
  EXPECT_TRUE(GoesBy(1s));
}

TEST_F(ConfirmationWatchTest, KnowsNothingOfAPartitionThatTakesTheSlot) {
  watch_.Sent(kLost, clock_.Now());
  GoesBy(31s);
  Renew(kLost);

  watch_.Reset(kLost);

  EXPECT_FALSE(GoesBy(30s));
  EXPECT_TRUE(GoesBy(1s));
}

TEST_F(ConfirmationWatchTest, HasNothingToSayOfAPartitionThatIsIdle) {
  watch_.Sent(kLost, clock_.Now());
  watch_.Confirmed(kLost, clock_.Now());

  EXPECT_FALSE(GoesBy(10min));
}

}  // namespace
}  // namespace drawbridge
