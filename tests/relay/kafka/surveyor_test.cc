#include "relay/kafka/surveyor.h"

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/mock_kafka.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The mock clusters have neither administration nor authorization, and make each topic that is
// asked for: what real ones answer is tried against real ones.
class KafkaSurveyorTest : public testing::Test {
 protected:
  KafkaSurveyorTest() {
    bridge_.bridge = {7};
    bridge_.generation = 3;
    bridge_.spec.source.topics = {"audit"};
    bridge_.spec.target.topic = "copy.{topic}";
    source_.CreateTopic("audit", 2);
    target_.CreateTopic("copy.audit", 2);
  }

  static KafkaCluster Named(const MockKafka& kafka, const std::string& key,
                            Profile profile = Profile::kKafka) {
    KafkaCluster cluster = kafka.cluster(profile);
    cluster.endpoint.name = key;
    cluster.endpoint.kafka().cluster_key = key;
    return cluster;
  }
  SurveyResult Look() {
    if (!surveyor_) {
      surveyor_ =
          *KafkaSurveyor::Open(bridge_, Named(source_, source_key_),
                               Named(target_, "aws", target_profile_), reaper_, Clock::System());
    }
    return surveyor_->Look(stop_.get_token());
  }
  static std::vector<std::string> Names(const SurveyResult& result) {
    std::vector<std::string> names;
    for (const SurveyedTopic& topic : result.topics) names.push_back(topic.topic);
    return names;
  }

  MockKafka source_;
  MockKafka target_;
  Reaper reaper_;
  std::string source_key_ = "oci";
  Profile target_profile_ = Profile::kKafka;
  BridgeAssignment bridge_;
  std::stop_source stop_;
  std::unique_ptr<KafkaSurveyor> surveyor_;
};

TEST_F(KafkaSurveyorTest, SeesTopicsAndTheEndsOfTheirLogs) {
  source_.CreateTopic("other", 1);
  source_.Write("audit", 1, {{.value = "a"}, {.value = "b"}});

  const SurveyResult result = Look();

  EXPECT_EQ(result.bridge, BridgeId{7});
  EXPECT_EQ(result.generation, 3);
  EXPECT_EQ(result.source_cluster_id, "oci");
  EXPECT_EQ(result.target_cluster_id, "aws");
  EXPECT_TRUE(result.is_complete);
  EXPECT_THAT(result.conditions, IsEmpty());
  ASSERT_THAT(Names(result), ElementsAre("audit"));
  const SurveyedTopic& audit = result.topics[0];
  EXPECT_EQ(audit.target_topic, "copy.audit");
  EXPECT_EQ(audit.target_partitions, 2);
  ASSERT_EQ(audit.partitions.size(), 2);
  EXPECT_EQ(audit.partitions[1].log_start, Offset{0});
  EXPECT_EQ(audit.partitions[1].log_end, Offset{2});
  EXPECT_EQ(audit.partitions[1].start, Offset{0});
  EXPECT_TRUE(audit.partitions[1].is_target_ready);
}

TEST_F(KafkaSurveyorTest, StartsAtTheEndWhereTheBridgeSaysSo) {
  bridge_.spec.source.start.kind = Start::Kind::kLatest;
  source_.Write("audit", 0, {{.value = "a"}});

  const SurveyResult result = Look();

  EXPECT_EQ(result.topics[0].partitions[0].start, Offset{1});
  EXPECT_EQ(result.topics[0].partitions[1].start, Offset{0});
}

