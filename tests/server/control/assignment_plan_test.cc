#include "server/control/assignment_plan.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

// A relay that has one partition of one topic.
class AssignmentPlanTest : public testing::Test {
 protected:
  AssignmentPlanTest() {
    for (const char* name : {"oci", "aws"}) {
      stored_.endpoints.emplace_back().spec.name = name;
    }
    StoredBridge bridge;
    bridge.id = kBridge;
    bridge.spec.source.endpoint = "oci";
    bridge.spec.target.endpoint = "aws";
    stored_.bridges.push_back(bridge);
    StoredStream stream;
    stream.id = kKey.stream;
    stream.bridge = kBridge;
    stream.topic = "audit";
    stored_.streams.push_back(stream);
    StoredPartition partition;
    partition.key = kKey;
    partition.owner = kRelay;
    stored_.partitions.push_back(partition);
  }

  bool IsPaused() const {
    const Assignments all = AssignmentsFor(kRelay, stored_, {{kKey, kRelay}}, surveys_);
    return all.bridges.at(0).streams.at(0).is_paused;
  }
  void Find(const std::string& topic, bool blocks) {
    Condition& found = surveys_[kBridge].conditions.emplace_back();
    found.topic = topic;
    found.blocks = blocks;
  }

  static constexpr BridgeId kBridge{1};
  static constexpr PartitionKey kKey{.stream = StreamId{1}, .partition = 0};
  const RelayName kRelay{"relay"};
  DesiredState stored_;
  std::map<BridgeId, SurveyState> surveys_;
};

TEST_F(AssignmentPlanTest, LetsAStreamRunWhateverASurveyCannotReach) {
  EXPECT_FALSE(IsPaused()) << "before the first";
  Find("", true);
  Find("audit", false);
  Find("another", true);

  EXPECT_FALSE(IsPaused());
}

TEST_F(AssignmentPlanTest, StopsAStreamWhoseTopicWouldBreakAPromise) {
  Find("audit", true);
  EXPECT_TRUE(IsPaused());
}

TEST_F(AssignmentPlanTest, StopsAStreamThatIsPausedOrWhoseBridgeIs) {
  stored_.streams[0].is_paused = true;
  EXPECT_TRUE(IsPaused());

  stored_.streams[0].is_paused = false;
  stored_.bridges[0].is_paused = true;
  EXPECT_TRUE(IsPaused());
}

TEST_F(AssignmentPlanTest, StopsABridgeWhereAnotherClusterAnswers) {
  surveys_[kBridge].is_blocked = true;
  EXPECT_TRUE(IsPaused());
}

}  // namespace
}  // namespace drawbridge
