#include "relay/opensearch/bulk_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

class BulkQueueTest : public testing::Test {
 protected:
  static Pending Entry(int64_t offset, size_t bytes = 0) {
    static const std::string kBytes(BulkQueue::kBytesMost, 'x');
    Pending entry;
    entry.slot = static_cast<Slot>(offset % 2);
    entry.record.offset = Offset{offset};
    entry.record.value = std::string_view(kBytes).substr(0, bytes);
    return entry;
  }
  static Bulk BulkOf(std::initializer_list<int64_t> offsets) {
    Bulk bulk;
    for (const int64_t offset : offsets) bulk.entries.push_back(Entry(offset));
    return bulk;
  }
  static std::vector<int64_t> OffsetsOf(const std::vector<Pending>& entries) {
    std::vector<int64_t> offsets;
    for (const Pending& entry : entries) offsets.push_back(entry.record.offset.value);
    return offsets;
  }
  // What is due next, if the engine works on something.
  std::vector<int64_t> Next() {
    const std::optional<Bulk> bulk = queue_.TakeDue(false, now_);
    return bulk ? OffsetsOf(bulk->entries) : std::vector<int64_t>{};
  }

  BulkQueue queue_;
  BootTime now_{1h};
};

TEST_F(BulkQueueTest, GathersRecordsUntilTheyAreWorthARequest) {
  queue_.Add(Entry(1), now_);
  EXPECT_THAT(Next(), ElementsAre());

  now_ += 1s;

  EXPECT_EQ(queue_.NextDue(now_), now_);
  EXPECT_THAT(Next(), ElementsAre(1));
  EXPECT_EQ(queue_.NextDue(now_), std::nullopt);
}

TEST_F(BulkQueueTest, GathersNothingWhileTheEngineIsIdle) {
  queue_.Add(Entry(1), now_);
  EXPECT_TRUE(queue_.TakeDue(true, now_).has_value());
}

TEST_F(BulkQueueTest, SendsAtOnceWhatIsFull) {
  queue_.Add(Entry(1, BulkQueue::kBytesMost), now_);
  EXPECT_FALSE(queue_.HasRoom());
  EXPECT_THAT(Next(), ElementsAre(1));
  EXPECT_TRUE(queue_.HasRoom());
}

TEST_F(BulkQueueTest, SendsFirstWhatFailedThenDeadLettersThenWhatIsNew) {
  queue_.Add(Entry(3), now_);
  queue_.AddDead(Entry(2));
  queue_.Later(BulkOf({1}), now_);
  now_ += 1s;

  EXPECT_THAT(Next(), ElementsAre(1));
  EXPECT_THAT(Next(), ElementsAre(2));
  EXPECT_THAT(Next(), ElementsAre(3));
}

TEST_F(BulkQueueTest, LetsNewRecordsWaitForWhatFailed) {
  queue_.Later(BulkOf({1}), now_ + 5s);
  queue_.Add(Entry(2, BulkQueue::kBytesMost), now_);
  EXPECT_THAT(Next(), ElementsAre());
  EXPECT_EQ(queue_.NextDue(now_ + 2s), now_ + 5s);

  now_ += 5s;

  EXPECT_THAT(Next(), ElementsAre(1));
  EXPECT_THAT(Next(), ElementsAre(2));
}

TEST_F(BulkQueueTest, TriesInOneRequestWhatFailedInMany) {
  for (const int64_t offset : {1, 2, 3}) {
    Bulk failed = BulkOf({offset});
    failed.is_probe = true;
    queue_.Later(std::move(failed), now_ + offset * 5s);  // what fails later puts nothing off
  }
  queue_.Add(Entry(4, BulkQueue::kBytesMost), now_);

  EXPECT_FALSE(queue_.has_waiting());
  EXPECT_THAT(Next(), ElementsAre(4)) << "nobody waits for it";
  const std::optional<Bulk> again = queue_.TakeProbe(now_ + 5s);
  ASSERT_TRUE(again.has_value());
  EXPECT_THAT(OffsetsOf(again->entries), ElementsAre(1, 2, 3));
  EXPECT_FALSE(queue_.TakeProbe(now_ + 5s).has_value());
}

