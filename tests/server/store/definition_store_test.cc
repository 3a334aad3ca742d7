#include "server/store/definition_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class DefinitionStoreTest : public StoreTest {
 protected:
  // A bridge with a stream of which partition 0 has come to 150 in the hands of fra-1.
  void RunBridge() {
    const StreamId stream = LearnStream(DefineBridge(), "audit", {100, 100});
    Enrol("fra-1");
    const Grant grant = GrantTo("fra-1", {.stream = stream, .partition = 0});
    CommitItem item;
    item.key = grant.key;
    item.token = grant.token;
    item.base = {100};
    item.to = {.next = {150}, .anchor = Anchor{.offset = {149}, .timestamp_ms = 5, .hash = 7}};
    EXPECT_EQ(Name(Commit("fra-1", {item}).front().outcome), "STORED");
  }
};

TEST_F(DefinitionStoreTest, GivesBackWhatWasDefined) {
  EndpointSpec endpoint = Endpoint("oci");
  endpoint.kafka().profile = Profile::kOciStreaming;
  endpoint.kafka().source_retention = std::chrono::hours(24);
  BridgeSpec bridge = Bridge("logs");
  bridge.placement = {{"cloud", "oci"}};
  ASSERT_EQ(WhyNot(Apply({PutEndpoint{endpoint}, PutEndpoint{Endpoint("aws")}, PutBridge{bridge}})),
            "OK");

  Restart();

  const DesiredState state = State();
  ASSERT_THAT(state.endpoints, SizeIs(2));
  EXPECT_EQ(state.endpoints[0].spec, Endpoint("aws"));
  EXPECT_EQ(state.endpoints[1].spec, endpoint);
  EXPECT_EQ(state.endpoints[1].generation, 1);
  EXPECT_EQ(BridgeNamed("logs").spec, bridge);
  EXPECT_EQ(BridgeNamed("logs").generation, 1);
  EXPECT_FALSE(BridgeNamed("logs").is_paused);
  EXPECT_EQ(state.revision, 1);
}

TEST_F(DefinitionStoreTest, AppliesAllStepsOrNone) {
  EXPECT_EQ(WhyNot(Apply({PutEndpoint{Endpoint("oci")}, PutEndpoint{Endpoint("aws")},
                          DeleteBridge{"nothing"}})),
            "NOT_FOUND");
  EXPECT_FALSE(Apply({PutEndpoint{Endpoint("oci")}, PutBridge{Bridge("logs")}}).ok())
      << "its target is not there";

  const DesiredState state = State();
  EXPECT_THAT(state.endpoints, IsEmpty());
  EXPECT_THAT(state.bridges, IsEmpty());
  EXPECT_EQ(state.revision, 0);
  EXPECT_EQ(Number("SELECT count(*) FROM audit"), 0);
  EXPECT_EQ(Number("SELECT count(*) FROM requests"), 0);
}

TEST_F(DefinitionStoreTest, RefusesWhatWasDecidedOnAnOldState) {
  const int64_t decided_at = State().revision;
  DefineBridge();

  const auto late = definitions().Apply({DeleteBridge{"logs"}}, decided_at, Request("request-1"));

  EXPECT_EQ(late.status().code(), StatusCode::kAborted);
  EXPECT_EQ(BridgeNamed("logs").spec, Bridge("logs"));
  EXPECT_TRUE(
      definitions().Apply({DeleteBridge{"logs"}}, State().revision, Request("request-1")).ok())
      << "what was refused may be tried again under the same request_id";
}

TEST_F(DefinitionStoreTest, CountsGenerationsAndKeepsEveryRevisionOfABridge) {
  DefineBridge();
  BridgeSpec changed = Bridge("logs");
  changed.lanes = 4;
  ASSERT_EQ(WhyNot(Apply({PutBridge{changed}, PutEndpoint{Endpoint("oci")}})), "OK");
  ASSERT_EQ(WhyNot(Apply({DeleteBridge{"logs"}})), "OK");

  EXPECT_EQ(Number("SELECT count(*) FROM bridge_revisions WHERE bridge_id = 1"), 2);
  EXPECT_THAT(Text("SELECT spec FROM bridge_revisions WHERE generation = 1"),
              HasSubstr("\"lanes\":1"));
  EXPECT_THAT(Text("SELECT spec FROM bridge_revisions WHERE generation = 2"),
              HasSubstr("\"lanes\":4"));
  EXPECT_EQ(Text("SELECT actor FROM bridge_revisions WHERE generation = 2"), "alice");
  EXPECT_EQ(State().endpoints[1].generation, 2);
}

