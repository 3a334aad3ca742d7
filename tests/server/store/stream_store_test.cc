#include "server/store/stream_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class StreamStoreTest : public StoreTest {
 protected:
  StreamStoreTest() : bridge_(DefineBridge()) {}

  Learnt Survey(std::vector<LearntStream> streams = {}) const {
    return {.bridge = bridge_,
            .source_cluster_id = "",
            .target_cluster_id = "",
            .resolves_start = false,
            .streams = std::move(streams)};
  }
  static LearntStream Found(const std::string& topic, int target_partitions,
                            std::vector<std::pair<PartitionNumber, Offset>> new_partitions) {
    return {.topic = topic,
            .target_topic = topic,
            .target_partitions = target_partitions,
            .new_partitions = std::move(new_partitions)};
  }
  // Moves a partition's checkpoint, over gaps and filtered ranges.
  void CommitTo(PartitionKey key, int64_t next, std::vector<Gap> gaps,
                std::vector<FilteredRange> filtered = {}) {
    const Grant grant = GrantTo("fra-1", key);
    CommitItem item;
    item.key = key;
    item.token = grant.token;
    item.base = grant.start;
    item.to.next = {next};
    item.gaps = std::move(gaps);
    item.filtered = std::move(filtered);
    ASSERT_EQ(Name(Commit("fra-1", {item}).front().outcome), "STORED");
  }

  const BridgeId bridge_;
};

TEST_F(StreamStoreTest, MakesStreamsAndPartitionsOfASurvey) {
  const int64_t before = State().revision;

  ASSERT_EQ(WhyNot(streams().Learn(Survey({Found("audit", 2, {{0, Offset{100}}, {1, Offset{0}}}),
                                           Found("waf", 0, {{0, Offset{7}}})}))),
            "OK");

  const DesiredState state = State();
  ASSERT_THAT(state.streams, SizeIs(2));
  EXPECT_EQ(state.streams[0].bridge, bridge_);
  EXPECT_EQ(state.streams[0].target_partitions, 2);
  EXPECT_EQ(state.streams[0].source_epoch, 1);
  EXPECT_EQ(state.streams[1].target_partitions, 0);
  ASSERT_THAT(state.partitions, SizeIs(3));
  EXPECT_EQ(state.partitions[0].checkpoint.next, Offset{100});
  EXPECT_EQ(state.partitions[0].token, (FencingToken{.incarnation = 1, .epoch = 0}));
  EXPECT_EQ(state.partitions[0].owner, std::nullopt) << "nobody may commit before it is granted";
  EXPECT_EQ(state.partitions[2].checkpoint.next, Offset{7});
  EXPECT_EQ(state.revision, before + 1);
}

// "Latest" asked for again after a crash would lose what came between.
TEST_F(StreamStoreTest, NeverMovesACheckpointByALaterSurvey) {
  ASSERT_TRUE(streams().Learn(Survey({Found("audit", 1, {{0, Offset{100}}})})).ok());
  const auto before = State().partitions;

  ASSERT_TRUE(
      streams().Learn(Survey({Found("audit", 2, {{0, Offset{900}}, {1, Offset{5}}})})).ok());

  const auto after = State().partitions;
  ASSERT_THAT(after, SizeIs(2));
  EXPECT_EQ(after[0].checkpoint, before[0].checkpoint);
  EXPECT_EQ(after[0].token, before[0].token);
  EXPECT_EQ(after[1].checkpoint.next, Offset{5}) << "the topic has grown";
}

TEST_F(StreamStoreTest, LeavesAPartitionWithItsOwnerAndPosition) {
  const StreamId stream = LearnStream(bridge_, "audit", {100});
  Enrol("fra-1");
  CommitTo({.stream = stream, .partition = 0}, 150, {});
  const StoredPartition before = State().partitions.front();

  LearnStream(bridge_, "audit", {100, 0});

  const StoredPartition after = State().partitions.front();
  EXPECT_EQ(after.checkpoint, before.checkpoint);
  EXPECT_EQ(after.token, before.token);
  EXPECT_EQ(after.owner, before.owner);
}

