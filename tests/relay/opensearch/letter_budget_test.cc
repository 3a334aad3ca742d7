#include "relay/opensearch/letter_budget.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr BootTime kStart{1h};

// Records from an offset on.
void Read(LetterBudget& budget, int64_t from, int64_t count, BootTime now = kStart) {
  for (int64_t i = 0; i < count; ++i) budget.AddRecord(Offset{from + i}, now);
}

// How many letters are within the budget.
int TakenOf(LetterBudget& budget, int count, BootTime now) {
  for (int taken = 0; taken < count; ++taken) {
    if (budget.IsSpent(now)) return taken;
    budget.Begin();
    budget.Keep(now);
  }
  return count;
}

TEST(LetterBudgetTest, TakesAllWithoutALimit) {
  LetterBudget budget;
  EXPECT_EQ(TakenOf(budget, 10'000, kStart), 10'000);
}

TEST(LetterBudgetTest, TakesAFewWhateverTheirShare) {
  LetterBudget budget(1);
  EXPECT_EQ(TakenOf(budget, 100, kStart), 20);
}

TEST(LetterBudgetTest, TakesItsShareOfTheRecordsAndNoMore) {
  LetterBudget budget(5);
  Read(budget, 0, 10'000);
  EXPECT_EQ(TakenOf(budget, 1'000, kStart), 500);
}

TEST(LetterBudgetTest, TakesMoreOnceMoreRecordsCome) {
  LetterBudget budget(10);
  Read(budget, 0, 1'000);
  EXPECT_EQ(TakenOf(budget, 1'000, kStart), 100);

  Read(budget, 1'000, 100, kStart + 10min);

  EXPECT_EQ(TakenOf(budget, 1'000, kStart + 10min), 10);
}

TEST(LetterBudgetTest, CountsARecordOnceThatIsReadAgain) {
  LetterBudget budget(10);
  Read(budget, 0, 1'000);
  Read(budget, 500, 500);
  EXPECT_EQ(TakenOf(budget, 1'000, kStart), 100);
}

TEST(LetterBudgetTest, ForgetsWhatIsOlderThanAnHour) {
  LetterBudget budget(10);
  Read(budget, 0, 10'000);
  EXPECT_EQ(TakenOf(budget, 10'000, kStart), 1'000);
  EXPECT_EQ(TakenOf(budget, 100, kStart + 59min), 0);

  EXPECT_EQ(TakenOf(budget, 100, kStart + 60min), 20);
}

TEST(LetterBudgetTest, CountsALetterFromItsBeginning) {
  LetterBudget budget(10);
  for (int i = 0; i < 20; ++i) budget.Begin();
  EXPECT_TRUE(budget.IsSpent(kStart));
}

TEST(LetterBudgetTest, CountsNoneThatWasGivenBackOrForgotten) {
  LetterBudget budget(10);
  for (int i = 0; i < 20; ++i) budget.Begin();
  for (int i = 0; i < 20; ++i) budget.GiveBack();
  EXPECT_EQ(TakenOf(budget, 19, kStart), 19);
  budget.Begin();
  EXPECT_TRUE(budget.IsSpent(kStart));

  budget.ForgetBegun();

  EXPECT_EQ(TakenOf(budget, 10, kStart), 1);
}

}  // namespace
}  // namespace drawbridge