TEST_F(DefinitionStoreTest, DeletesNoEndpointThatABridgeNames) {
  DefineBridge();

  const Status source = Apply({DeleteEndpoint{"oci"}});
  EXPECT_EQ(WhyNot(source), "IN_USE");
  EXPECT_THAT(source.message(), HasSubstr("endpoint oci"));
  EXPECT_EQ(WhyNot(Apply({DeleteEndpoint{"aws"}})), "IN_USE");

  EXPECT_EQ(WhyNot(Apply({DeleteBridge{"logs"}, DeleteEndpoint{"oci"}, DeleteEndpoint{"aws"}})),
            "OK");
  EXPECT_EQ(WhyNot(Apply({DeleteEndpoint{"aws"}})), "NOT_FOUND");
}

// No late word about the old bridge can then be taken for one about the new.
TEST_F(DefinitionStoreTest, GivesABridgeThatIsMadeAgainNewIdsAndAFreshStart) {
  RunBridge();
  const BridgeId old_bridge = BridgeNamed("logs").id;
  const StreamId old_stream = StreamNamed("audit").id;

  ASSERT_EQ(WhyNot(Apply({DeleteBridge{"logs"}})), "OK");
  EXPECT_THAT(State().streams, IsEmpty());
  EXPECT_THAT(State().partitions, IsEmpty());
  Restart();
  ASSERT_EQ(WhyNot(Apply({PutBridge{Bridge("logs")}})), "OK");
  LearnStream(BridgeNamed("logs").id, "audit", {0});

  EXPECT_GT(BridgeNamed("logs").id, old_bridge);
  EXPECT_GT(StreamNamed("audit").id, old_stream);
  EXPECT_EQ(BridgeNamed("logs").generation, 1);
  EXPECT_EQ(State().partitions.front().checkpoint, Checkpoint{});
}

TEST_F(DefinitionStoreTest, KeepsCheckpointsWhenTheMappingChanges) {
  RunBridge();
  const std::vector<StoredPartition> before = State().partitions;
  BridgeSpec renamed = Bridge("logs");
  renamed.target.topic = "oci.{topic}";

  ASSERT_EQ(WhyNot(Apply({PutBridge{renamed}})), "OK");

  const std::vector<StoredPartition> after = State().partitions;
  ASSERT_EQ(after.size(), before.size());
  EXPECT_EQ(after[0].checkpoint, before[0].checkpoint);
  EXPECT_EQ(after[0].token, before[0].token);
  EXPECT_EQ(after[0].owner, before[0].owner);
  EXPECT_EQ(StreamNamed("audit").target_topic, "oci.audit");
  EXPECT_EQ(StreamNamed("audit").target_partitions, 0) << "the next survey says what is there";
}

TEST_F(DefinitionStoreTest, KeepsTheCheckpointsOfAStreamThatIsNotSelectedForAWhile) {
  RunBridge();
  const std::vector<StoredPartition> before = State().partitions;
  BridgeSpec narrowed = Bridge("logs");
  narrowed.source.topics = {"waf"};

  ASSERT_EQ(WhyNot(Apply({PutBridge{narrowed}})), "OK");

  EXPECT_FALSE(StreamNamed("audit").is_selected);
  ASSERT_EQ(State().partitions.size(), before.size());
  EXPECT_EQ(State().partitions[0].checkpoint, before[0].checkpoint);
  EXPECT_NE(StreamNamed("audit").target_partitions, 0) << "the target has not changed";

  ASSERT_EQ(WhyNot(Apply({PutBridge{Bridge("logs")}})), "OK");

  EXPECT_TRUE(StreamNamed("audit").is_selected);
  EXPECT_EQ(State().partitions[0].checkpoint, before[0].checkpoint);
}

