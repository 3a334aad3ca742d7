#include "relay/opensearch/storm_trial.h"

#include <utility>

#include <gtest/gtest.h>

#include "relay/opensearch/storm_breaker.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using Verdict = StormTrial::Verdict;

class StormTrialTest : public testing::Test {
 protected:
  StormTrialTest() { Begin(1); }

  // The records of this window are on trial.
  void Begin(uint32_t window) {
    window_ = window;
    trial_.Admit(window, next_, kNow);
  }
  void Refuse(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      Pending entry;
      entry.record.offset = next_;
      trial_.Hold({.entry = std::move(entry), .refusal = {}, .cause = "closed"});
      next_ = Next(next_);
    }
    held_ += count;
  }
  void Pass(int count, bool is_new = true) {
    for (int i = 0; i < count; ++i) {
      next_ = Next(next_);
      trial_.AddPassed(next_, is_new);
    }
  }
  Verdict Judge(size_t on_their_way = 0, Duration after = 3s) const {
    return trial_.Judge(held_ + on_their_way, kNow + after);
  }

  static constexpr BootTime kNow{1h};
  StormTrial trial_;
  uint32_t window_ = 0;
  Offset next_{1000};
  size_t held_ = 0;
};

TEST_F(StormTrialTest, IsOverOnceRecordsPassAndNoneIsRefused) {
  EXPECT_EQ(Judge(5), Verdict::kPending);
  Pass(1);
  EXPECT_EQ(Judge(4), Verdict::kOver);
}

TEST_F(StormTrialTest, SaysNothingWhereNothingIsKnownAndNothingComes) {
  EXPECT_EQ(Judge(), Verdict::kNone);
}

TEST_F(StormTrialTest, FindsBadRecordsWhereLessThanHalfAreRefused) {
  Refuse(9);
  Pass(11);
  EXPECT_EQ(Judge(300), Verdict::kBadRecords) << "whatever those say that come behind";
}

TEST_F(StormTrialTest, FindsTheIndexAtFaultWhereHalfAreRefused) {
  Refuse(10);
  Pass(10);
  EXPECT_EQ(Judge(), Verdict::kStorm);
}

TEST_F(StormTrialTest, SaysNothingForTheRecordsWithTooFew) {
  Refuse(1);
  Pass(18);
  EXPECT_EQ(Judge(), Verdict::kStorm);
  Pass(1);
  EXPECT_EQ(Judge(), Verdict::kBadRecords);
}

TEST_F(StormTrialTest, WaitsForWhatIsOnItsWay) {
  Refuse(30);
  EXPECT_EQ(Judge(1, 1h), Verdict::kPending);
  EXPECT_EQ(Judge(0, 1h), Verdict::kStorm);
}

TEST_F(StormTrialTest, WaitsAWhileForMoreWhereAFetchHoldsFew) {
  Refuse(3);
  EXPECT_EQ(Judge(0, 2s), Verdict::kPending);
  EXPECT_EQ(Judge(0, 3s), Verdict::kStorm);
}

TEST_F(StormTrialTest, WaitsNoLongerOnceAllThatMayGoAheadAreThrough) {
  Refuse(StormBreaker::kWindow);
  EXPECT_EQ(Judge(0, 0s), Verdict::kStorm);
}

TEST_F(StormTrialTest, DoesNotEndWithWhatIsOnlyFoundThere) {
  Pass(5, false);
  EXPECT_EQ(Judge(1), Verdict::kPending);
  EXPECT_EQ(Judge(0), Verdict::kOver);
  EXPECT_FALSE(trial_.has_written());
}

TEST_F(StormTrialTest, ReachesFromItsFirstRecordToTheLastThatPassed) {
  Refuse(2);
  Pass(3);
  Refuse(4);
  EXPECT_EQ(trial_.range(), (OffsetRange{{1000}, {1005}}));
}

TEST_F(StormTrialTest, BeginsAnewWithTheNextWindowAndKeepsWhatItHolds) {
  Refuse(2);
  Pass(30);

  Begin(2);

  EXPECT_TRUE(trial_.IsOf(2));
  EXPECT_FALSE(trial_.IsOf(1));
  EXPECT_EQ(Judge(), Verdict::kStorm) << "of those that passed nothing is known any more";
  EXPECT_EQ(trial_.TakeHeld().size(), 2U);
  EXPECT_EQ(trial_.TakeHeld().size(), 0U);
}

TEST_F(StormTrialTest, CountsNobodyBetweenARestartAndTheNextRecord) {
  Pass(30);
  trial_.Restart();
  EXPECT_FALSE(trial_.IsOf(1));
  EXPECT_EQ(Judge(), Verdict::kNone);
}

}  // namespace
}  // namespace drawbridge