TEST_F(StreamStoreTest, ResolvesTheStartOnce) {
  Learnt resolving = Survey();
  resolving.resolves_start = true;
  EXPECT_FALSE(BridgeNamed("logs").is_start_resolved);

  ASSERT_TRUE(streams().Learn(resolving).ok());
  ASSERT_TRUE(streams().Learn(Survey()).ok());

  EXPECT_TRUE(BridgeNamed("logs").is_start_resolved) << "for ever";
}

TEST_F(StreamStoreTest, KeepsTheClustersThatItSawFirst) {
  Learnt survey = Survey();
  survey.source_cluster_id = "cluster-a";
  ASSERT_TRUE(streams().Learn(survey).ok());
  EXPECT_EQ(BridgeNamed("logs").target_cluster_id, "") << "not seen yet";

  survey.source_cluster_id = "cluster-x";
  survey.target_cluster_id = "cluster-b";
  ASSERT_TRUE(streams().Learn(survey).ok());
  ASSERT_TRUE(streams().Learn(Survey()).ok());

  EXPECT_EQ(BridgeNamed("logs").source_cluster_id, "cluster-a");
  EXPECT_EQ(BridgeNamed("logs").target_cluster_id, "cluster-b");
  EXPECT_EQ(State().endpoints[0].cluster_id, "cluster-b");
  EXPECT_EQ(State().endpoints[1].cluster_id, "cluster-a");
}

TEST_F(StreamStoreTest, LeavesOtherEndpointsAndBridgesAlone) {
  ASSERT_EQ(WhyNot(Apply({PutEndpoint{Endpoint("gcp")}, PutBridge{Bridge("other")}})), "OK");
  Learnt survey = Survey();
  survey.source_cluster_id = "cluster-a";
  survey.resolves_start = true;

  ASSERT_TRUE(streams().Learn(survey).ok());

  EXPECT_EQ(State().endpoints[1].spec.name, "gcp");
  EXPECT_EQ(State().endpoints[1].cluster_id, "");
  EXPECT_EQ(BridgeNamed("other").source_cluster_id, "");
  EXPECT_FALSE(BridgeNamed("other").is_start_resolved);
}

TEST_F(StreamStoreTest, LearnsWhatTheTargetHas) {
  const StreamId stream = LearnStream(bridge_, "audit", {0, 0});

  ASSERT_TRUE(streams().Learn(Survey({Found("audit", 6, {})})).ok());
  EXPECT_EQ(StreamNamed("audit").target_partitions, 6);
  ASSERT_TRUE(streams().Learn(Survey({Found("audit", 0, {})})).ok());

  EXPECT_EQ(StreamNamed("audit").target_partitions, 0) << "the topic was deleted";
  EXPECT_EQ(StreamNamed("audit").id, stream);
}

TEST_F(StreamStoreTest, ForgetsASurveyOfABridgeThatWasDeleted) {
  ASSERT_EQ(WhyNot(Apply({DeleteBridge{"logs"}})), "OK");
  const int64_t before = State().revision;

  EXPECT_EQ(WhyNot(streams().Learn(Survey({Found("audit", 1, {{0, Offset{0}}})}))), "OK");

  EXPECT_THAT(State().streams, IsEmpty());
  EXPECT_THAT(State().partitions, IsEmpty());
  EXPECT_EQ(State().revision, before);
}

TEST_F(StreamStoreTest, StartsPartitionsInThePresentIncarnation) {
  ASSERT_EQ(*checkpoints().BumpIncarnation("restored", 5), 5);

  LearnStream(bridge_, "audit", {0});

  EXPECT_EQ(State().partitions.front().token.incarnation, 5);
}

TEST_F(StreamStoreTest, PausesAStreamAndResumesIt) {
  const StreamId stream = LearnStream(bridge_, "audit", {0});

  ASSERT_EQ(WhyNot(streams().SetPaused(stream, "audit", true, Request())), "OK");
  ASSERT_TRUE(streams().Learn(Survey({Found("audit", 1, {})})).ok());
  EXPECT_TRUE(StreamNamed("audit").is_paused) << "a survey does not resume it";
  ASSERT_EQ(WhyNot(streams().SetPaused(stream, "audit", false, Request())), "OK");

  EXPECT_FALSE(StreamNamed("audit").is_paused);
}

