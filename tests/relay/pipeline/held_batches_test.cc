#include "relay/pipeline/held_batches.h"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "relay/pipeline/in_flight_window.h"
#include "tests/fakes/fake_sink.h"
#include "tests/relay/pipeline/batches.h"

namespace drawbridge {
namespace {

constexpr PartitionKey kPartition{.stream = StreamId{1}, .partition = 0};
constexpr size_t kWeight = 5 + InFlightWindow::kRecordOverhead;  // of a record of batches.h

class HeldBatchesTest : public testing::Test {
 protected:
  HeldBatchesTest() {
    Route route;
    route.key = kPartition;
    EXPECT_TRUE(sink_.Open(0, route).ok());
  }

  // Submits the next part under a window of its own, and returns how many records that was.
  size_t SubmitNext() { return held_.SubmitNext(sink_, ++window_).records; }

  HeldBatches held_;
  FakeSink sink_;
  uint32_t window_ = 0;
};

TEST_F(HeldBatchesTest, WeighsWhatItIsGiven) {
  EXPECT_EQ(held_.Add(BatchOf(0, {0, 1}, 2), 100), 2 * kWeight);
  EXPECT_EQ(held_.Add(BatchOf(2, {2}, 3), 100), kWeight);

  EXPECT_EQ(held_.bytes(), 3 * kWeight);
  EXPECT_EQ(held_.next_bytes(), 2 * kWeight);
  EXPECT_EQ(held_.next(), Offset{0});
}

TEST_F(HeldBatchesTest, HandsBatchesOverInTheirOrder) {
  held_.Add(BatchOf(0, {0, 1}, 2), 100);
  held_.Add(BatchOf(2, {2, 5}, 9), 100);

  while (!held_.empty()) SubmitNext();

  EXPECT_EQ(sink_.pending_offsets(kPartition), (std::vector<int64_t>{0, 1, 2, 5}));
  EXPECT_EQ(held_.bytes(), 0U);
}

TEST_F(HeldBatchesTest, KeepsWhatTheSinkDoesNotTake) {
  held_.Add(BatchOf(0, {0, 3, 4}, 5), 100);
  sink_.SetCapacity(1);

  const HeldBatches::Submitted submitted = held_.SubmitNext(sink_, 1);

  EXPECT_EQ(submitted.records, 1U);
  EXPECT_EQ(submitted.bytes, kWeight);
  EXPECT_FALSE(submitted.is_all);
  EXPECT_EQ(held_.next_bytes(), 2 * kWeight);
  EXPECT_EQ(held_.next(), Offset{1}) << "where the record at 3 begins to cover";
  sink_.SetCapacity(10);
  EXPECT_TRUE(held_.SubmitNext(sink_, 1).is_all);
  EXPECT_EQ(sink_.pending_offsets(kPartition), (std::vector<int64_t>{0, 3, 4}));
}

TEST_F(HeldBatchesTest, PartsABatchWithoutAHole) {
  EXPECT_EQ(held_.Add(BatchOf(0, {2, 3, 4, 7, 8}, 11), 2), 5 * kWeight);

  EXPECT_EQ(SubmitNext(), 2U);
  EXPECT_EQ(held_.next(), Offset{4});
  EXPECT_EQ(SubmitNext(), 2U);
  EXPECT_EQ(held_.next(), Offset{8});
  EXPECT_EQ(SubmitNext(), 1U);
  EXPECT_TRUE(held_.empty());
  EXPECT_EQ(sink_.pending_offsets(kPartition), (std::vector<int64_t>{2, 3, 4, 7, 8}));
}

TEST_F(HeldBatchesTest, DropsAllAtOnce) {
  held_.Add(BatchOf(0, {0, 1, 2}, 3), 1);

  EXPECT_EQ(held_.Clear(), 3 * kWeight);

  EXPECT_TRUE(held_.empty());
  EXPECT_EQ(held_.bytes(), 0U);
  EXPECT_EQ(held_.Clear(), 0U);
}

}  // namespace
}  // namespace drawbridge
