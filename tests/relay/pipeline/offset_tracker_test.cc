#include "relay/pipeline/offset_tracker.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

#include "tests/relay/pipeline/batches.h"

namespace drawbridge {
namespace {

class OffsetTrackerTest : public testing::Test {
 protected:
  void Begin(int64_t first, int64_t end) {
    ASSERT_TRUE(tracker_.Begin(RangeOf(first, end)).ok()) << first << " to " << end;
  }
  int64_t checkpoint() const { return tracker_.checkpoint().value; }

  OffsetTracker tracker_{Offset{100}};
};

TEST_F(OffsetTrackerTest, StandsAtTheStoredCheckpointBeforeAnythingIsRead) {
  EXPECT_EQ(checkpoint(), 100);
  EXPECT_TRUE(tracker_.is_settled());
}

TEST_F(OffsetTrackerTest, DoesNotPassAnUnconfirmedRecord) {
  Begin(100, 110);
  tracker_.Confirm(RangeOf(103, 110));
  EXPECT_EQ(checkpoint(), 100);

  tracker_.Confirm(RangeOf(100, 103));
  EXPECT_EQ(checkpoint(), 110);
}

TEST_F(OffsetTrackerTest, StopsAtAHoleInTheConfirmations) {
  Begin(100, 110);
  tracker_.Confirm(RangeOf(100, 104));
  tracker_.Confirm(RangeOf(105, 110));

  EXPECT_EQ(checkpoint(), 104);
  EXPECT_FALSE(tracker_.is_settled());
}

TEST_F(OffsetTrackerTest, StepsOverOffsetsThatHoldNoRecord) {
  Begin(100, 101);
  Begin(250, 251);
  tracker_.Confirm(RangeOf(100, 101));
  EXPECT_EQ(checkpoint(), 250);

  tracker_.Confirm(RangeOf(250, 251));
  tracker_.ReadUpTo(Offset{252});  // a transaction marker at the tail
  EXPECT_EQ(checkpoint(), 252);
}

TEST_F(OffsetTrackerTest, TakesAConfirmationTwice) {
  Begin(100, 110);
  tracker_.Confirm(RangeOf(100, 104));
  tracker_.Confirm(RangeOf(100, 104));
  tracker_.Confirm(RangeOf(102, 106));

  EXPECT_EQ(checkpoint(), 106);
}

TEST_F(OffsetTrackerTest, TakesAConfirmationAcrossNeighboursAndHoles) {
  Begin(100, 105);
  Begin(105, 110);
  Begin(120, 130);
  tracker_.Confirm(RangeOf(102, 125));
  EXPECT_EQ(checkpoint(), 100);

  tracker_.Confirm(RangeOf(100, 102));
  EXPECT_EQ(checkpoint(), 125);
}

TEST_F(OffsetTrackerTest, IgnoresAConfirmationOfWhatWasNeverRead) {
  Begin(100, 105);
  tracker_.Confirm(RangeOf(105, 500));
  Begin(105, 110);
  tracker_.Confirm(RangeOf(100, 105));

  EXPECT_EQ(checkpoint(), 105);
}

TEST_F(OffsetTrackerTest, RefusesASourceThatGoesBackwards) {
  Begin(100, 110);

  EXPECT_EQ(tracker_.Begin(RangeOf(109, 120)).code(), StatusCode::kInternal);
  tracker_.Confirm(RangeOf(100, 110));
  EXPECT_EQ(checkpoint(), 110);
}

TEST_F(OffsetTrackerTest, NeverReadsBackwards) {
  Begin(100, 110);
  tracker_.ReadUpTo(Offset{105});

  EXPECT_EQ(tracker_.read_to(), Offset{110});
}

TEST_F(OffsetTrackerTest, ReadsAgainWhatItForgot) {
  Begin(100, 110);
  Begin(120, 130);
  tracker_.Confirm(RangeOf(122, 124));
  tracker_.ForgetFrom(Offset{105});
  EXPECT_EQ(tracker_.read_to(), Offset{105});

  tracker_.Confirm(RangeOf(100, 130));
  EXPECT_EQ(checkpoint(), 105);
  Begin(105, 110);
  EXPECT_EQ(checkpoint(), 105);
}

TEST_F(OffsetTrackerTest, ForgetsNothingBelowTheCheckpoint) {
  Begin(100, 110);
  tracker_.Confirm(RangeOf(100, 104));
  tracker_.ForgetFrom(Offset{90});

  EXPECT_EQ(checkpoint(), 104);
  EXPECT_EQ(tracker_.read_to(), Offset{104});
}

// The same by brute force: one entry per record, and no ranges.
class NaiveTracker {
 public:
  explicit NaiveTracker(int64_t start) : read_to_(start) {}

  void Begin(OffsetRange records) {
    for (int64_t at = records.first.value; at < records.end.value; ++at) unconfirmed_.insert(at);
    read_to_ = std::max(read_to_, records.end.value);
  }
  void Confirm(OffsetRange records) {
    unconfirmed_.erase(unconfirmed_.lower_bound(records.first.value),
                       unconfirmed_.lower_bound(records.end.value));
  }
  void ReadUpTo(int64_t offset) { read_to_ = std::max(read_to_, offset); }
  void ForgetFrom(int64_t offset) {
    offset = std::max(offset, checkpoint());
    unconfirmed_.erase(unconfirmed_.lower_bound(offset), unconfirmed_.end());
    read_to_ = std::min(read_to_, offset);
  }

  int64_t checkpoint() const { return unconfirmed_.empty() ? read_to_ : *unconfirmed_.begin(); }
  int64_t read_to() const { return read_to_; }

 private:
  int64_t read_to_;
  std::set<int64_t> unconfirmed_;
};

TEST(OffsetTrackerRandomTest, AgreesWithANaiveTrackerAndNeverFalls) {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto draw = [&](int64_t most) {
      return std::uniform_int_distribution<int64_t>(0, most)(random);
    };
    OffsetTracker tracker(Offset{0});
    NaiveTracker naive(0);
    int64_t before = 0;
    for (int step = 0; step < 200; ++step) {
      const int64_t action = draw(10);
      if (action < 3) {
        const int64_t first = tracker.read_to().value + (draw(2) == 0 ? draw(5) : 0);
        const OffsetRange records = RangeOf(first, first + draw(8));
        ASSERT_TRUE(tracker.Begin(records).ok());
        if (!records.empty()) naive.Begin(records);
      } else if (action < 9) {
        const int64_t first = std::max<int64_t>(0, before - 3 + draw(30));
        const OffsetRange records = RangeOf(first, first + draw(12));
        tracker.Confirm(records);
        naive.Confirm(records);
      } else if (action == 9) {
        const int64_t from = before - 2 + draw(30);
        tracker.ForgetFrom(Offset{from});
        naive.ForgetFrom(from);
      } else {
        const int64_t to = tracker.read_to().value - 2 + draw(6);
        tracker.ReadUpTo(Offset{to});
        naive.ReadUpTo(to);
      }
      ASSERT_EQ(tracker.checkpoint().value, naive.checkpoint());
      ASSERT_EQ(tracker.read_to().value, naive.read_to());
      ASSERT_EQ(tracker.is_settled(), naive.checkpoint() == naive.read_to());
      ASSERT_GE(tracker.checkpoint().value, before);
      before = tracker.checkpoint().value;
    }
  }
}

}  // namespace
}  // namespace drawbridge
