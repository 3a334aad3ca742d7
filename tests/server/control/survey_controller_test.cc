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

class ChooseSurveyorsTest : public testing::Test {
 protected:
  ChooseSurveyorsTest() {
    for (const int64_t id : {1, 2}) {
      bridges_.emplace_back().id = BridgeId{id};
      bridges_.back().spec.placement = {{"cloud", "oci"}};
    }
    for (const char* const name : {"a", "b"}) {
      candidates_.push_back({.name = {name}, .labels = {{"cloud", "oci"}}, .can_take = true});
    }
  }
  std::string SurveyorOf(int64_t bridge) {
    ChooseSurveyors(bridges_, candidates_, surveys_);
    const std::optional<RelayName> surveyor = surveys_[BridgeId{bridge}].surveyor;
    return surveyor ? surveyor->value : "";
  }

  std::vector<StoredBridge> bridges_;
  std::vector<Candidate> candidates_;
  std::map<BridgeId, SurveyState> surveys_;
};

TEST_F(ChooseSurveyorsTest, SpreadsBridgesOverRelays) {
  EXPECT_EQ(SurveyorOf(1), "a");
  EXPECT_EQ(SurveyorOf(2), "b");
}

TEST_F(ChooseSurveyorsTest, KeepsTheOneThatABridgeHas) {
  ASSERT_EQ(SurveyorOf(1), "a");
  std::swap(candidates_[0], candidates_[1]);
  EXPECT_EQ(SurveyorOf(1), "a");
}

TEST_F(ChooseSurveyorsTest, ChoosesAnotherForOneThatIsNotConnected) {
  ASSERT_EQ(SurveyorOf(1), "a");
  candidates_[0].can_take = false;
  EXPECT_EQ(SurveyorOf(1), "b");
}

TEST_F(ChooseSurveyorsTest, ChoosesNobodyWhoMayNotRunTheBridge) {
  for (Candidate& candidate : candidates_) candidate.labels = {{"cloud", "aws"}};
  EXPECT_EQ(SurveyorOf(1), "");
}

class SurveyStateTest : public testing::Test {
 protected:
  SurveyStateTest() {
    survey_.bridge = kBridge;
    survey_.generation = 2;
    survey_.is_complete = true;
    survey_.topics.emplace_back().topic = "audit";
  }

  SurveyResult survey_;
  SurveyState state_;
};

TEST_F(SurveyStateTest, KeepsTheTopicsOfTheLastCompleteSurvey) {
  state_.Take(survey_, std::nullopt, BootTime{}, WallTime{});
  survey_.is_complete = false;
  survey_.topics.clear();

  state_.Take(survey_, std::nullopt, BootTime{}, WallTime{});

  EXPECT_EQ(state_.topics, std::set<std::string>{"audit"});
}

TEST_F(SurveyStateTest, TakesNothingOfAnotherClusterForTheBridges) {
  Condition change;
  change.reason = Reason::kSourceChanged;
  change.blocks = true;

  state_.Take(survey_, change, BootTime{}, WallTime{});

  EXPECT_EQ(state_.topics, std::nullopt);
  EXPECT_TRUE(state_.Stops("audit"));

  state_.Take(survey_, std::nullopt, BootTime{}, WallTime{});
  EXPECT_FALSE(state_.Stops("audit"));
}

}  // namespace
}  // namespace drawbridge