TEST_F(StreamStoreTest, PausesNoStreamThatIsNotThere) {
  const int64_t before = State().revision;

  EXPECT_EQ(WhyNot(streams().SetPaused({77}, "audit", true, Request())), "NOT_FOUND");

  EXPECT_EQ(State().revision, before);
}

// --- Gaps and filtered ranges
// ---------------------------------------------------------------------

class PassedRangesTest : public StreamStoreTest {
 protected:
  PassedRangesTest() {
    Enrol("fra-1");
    audit_ = LearnStream(bridge_, "audit", {0, 0});
    waf_ = LearnStream(bridge_, "waf", {0});
    CommitTo({.stream = audit_, .partition = 0}, 50,
             {{.range = {{10}, {30}}, .cause = GapCause::kRetention}},
             {{.range = {{30}, {40}}, .records = 6}});
    clock_.Advance(std::chrono::seconds(1));
    CommitTo({.stream = audit_, .partition = 1}, 50,
             {{.range = {{0}, {5}}, .cause = GapCause::kSkipped},
              {.range = {{20}, {21}}, .cause = GapCause::kRetention}});
    clock_.Advance(std::chrono::seconds(1));
    CommitTo({.stream = waf_, .partition = 0}, 50, {{.range = {{1}, {2}}, .cause = {}}});
  }

  StreamId audit_;
  StreamId waf_;
};

TEST_F(PassedRangesTest, TellsEachGapWithItsRangeCauseAndTime) {
  const auto gaps = streams().Gaps("logs", "audit", 0, 100);

  ASSERT_TRUE(gaps.ok());
  ASSERT_THAT(*gaps, SizeIs(3));
  EXPECT_EQ(gaps->at(0).key, (PartitionKey{.stream = audit_, .partition = 0}));
  EXPECT_EQ(gaps->at(0).gap, (Gap{.range = {{10}, {30}}, .cause = GapCause::kRetention}));
  EXPECT_EQ(gaps->at(0).bridge, "logs");
  EXPECT_EQ(gaps->at(0).topic, "audit");
  EXPECT_EQ(gaps->at(1).gap, (Gap{.range = {{0}, {5}}, .cause = GapCause::kSkipped}));
  EXPECT_EQ(gaps->at(2).gap.range, (OffsetRange{{20}, {21}}));
  EXPECT_EQ(gaps->at(1).at, gaps->at(0).at + std::chrono::seconds(1));
}

TEST_F(PassedRangesTest, FindsGapsByBridgeTopicAndPage) {
  const auto count = [&](const std::string& bridge, const std::string& topic, int64_t offset,
                         int64_t limit) {
    return streams().Gaps(bridge, topic, offset, limit)->size();
  };

  EXPECT_EQ(count("", "", 0, 100), 4U);
  EXPECT_EQ(count("logs", "", 0, 100), 4U);
  EXPECT_EQ(count("other", "", 0, 100), 0U);
  EXPECT_EQ(count("", "waf", 0, 100), 1U);
  EXPECT_EQ(count("", "", 0, 3), 3U);
  EXPECT_EQ(count("", "", 3, 3), 1U);
  EXPECT_EQ(streams().Gaps("", "", 3, 3)->front().topic, "waf");
}

TEST_F(PassedRangesTest, CountsWhatEachStreamPassedOver) {
  const auto passed = streams().PassedByStream();

  ASSERT_TRUE(passed.ok());
  ASSERT_THAT(*passed, SizeIs(2));
  EXPECT_EQ(passed->at(0).stream, audit_);
  EXPECT_EQ(passed->at(0).gap_offsets, 26);
  EXPECT_EQ(passed->at(0).filtered_records, 6);
  EXPECT_EQ(passed->at(1).gap_offsets, 1);
  EXPECT_EQ(passed->at(1).filtered_records, 0);
}

TEST_F(PassedRangesTest, KeepsGapsWhenTheirBridgeIsGone) {
  ASSERT_EQ(WhyNot(Apply({DeleteBridge{"logs"}})), "OK");

  EXPECT_THAT(*streams().Gaps("logs", "audit", 0, 100), SizeIs(3));
}

