#include "relay/kafka/cluster_view.h"

#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using testing::ElementsAre;

// A topic as a cluster's answer lists it.
class TopicViewTest : public testing::Test {
 protected:
  // Partitions by number, each led by the broker of ten times that and one.
  TopicView ViewOfPartitions(const std::vector<int32_t>& numbers) {
    for (const int32_t number : numbers) {
      rd_kafka_metadata_partition_t& partition = partitions_.emplace_back();
      partition.id = number;
      partition.leader = number < 100 ? 10 * number + 1 : 7;
    }
    rd_kafka_metadata_topic_t topic{};
    topic.partitions = partitions_.data();
    topic.partition_cnt = static_cast<int>(partitions_.size());
    return ViewOf(topic);
  }

 private:
  std::vector<rd_kafka_metadata_partition_t> partitions_;
};

TEST_F(TopicViewTest, HasTheLeaderOfEachPartitionInWhateverOrderTheyCome) {
  EXPECT_THAT(ViewOfPartitions({2, 0, 1}).leaders, ElementsAre(1, 11, 21));
}

TEST_F(TopicViewTest, TakesNoMoreRoomThanThereArePartitionsWhateverTheirNumbers) {
  EXPECT_THAT(ViewOfPartitions({0, std::numeric_limits<int32_t>::max(), -1}).leaders,
              ElementsAre(1, -1, -1));
}

}  // namespace
}  // namespace drawbridge
