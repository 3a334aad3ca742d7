#include "base/backoff.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using std::chrono::milliseconds;

TEST(BackoffTest, NeverWaitsLongerThanItsMost) {
  Backoff backoff(milliseconds(100), milliseconds(1000), 7);

  for (int i = 0; i < 100; ++i) EXPECT_LE(backoff.Next(), milliseconds(1000));
}

TEST(BackoffTest, WaitsBrieflyAgainAfterASuccess) {
  Backoff backoff(milliseconds(100), milliseconds(10'000), 7);
  for (int i = 0; i < 20; ++i) backoff.Next();

  backoff.Reset();

  EXPECT_LE(backoff.Next(), milliseconds(100));
}

}  // namespace
}  // namespace drawbridge