TEST_F(StreamStoreTest, KeepsTheFirstIdOfATopic) {
  LearntStream found = Found("audit", 1, {{0, Offset{0}}});
  ASSERT_TRUE(streams().Learn(Survey({found})).ok());
  EXPECT_EQ(StreamNamed("audit").topic_id, "");

  for (const char* const id : {"first", "second", ""}) {
    found.topic_id = id;
    ASSERT_TRUE(streams().Learn(Survey({found})).ok());
    EXPECT_EQ(StreamNamed("audit").topic_id, "first") << id;
  }
}

// --- Lives of a topic ---------------------------------------------------------------------------

class SourceLivesTest : public StreamStoreTest {
 protected:
  int EpochOf(StreamId stream) {
    for (const StoredStream& stored : State().streams) {
      if (stored.id == stream) return stored.source_epoch;
    }
    return 0;
  }
};

TEST_F(SourceLivesTest, BeginAnewForStreamsThatAreMadeAfterwards) {
  const StreamId before = LearnStream(bridge_, "audit", {100});
  ASSERT_TRUE(streams().EndLife(before).ok());
  ASSERT_TRUE(streams().EndLife(before).ok()) << "it is seen again and again";

  const BridgeId other = DefineBridge("other");
  const StreamId after = LearnStream(other, "audit", {0});

  EXPECT_EQ(EpochOf(after), 2);
  EXPECT_EQ(EpochOf(before), 1) << "it carries what it carried";
  EXPECT_EQ(EpochOf(LearnStream(other, "waf", {0})), 1) << "another topic";
  LearnStream(other, "audit", {0, 0});
  EXPECT_EQ(EpochOf(after), 2) << "a later survey changes nothing";

  ASSERT_TRUE(streams().EndLife(after).ok());
  EXPECT_EQ(EpochOf(LearnStream(DefineBridge("third"), "audit", {0})), 3);
}

TEST_F(SourceLivesTest, AreKeptWhenTheBridgeIsGone) {
  ASSERT_TRUE(streams().EndLife(LearnStream(bridge_, "audit", {100})).ok());
  ASSERT_TRUE(Apply({DeleteBridge{"logs"}}).ok());

  EXPECT_EQ(EpochOf(LearnStream(DefineBridge("logs"), "audit", {0})), 2);
}

class TopicIdsTest : public SourceLivesTest {
 protected:
  // A survey of the bridge tells that the topic has this id.
  void Learn(BridgeId bridge, const std::string& topic_id) {
    Learnt learnt{.bridge = bridge,
                  .source_cluster_id = "cluster",
                  .target_cluster_id = {},
                  .resolves_start = false,
                  .streams = {}};
    learnt.streams.push_back({.topic = "audit",
                              .target_topic = "audit",
                              .target_partitions = 1,
                              .new_partitions = {},
                              .topic_id = topic_id});
    ASSERT_TRUE(streams().Learn(learnt).ok());
  }
  // The life of it that a bridge carries which is made for it now, and then deleted.
  int EpochUnder(const std::string& topic_id) {
    const BridgeId bridge = DefineBridge("own");
    Learn(bridge, topic_id);
    int epoch = 0;
    for (const StoredStream& stored : State().streams) {
      if (stored.bridge == bridge) epoch = stored.source_epoch;
    }
    EXPECT_TRUE(Apply({DeleteBridge{"own"}}).ok());
    return epoch;
  }
};

TEST_F(TopicIdsTest, TellThatATopicWasMadeAnewWhileNobodyCarriedIt) {
  EXPECT_EQ(EpochUnder("first"), 1);
  EXPECT_EQ(EpochUnder("first"), 1) << "the same topic";
  EXPECT_EQ(EpochUnder("second"), 2);
  EXPECT_EQ(EpochUnder("second"), 2);
  EXPECT_EQ(EpochUnder(""), 2) << "the relay cannot tell";
  EXPECT_EQ(EpochUnder("third"), 3);
}

TEST_F(TopicIdsTest, OfAStreamThatIsThereChangeNothing) {
  const BridgeId bridge = DefineBridge("stays");
  Learn(bridge, "first");
  Learn(bridge, "second");

  EXPECT_EQ(EpochUnder("second"), 2) << "what the stream was made for is remembered";
}

}  // namespace
}  // namespace drawbridge
