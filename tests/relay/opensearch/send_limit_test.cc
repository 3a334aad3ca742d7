#include "relay/opensearch/send_limit.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

TEST(SendLimitTest, GrowsWhileTheEngineAnswersAsFast) {
  SendLimit limit;
  EXPECT_EQ(limit.limit(), 1U);

  for (int i = 0; i < 200; ++i) limit.Answered(10ms, limit.limit());

  EXPECT_GT(limit.limit(), 10U);
  EXPECT_LE(limit.limit(), SendLimit::kMost);
}

TEST(SendLimitTest, StaysWhereItIsNotUsed) {
  SendLimit limit;
  for (int i = 0; i < 20; ++i) limit.Answered(10ms, limit.limit());
  const size_t before = limit.limit();

  for (int i = 0; i < 200; ++i) limit.Answered(10ms, 1);

  EXPECT_EQ(limit.limit(), before);
}

TEST(SendLimitTest, ShrinksWhenTheEnginePushesBackButNeverToNothing) {
  SendLimit limit;
  for (int i = 0; i < 200; ++i) limit.Answered(10ms, limit.limit());
  const size_t before = limit.limit();

  limit.PushedBack();
  EXPECT_LT(limit.limit(), before);
  for (int i = 0; i < 200; ++i) limit.PushedBack();

  EXPECT_EQ(limit.limit(), 1U);
}

TEST(SendLimitTest, ShrinksWhenAnswersTakeLongerThanTheyVary) {
  SendLimit limit;
  for (int i = 0; i < 300; ++i) limit.Answered(10ms, limit.limit());
  const size_t before = limit.limit();

  for (size_t i = 0; i <= before + 1; ++i) limit.Answered(500ms, limit.limit());

  EXPECT_LT(limit.limit(), before);
}

}  // namespace
}  // namespace drawbridge
