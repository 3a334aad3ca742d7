#include "relay/opensearch/storm_breaker.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

TEST(StormBreakerTest, LetsFewBadRecordsBeWrittenOff) {
  StormBreaker storm;
  for (size_t i = 0; i + 1 < StormBreaker::kLeast; ++i) EXPECT_FALSE(storm.AddBad("type")) << i;
}

TEST(StormBreakerTest, HoldsBackWhenHalfOfTheLastAreRefusedForOneReason) {
  StormBreaker storm;
  for (int i = 0; i < 50; ++i) storm.AddGood();
  int written_off = 0;
  while (written_off < 1000 && !storm.AddBad("type")) {
    if (++written_off % 10 == 0) storm.AddGood();  // never many in a row
  }

  EXPECT_EQ(written_off, 54) << "the 55th of 110";
}

TEST(StormBreakerTest, TellsReasonsApart) {
  StormBreaker storm;
  for (int i = 0; i < 300; ++i) {
    EXPECT_FALSE(storm.AddBad("one"));
    EXPECT_FALSE(storm.AddBad("two") && i > 15);
    storm.AddGood();
  }
}

TEST(StormBreakerTest, LooksAtTheLastOnesOnly) {
  StormBreaker storm;
  for (size_t i = 0; i < StormBreaker::kWindow; ++i) storm.AddBad("type");
  for (size_t i = 0; i < StormBreaker::kWindow; ++i) storm.AddGood();

  EXPECT_FALSE(storm.AddBad("type"));
}

TEST(StormBreakerTest, HoldsBackWhatIsRefusedInARowHoweverWellItWentBefore) {
  StormBreaker storm;
  for (size_t i = 0; i < StormBreaker::kWindow; ++i) storm.AddGood();
  for (size_t i = 1; i < StormBreaker::kInARow; ++i) EXPECT_FALSE(storm.AddBad("type")) << i;
  storm.AddGood();
  for (size_t i = 1; i < StormBreaker::kInARow; ++i) EXPECT_FALSE(storm.AddBad("type")) << i;

  EXPECT_TRUE(storm.AddBad("type"));
}

TEST(StormBreakerTest, ForgetsWhatHasPassed) {
  StormBreaker storm;
  for (int i = 0; i < 100; ++i) storm.AddBad("type");
  ASSERT_TRUE(storm.AddBad("type"));

  storm.Reset();

  EXPECT_FALSE(storm.AddBad("type"));
}

}  // namespace
}  // namespace drawbridge
