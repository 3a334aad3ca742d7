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

// How many letters of records from an offset on are within the budget.
int TakenOf(LetterBudget& budget, int count, BootTime now, int64_t from = 0) {
  for (int taken = 0; taken < count; ++taken) {
    const Offset offset{from + taken};
    if (budget.IsSpent(offset, now)) return taken;
    budget.Begin();
    budget.Keep(offset, now);
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

  EXPECT_EQ(TakenOf(budget, 1'000, kStart + 10min, 1'000), 10);
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
  EXPECT_EQ(TakenOf(budget, 100, kStart + 59min, 9'000), 0);

  EXPECT_EQ(TakenOf(budget, 100, kStart + 60min, 9'000), 20);
}

TEST(LetterBudgetTest, CountsALetterFromItsBeginning) {
  LetterBudget budget(10);
  for (int i = 0; i < 20; ++i) budget.Begin();
  EXPECT_TRUE(budget.IsSpent(Offset{50}, kStart));
}

TEST(LetterBudgetTest, CountsNoneThatWasGivenBackOrForgotten) {
  LetterBudget budget(10);
  for (int i = 0; i < 20; ++i) budget.Begin();
  for (int i = 0; i < 20; ++i) budget.GiveBack();
  EXPECT_EQ(TakenOf(budget, 19, kStart), 19);
  budget.Begin();
  EXPECT_TRUE(budget.IsSpent(Offset{50}, kStart));

  budget.ForgetBegun();

  EXPECT_EQ(TakenOf(budget, 10, kStart, 50), 1);
}

TEST(LetterBudgetTest, CountsALetterOnceThatIsKeptAgain) {
  LetterBudget budget(10);
  EXPECT_EQ(TakenOf(budget, 15, kStart), 15);
  EXPECT_EQ(TakenOf(budget, 15, kStart), 15) << "as they are after a replay";
  EXPECT_EQ(TakenOf(budget, 100, kStart, 15), 5);
  EXPECT_EQ(TakenOf(budget, 20, kStart), 20) << "those that are kept are never too many";
}

}  // namespace
}  // namespace drawbridge