TEST_F(BulkQueueTest, AddsNoRecordToAProbeThatWasAskedAboutBefore) {
  const auto waits = [&](Bulk bulk) {
    bulk.is_probe = true;
    queue_.Later(std::move(bulk), now_);
    queue_.AddProbe(Entry(3), now_);
    const size_t records = queue_.TakeProbe(now_)->entries.size();
    queue_.TakeProbe(now_);
    return records;
  };
  EXPECT_EQ(waits(BulkOf({1})), 2U);
  Bulk checked = BulkOf({1});
  checked.is_checked = true;
  EXPECT_EQ(waits(std::move(checked)), 1U);
  Bulk in_check = BulkOf({1});
  in_check.check = PresenceCheck("task", {"index"}, {"id"}, 0);
  EXPECT_EQ(waits(std::move(in_check)), 1U);
  Bulk dead = BulkOf({1});
  dead.is_dead = true;
  EXPECT_EQ(waits(std::move(dead)), 1U);
}

TEST_F(BulkQueueTest, KeepsProbesApartFromAllOthersAndFromEachOther) {
  queue_.AddProbe(Entry(1), now_);
  queue_.AddProbe(Entry(3), now_);
  queue_.AddProbe(Entry(2), now_);
  queue_.Add(Entry(4), now_);
  EXPECT_EQ(queue_.NextProbe(), now_);

  EXPECT_THAT(OffsetsOf(queue_.TakeProbe(now_)->entries), ElementsAre(1, 3)) << "of one slot";
  std::optional<Bulk> second = queue_.TakeProbe(now_);
  EXPECT_THAT(OffsetsOf(second->entries), ElementsAre(2));
  EXPECT_FALSE(queue_.TakeProbe(now_).has_value());

  queue_.Later(*std::move(second), now_ + 1s);
  EXPECT_FALSE(queue_.has_waiting()) << "nobody waits for it";
  EXPECT_FALSE(queue_.TakeProbe(now_).has_value());
  EXPECT_TRUE(queue_.TakeProbe(now_ + 1s).has_value());
}

TEST_F(BulkQueueTest, SplitsInHalvesThatGoFirst) {
  queue_.Later(BulkOf({9}), now_);

  queue_.Split(BulkOf({1, 2, 3}), now_);

  EXPECT_THAT(Next(), ElementsAre(1));
  EXPECT_THAT(Next(), ElementsAre(2, 3));
  EXPECT_THAT(Next(), ElementsAre(9));
}

TEST_F(BulkQueueTest, SendsNoMoreDeadLettersAtOnceThanFitIn) {
  for (const int64_t offset : {1, 2, 3}) queue_.AddDead(Entry(offset, BulkQueue::kBytesMost / 4));
  EXPECT_EQ(queue_.NextDue(now_), now_);

  EXPECT_THAT(Next(), ElementsAre(1, 2));
  EXPECT_THAT(Next(), ElementsAre(3));
}

TEST_F(BulkQueueTest, MakesSmallerRequestsOfWhatWasTooLarge) {
  const size_t size = size_t{1} << 20;
  queue_.WasTooLarge(size);
  queue_.Add(Entry(1, size / 2), now_);
  EXPECT_FALSE(queue_.HasRoom());

  for (int i = 0; i < 100; ++i) queue_.Passed();

  EXPECT_TRUE(queue_.HasRoom());
}

TEST_F(BulkQueueTest, MakesNoLargerRequestsForOneThatWasTooLargeByItself) {
  const size_t size = size_t{1} << 20;
  queue_.WasTooLarge(size);

  queue_.WasTooLarge(20 * size);

  queue_.Add(Entry(1, size / 2), now_);
  EXPECT_FALSE(queue_.HasRoom());
}

TEST_F(BulkQueueTest, HasTheRoomThatIsMadeByTakingOut) {
  queue_.Add(Entry(1, BulkQueue::kBytesMost), now_);
  ASSERT_FALSE(queue_.HasRoom());

  queue_.Extract([](const Pending&) { return true; });

  EXPECT_TRUE(queue_.HasRoom());
}

TEST_F(BulkQueueTest, GivesOutWhatIsWantedFromEverywhere) {
  queue_.Add(Entry(1), now_);
  queue_.Add(Entry(2), now_);
  queue_.AddDead(Entry(3));
  queue_.Later(BulkOf({4, 5}), now_);
  queue_.Later(BulkOf({7}), now_);

  const auto odd = queue_.Extract([](const Pending& entry) { return entry.slot == 1; });

  EXPECT_THAT(OffsetsOf(odd), ElementsAre(1, 3, 5, 7));
  now_ += 1s;
  EXPECT_THAT(Next(), ElementsAre(4));
  EXPECT_THAT(Next(), ElementsAre(2)) << "and nothing empty waits";
}

}  // namespace
}  // namespace drawbridge
