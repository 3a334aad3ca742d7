#include "server/control/survey_controller.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using testing::ElementsAre;
using testing::Pair;

constexpr BridgeId kBridge{1};
constexpr Offset kEarliest{10};
constexpr Offset kLatest{500};

// Surveys of a bridge that starts at the latest record, each with what the server stores of it.
class LearnFromTest : public testing::Test {
 protected:
  LearnFromTest() { bridge_.id = kBridge; }

  using Starts = std::vector<std::pair<PartitionNumber, Offset>>;

  static SurveyedPartition At(PartitionNumber partition) {
    return {.partition = partition,
            .log_start = kEarliest,
            .log_end = kLatest,
            .start = kLatest,
            .is_target_ready = true};
  }
  static SurveyedPartition WithoutLeader(PartitionNumber partition) {
    return {.partition = partition,
            .log_start = std::nullopt,
            .log_end = std::nullopt,
            .start = std::nullopt,
            .is_target_ready = false};
  }
  // What of `topic` is new and where it starts; it is stored.
  Starts Learn(const std::string& topic, std::vector<SurveyedPartition> partitions,
               bool is_complete = false) {
    SurveyResult survey;
    survey.bridge = kBridge;
    survey.is_complete = is_complete;
    survey.topics = {{.topic = topic,
                      .target_topic = topic,
                      .target_partitions = static_cast<int>(partitions.size()),
                      .partitions = std::move(partitions),
                      .retention_ms = std::nullopt}};
    const std::optional<Learnt> learnt = LearnFrom(survey, bridge_, stored_, state_);
    if (!learnt) return {};
    bridge_.is_start_resolved = bridge_.is_start_resolved || learnt->resolves_start;
    Starts starts;
    for (const LearntStream& stream : learnt->streams) {
      Store(stream);
      starts.insert(starts.end(), stream.new_partitions.begin(), stream.new_partitions.end());
    }
    return starts;
  }
  void StartServerAgain() { state_ = {}; }

  StoredBridge bridge_;
  DesiredState stored_;
  SurveyState state_;

 private:
  void Store(const LearntStream& learnt) {
    auto stream = std::ranges::find(stored_.streams, learnt.topic, &StoredStream::topic);
    if (stream == stored_.streams.end()) {
      StoredStream one;
      one.id = {static_cast<int64_t>(stored_.streams.size()) + 1};
      one.bridge = kBridge;
      one.topic = learnt.topic;
      stored_.streams.push_back(one);
      stream = stored_.streams.end() - 1;
    }
    stream->target_topic = learnt.target_topic;
    stream->target_partitions = learnt.target_partitions;
    for (const auto& [partition, start] : learnt.new_partitions) {
      StoredPartition one;
      one.key = {.stream = stream->id, .partition = partition};
      one.checkpoint.next = start;
      stored_.partitions.push_back(one);
    }
  }
};

TEST_F(LearnFromTest, StartsWhatIsThereAtFirstWhereTheBridgeSays) {
  EXPECT_THAT(Learn("audit", {At(0), At(1)}), ElementsAre(Pair(0, kLatest), Pair(1, kLatest)));
  EXPECT_THAT(Learn("audit", {At(0), At(1)}), ElementsAre());
}

TEST_F(LearnFromTest, StartsAPartitionAtItsEarliestRecordThatAppearsAfterACompleteSurvey) {
  Learn("audit", {At(0)}, true);

  EXPECT_THAT(Learn("audit", {At(0), At(1)}, true), ElementsAre(Pair(1, kEarliest)));
}

TEST_F(LearnFromTest, StartsAPartitionAtItsEarliestRecordThatAppearsBeforeASurveyIsComplete) {
  Learn("audit", {At(0)});

  EXPECT_THAT(Learn("audit", {At(0), At(1)}), ElementsAre(Pair(1, kEarliest)));
}

TEST_F(LearnFromTest, StartsATopicAtItsEarliestRecordThatAppearsBeforeASurveyIsComplete) {
  Learn("audit", {At(0)});

  EXPECT_THAT(Learn("audit-2", {At(0)}), ElementsAre(Pair(0, kEarliest)));
}

TEST_F(LearnFromTest, StartsAPartitionWhereTheBridgeSaysThatHadNoLeaderAtFirst) {
  Learn("audit", {At(0), WithoutLeader(1)});

  EXPECT_THAT(Learn("audit", {At(0), At(1), At(2)}),
              ElementsAre(Pair(1, kLatest), Pair(2, kEarliest)));
}

TEST_F(LearnFromTest, LeavesNoRecordOutThatMayHaveComeWhileTheServerWasAway) {
  Learn("audit", {At(0), WithoutLeader(1)});
  StartServerAgain();

  EXPECT_THAT(Learn("audit", {At(0), At(1)}), ElementsAre(Pair(1, kEarliest)));
}

TEST_F(LearnFromTest, WaitsForTheFirstRecordOfAPartitionThatAppearedWithoutALeader) {
  Learn("audit", {At(0)});

  EXPECT_THAT(Learn("audit", {At(0), WithoutLeader(1)}), ElementsAre());
  EXPECT_THAT(Learn("audit", {At(0), At(1)}), ElementsAre(Pair(1, kEarliest)));
}

}  // namespace
}  // namespace drawbridge