TEST_F(KafkaSurveyorTest, StartsAtTheEndWhereNothingIsAsYoung) {
  bridge_.spec.source.start = {Start::Kind::kTime, FromMicros(4'000'000'000'000'000)};
  source_.Write("audit", 0, {{.value = "a"}});

  const SurveyResult result = Look();

  EXPECT_EQ(result.topics[0].partitions[0].start, Offset{1});
}

TEST_F(KafkaSurveyorTest, FollowsNewTopics) {
  bridge_.spec.source.topics = {"/vcn-.*/"};
  EXPECT_THAT(Names(Look()), IsEmpty());

  source_.CreateTopic("vcn-flow", 1);

  EXPECT_THAT(Names(Look()), ElementsAre("vcn-flow"));
}

TEST_F(KafkaSurveyorTest, SaysThatAPatternMatchesNothing) {
  bridge_.spec.source.topics = {"/vcn-.*/"};

  const SurveyResult result = Look();

  ASSERT_EQ(result.conditions.size(), 1);
  EXPECT_EQ(result.conditions[0].reason, Reason::kTopicNotFound);
  EXPECT_FALSE(result.conditions[0].blocks);
  EXPECT_TRUE(result.is_complete);
}

TEST_F(KafkaSurveyorTest, NamesATopicThatIsNotThere) {
  bridge_.spec.source.topics = {"audit", "nope"};
  source_.SetTopicError("nope", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);

  const SurveyResult result = Look();

  ASSERT_EQ(result.conditions.size(), 1);
  EXPECT_EQ(result.conditions[0].reason, Reason::kTopicNotFound);
  EXPECT_EQ(result.conditions[0].topic, "nope");
  EXPECT_TRUE(result.conditions[0].blocks);
  EXPECT_THAT(Names(result), ElementsAre("audit"));
  EXPECT_TRUE(result.is_complete);
}

TEST_F(KafkaSurveyorTest, LeavesOutWhatAnotherBridgeBroughtFromTheTarget) {
  bridge_.spec.source.topics = {"/.*/"};
  bridge_.reverse_flows = {{{"/.*/"}, "from-aws.{topic}"}};
  source_.CreateTopic("from-aws.orders", 1);

  EXPECT_THAT(Names(Look()), ElementsAre("audit"));
}

TEST_F(KafkaSurveyorTest, DoesNotFeedOnItsOwnTopicsWithinOneCluster) {
  source_key_ = "aws";
  bridge_.spec.source.topics = {"/.*/"};
  source_.CreateTopic("copy.audit", 2);

  EXPECT_THAT(Names(Look()), ElementsAre("audit"));
}

TEST_F(KafkaSurveyorTest, RefusesToWriteTopicsBehindThemselves) {
  source_key_ = "aws";
  bridge_.spec.target.topic = "{topic}";

  const SurveyResult result = Look();

  ASSERT_EQ(result.conditions.size(), 1);
  EXPECT_EQ(result.conditions[0].reason, Reason::kBridgeOntoItself);
  EXPECT_TRUE(result.conditions[0].blocks);
  EXPECT_THAT(result.topics, IsEmpty());
  EXPECT_FALSE(result.is_complete);
}

TEST_F(KafkaSurveyorTest, LetsRunWhatHasAPartitionAtTheTarget) {
  source_.CreateTopic("wide", 3);
  target_.CreateTopic("copy.wide", 1);
  bridge_.spec.source.topics = {"wide"};
  target_profile_ = Profile::kOciStreaming;  // adds no partitions

  const SurveyResult result = Look();

  ASSERT_EQ(result.conditions.size(), 1);
  EXPECT_EQ(result.conditions[0].reason, Reason::kTargetPartitionsMissing);
  EXPECT_THAT(result.conditions[0].text, HasSubstr("has 1 partitions and needs 3"));
  EXPECT_FALSE(result.conditions[0].blocks);
  EXPECT_EQ(result.topics[0].target_partitions, 1);
  EXPECT_TRUE(result.topics[0].partitions[0].is_target_ready);
  EXPECT_FALSE(result.topics[0].partitions[1].is_target_ready);
}

TEST_F(KafkaSurveyorTest, LeavesUnknownWhatNobodyAnswersFor) {
  source_.SetLeader("audit", 0, -1);

  const SurveyResult result = Look();

  EXPECT_EQ(result.topics[0].partitions[0].log_end, std::nullopt);
  EXPECT_EQ(result.topics[0].partitions[0].start, std::nullopt);
  EXPECT_EQ(result.topics[0].partitions[1].log_end, Offset{0});
  ASSERT_EQ(result.conditions.size(), 1);
  EXPECT_EQ(result.conditions[0].reason, Reason::kUnreachable);
  EXPECT_THAT(result.conditions[0].text, HasSubstr("partitions 0"));
  EXPECT_FALSE(result.conditions[0].blocks);
}

TEST_F(KafkaSurveyorTest, SeesTheSourceWhileTheTargetIsAway) {
  EXPECT_TRUE(Look().is_complete);
  target_.SetDown();

  const SurveyResult result = Look();

  ASSERT_EQ(result.conditions.size(), 1);
  EXPECT_EQ(result.conditions[0].side, Side::kTarget);
  EXPECT_EQ(result.conditions[0].reason, Reason::kUnreachable);
  EXPECT_TRUE(result.conditions[0].blocks);
  EXPECT_FALSE(result.is_complete);
  EXPECT_THAT(Names(result), ElementsAre("audit"));
  EXPECT_EQ(result.topics[0].partitions[0].log_end, Offset{0});
  EXPECT_TRUE(result.topics[0].partitions[0].is_target_ready);

  target_.SetUp();
  EXPECT_TRUE(Look().is_complete);
}

TEST_F(KafkaSurveyorTest, EndsSoonWhenItIsStopped) {
  source_.SetDown();
  target_.SetDown();
  const BootTime begin = Clock::System().Now();
  stop_.request_stop();

  const SurveyResult result = Look();

  EXPECT_LT(Clock::System().Now() - begin, 2s);
  EXPECT_FALSE(result.is_complete);
  EXPECT_THAT(result.conditions, IsEmpty());
}

TEST_F(KafkaSurveyorTest, OpensNothingForATemplateThatMakesNoTopic) {
  bridge_.spec.target.topic = "no good";

  const auto surveyor = KafkaSurveyor::Open(bridge_, Named(source_, "oci"), Named(target_, "aws"),
                                            reaper_, Clock::System());

  EXPECT_EQ(surveyor.status().field(), "target.topic");
}

// --- The right clusters -------------------------------------------------------------------------

TEST_F(KafkaSurveyorTest, MakesNothingInAnotherClusterAndSaysWhichOneAnswers) {
  bridge_.source_cluster_id = "oci";
  bridge_.target_cluster_id = "aws-before";
  bridge_.spec.target.topic = "made.{topic}";

  const SurveyResult result = Look();

  EXPECT_EQ(result.target_cluster_id, "aws") << "it is for the server to tell";
  EXPECT_FALSE(result.is_complete);
  EXPECT_THAT(result.topics, IsEmpty());
  EXPECT_FALSE(target_.HasTopic("made.audit"));
}

TEST_F(KafkaSurveyorTest, TakesNothingFromAnotherSource) {
  bridge_.source_cluster_id = "oci-before";
  bridge_.target_cluster_id = "aws";
  bridge_.spec.target.topic = "made.{topic}";

  const SurveyResult result = Look();

  EXPECT_EQ(result.source_cluster_id, "oci");
  EXPECT_THAT(result.topics, IsEmpty());
  EXPECT_FALSE(target_.HasTopic("made.audit"));
}

TEST_F(KafkaSurveyorTest, GoesOnWhereTheClustersAreThoseOfBefore) {
  bridge_.source_cluster_id = "oci";
  bridge_.target_cluster_id = "aws";

  EXPECT_THAT(Names(Look()), ElementsAre("audit"));
}

}  // namespace
}  // namespace drawbridge