TEST_F(DefinitionStoreTest, LeavesStreamsAloneThatAChangeDoesNotConcern) {
  RunBridge();
  BridgeSpec changed = Bridge("logs");
  changed.lanes = 2;
  changed.target.compression = Compression::kZstd;

  ASSERT_EQ(WhyNot(Apply({PutBridge{changed}})), "OK");

  EXPECT_EQ(StreamNamed("audit").target_topic, "audit");
  EXPECT_EQ(StreamNamed("audit").target_partitions, 2);
  EXPECT_TRUE(BridgeNamed("logs").is_start_resolved);
}

TEST_F(DefinitionStoreTest, ForgetsTheTargetsClusterWithTheTarget) {
  const BridgeId bridge = DefineBridge();
  ASSERT_TRUE(streams()
                  .Learn({.bridge = bridge,
                          .source_cluster_id = "cluster-oci",
                          .target_cluster_id = "cluster-aws",
                          .resolves_start = false,
                          .streams = {}})
                  .ok());
  ASSERT_EQ(WhyNot(Apply({PutBridge{Bridge("logs")}})), "OK");
  ASSERT_EQ(BridgeNamed("logs").target_cluster_id, "cluster-aws") << "the target is the same";
  BridgeSpec moved = Bridge("logs");
  moved.target.endpoint = "gcp";

  ASSERT_EQ(WhyNot(Apply({PutEndpoint{Endpoint("gcp")}, PutBridge{moved}})), "OK");

  EXPECT_EQ(BridgeNamed("logs").target_cluster_id, "");
  EXPECT_EQ(BridgeNamed("logs").source_cluster_id, "cluster-oci");
  EXPECT_EQ(WhyNot(Apply({DeleteEndpoint{"aws"}})), "OK") << "nothing names it any more";
  EXPECT_EQ(WhyNot(Apply({DeleteEndpoint{"gcp"}})), "IN_USE");
}

// A partition is granted only where its target partition exists, and what the old target has says
// nothing of the new one.
TEST_F(DefinitionStoreTest, TakesNoTopicForReadyAtANewTarget) {
  RunBridge();
  BridgeSpec moved = Bridge("logs");
  moved.target.endpoint = "gcp";

  ASSERT_EQ(WhyNot(Apply({PutEndpoint{Endpoint("gcp")}, PutBridge{moved}})), "OK");

  EXPECT_EQ(StreamNamed("audit").target_topic, "audit");
  EXPECT_EQ(StreamNamed("audit").target_partitions, 0);
  EXPECT_EQ(State().partitions[0].checkpoint.next, Offset{150});
}

TEST_F(DefinitionStoreTest, FindsTheResponseOfTheFirstCall) {
  EXPECT_EQ(*definitions().FindResponse(Request("request-1")), std::nullopt);
  ASSERT_TRUE(definitions().Apply({PutEndpoint{Endpoint("oci")}}, 0, Request("request-1")).ok());

  EXPECT_EQ(*definitions().FindResponse(Request("request-1")), "response to request-1");
  EXPECT_EQ(WhyNot(definitions().FindResponse(Request("request-1", "another body"))),
            "REQUEST_ID_REUSED");
}

TEST_F(DefinitionStoreTest, PausesABridgeAndResumesIt) {
  DefineBridge();
  const int64_t before = State().revision;

  ASSERT_EQ(WhyNot(definitions().SetBridgePaused("logs", true, Request())), "OK");
  EXPECT_TRUE(BridgeNamed("logs").is_paused);
  ASSERT_EQ(WhyNot(Apply({PutBridge{Bridge("logs")}})), "OK");
  EXPECT_TRUE(BridgeNamed("logs").is_paused) << "a new definition does not resume it";
  ASSERT_EQ(WhyNot(definitions().SetBridgePaused("logs", false, Request())), "OK");

  EXPECT_FALSE(BridgeNamed("logs").is_paused);
  EXPECT_EQ(State().revision, before + 3);
  EXPECT_EQ(WhyNot(definitions().SetBridgePaused("nothing", true, Request())), "NOT_FOUND");
}

}  // namespace
}  // namespace drawbridge
