#include "relay/opensearch/outcomes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using testing::SizeIs;

class OutcomesTest : public testing::Test {
 protected:
  static Pending Entry(int64_t first, int64_t end, Slot slot = 0, uint32_t window = 1) {
    Pending entry;
    entry.slot = slot;
    entry.window = window;
    entry.covered = {Offset{first}, Offset{end}};
    entry.record.offset = Offset{end - 1};
    entry.record.weight = 10;
    return entry;
  }
  void Confirm(Pending entry) { outcomes_.Confirm(entry); }
  std::vector<Confirmation> Taken() {
    std::vector<Confirmation> confirmations;
    outcomes_.MoveTo(confirmations);
    return confirmations;
  }

  Outcomes outcomes_;
};

TEST_F(OutcomesTest, JoinsNeighbours) {
  Confirm(Entry(0, 1));
  Confirm(Entry(1, 4));

  const std::vector<Confirmation> taken = Taken();

  ASSERT_THAT(taken, SizeIs(1));
  EXPECT_EQ(taken[0].range, (OffsetRange{Offset{0}, Offset{4}}));
  EXPECT_EQ(taken[0].records, 2);
  EXPECT_EQ(taken[0].bytes, 20U);
  EXPECT_THAT(Taken(), SizeIs(0));
}

TEST_F(OutcomesTest, KeepsApartWhatIsNot) {
  Confirm(Entry(0, 1));
  Confirm(Entry(2, 3));
  Confirm(Entry(3, 4, 1));
  Confirm(Entry(4, 5, 1, 2));

  EXPECT_THAT(Taken(), SizeIs(4));
}

TEST_F(OutcomesTest, NamesDeadLetters) {
  Pending entry = Entry(0, 3);
  entry.refusal.emplace().group = "bad date";
  Confirm(std::move(entry));

  const std::vector<Confirmation> taken = Taken();

  ASSERT_THAT(taken.at(0).dead_letters, SizeIs(1));
  EXPECT_EQ(taken[0].dead_letters[0].offset, Offset{2});
  EXPECT_EQ(taken[0].dead_letters[0].error, "bad date");
}

TEST_F(OutcomesTest, TellsOfEachSlotAndWindowTheFirstThatFailedAndTheLast) {
  const std::map<Slot, Status> why = {
      {0, Status(StatusCode::kUnavailable, Reason::kBrokerError, "away")}};
  std::vector<Pending> entries;
  entries.push_back(Entry(4, 5));
  entries.push_back(Entry(2, 3));
  entries.push_back(Entry(8, 9, 0, 2));
  outcomes_.GiveBack(entries, why, Disposition::kBlock);

  const std::vector<Confirmation> taken = Taken();

  ASSERT_THAT(taken, SizeIs(2));
  EXPECT_EQ(taken[0].range.first, Offset{2});
  EXPECT_EQ(taken[0].failed_end, Offset{5});
  EXPECT_EQ(taken[0].records, 2);
  EXPECT_EQ(taken[0].failure, Disposition::kBlock);
  EXPECT_EQ(taken[0].status.message(), "away");
  EXPECT_EQ(taken[1].window, 2U);
}

}  // namespace
}  // namespace drawbridge
