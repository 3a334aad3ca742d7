#include "relay/opensearch/prior_writes.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr size_t kWindow = 100;
constexpr BootTime kNow{1h};

TEST(PriorWritesTest, AreWhatWasSentFromHereBefore) {
  PriorWrites prior(kWindow);
  EXPECT_FALSE(prior.MayHave({5}, kNow));

  prior.Sent({10});

  EXPECT_TRUE(prior.MayHave({9}, kNow));
  EXPECT_FALSE(prior.MayHave({10}, kNow));
}

TEST(PriorWritesTest, MayBeAnyUntilTwoWindowsOfOthersWereMissing) {
  PriorWrites prior(kWindow);
  prior.Suspect();

  prior.WasMissing(2 * kWindow - 2, kNow);
  EXPECT_TRUE(prior.MayHave({5}, kNow));
  prior.WasMissing(1, kNow);
  EXPECT_FALSE(prior.MayHave({5}, kNow));
}

TEST(PriorWritesTest, BeginAnewBehindOneThatWasThere) {
  PriorWrites prior(kWindow);
  prior.Suspect();
  prior.WasMissing(kWindow, kNow);

  prior.WasThere();

  prior.WasMissing(kWindow, kNow);
  EXPECT_TRUE(prior.MayHave({5}, kNow));
}

TEST(PriorWritesTest, AreLookedForHalfAnHourFromTheFirstAnswerOn) {
  PriorWrites prior(kWindow);
  prior.Suspect();
  EXPECT_TRUE(prior.MayHave({4}, kNow - 5h)) << "however long the source had nothing to say";
  EXPECT_TRUE(prior.MayHave({5}, kNow - 1h)) << "however long the engine does not answer";
  prior.WasMissing(1, kNow);

  EXPECT_TRUE(prior.MayHave({6}, kNow + 29min));
  prior.WasMissing(1, kNow + 29min);
  EXPECT_FALSE(prior.MayHave({7}, kNow + 30min));
}

TEST(PriorWritesTest, AreLookedForLongerWhereTheEngineWasAwayMeanwhile) {
  PriorWrites prior(kWindow);
  prior.Suspect();
  prior.WasMissing(1, kNow);
  prior.MayHave({5}, kNow + 1min);

  EXPECT_TRUE(prior.MayHave({6}, kNow + 2h));
  prior.WasMissing(1, kNow + 2h);

  EXPECT_TRUE(prior.MayHave({7}, kNow + 2h + 28min));
  prior.WasMissing(1, kNow + 2h + 28min);
  EXPECT_FALSE(prior.MayHave({8}, kNow + 2h + 29min));
}

TEST(PriorWritesTest, AreLookedForHalfAnHourMoreOnceThePartitionIsOpenedAgain) {
  PriorWrites prior(kWindow);
  prior.Suspect();
  prior.WasMissing(1, kNow);

  prior.Suspect();

  EXPECT_TRUE(prior.MayHave({5}, kNow + 1h));
  prior.WasMissing(1, kNow + 1h);
  EXPECT_TRUE(prior.MayHave({6}, kNow + 1h + 29min));
  prior.WasMissing(1, kNow + 1h + 29min);
  EXPECT_FALSE(prior.MayHave({7}, kNow + 1h + 30min));
}

TEST(PriorWritesTest, AreNotSuspectedOfARecordThatNobodyDoubted) {
  PriorWrites prior(kWindow);

  prior.WasThere();

  EXPECT_FALSE(prior.MayHave({5}, kNow)) << "it was sent twice within one request, say";
}

}  // namespace
}  // namespace drawbridge
