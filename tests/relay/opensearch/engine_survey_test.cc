#include "relay/opensearch/engine_survey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/fakes/fake_clock.h"
#include "tests/relay/opensearch/scripted_engine.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// A source with these topics, of two partitions each.
class FakeSurvey final : public Survey {
 public:
  explicit FakeSurvey(const std::vector<std::string>& topics) : topics_(topics) {}

  SurveyResult Look(const std::stop_token&) override {
    SurveyResult result{.bridge = {1},
                        .generation = 1,
                        .source_cluster_id = "source",
                        .target_cluster_id = {},
                        .topics = {},
                        .conditions = {},
                        .is_complete = true};
    for (const std::string& name : topics_) {
      SurveyedTopic& topic = result.topics.emplace_back();
      topic.topic = name;
      topic.partitions.resize(2);
      topic.partitions[1].partition = 1;
    }
    return result;
  }

 private:
  const std::vector<std::string>& topics_;  // the test's
};

class EngineSurveyTest : public testing::Test {
 protected:
  EngineSurveyTest() {
    engine_.SetScript([this](const EngineRequest& request, size_t) { return Answer(request); });
    Open();
  }

  void Open(EngineSurvey::MakeLetters make_letters = {}) {
    OpenSearchEndpoint endpoint;
    endpoint.addresses = {engine_.address()};
    BridgeAssignment bridge;
    bridge.bridge = {1};
    bridge.spec.target.index = "logs-{topic}";
    bridge.spec.target.dead_letter_index = "dead";
    bridge.target_cluster_id = meant_;
    survey_ = *EngineSurvey::Open(
        std::move(bridge),
        {.endpoint = {.name = "search", .cluster = endpoint}, .secret = std::nullopt},
        std::make_unique<FakeSurvey>(topics_), clock_, std::move(make_letters));
  }
  SurveyResult Look() { return survey_->Look({}); }

  EngineReply Answer(const EngineRequest& request) {
    const auto say = [](const json& body, int status = 200) {
      return EngineReply{.status = status, .body = body.dump(), .headers = {}, .hangs_up = false};
    };
    if (is_down_) return {.status = 200, .body = {}, .headers = {}, .hangs_up = true};
    if (request.path == "/") {
      return say({{"cluster_uuid", "engine"},
                  {"version", {{"number", "2.19.1"}, {"distribution", "opensearch"}}}});
    }
    if (request.path.starts_with("/_alias/")) return say(json::object(), 404);
    if (request.path == "/_bulk" || request.path.starts_with("/_bulk?")) {
      return say({{"items", {{{"create", {{"status", rights_status_}}}}}}});
    }
    if (request.path.starts_with("/dead/_settings")) {
      return say({{"dead", {{"settings", {{"index.default_pipeline", letters_pipeline_}}}}}});
    }
    if (request.path.find("/_settings") != std::string::npos) {
      clock_.Advance(settings_take_);
      return say({{"logs-audit", {{"settings", {{"index.final_pipeline", pipeline_}}}}}});
    }
    if (request.path.find("/_ingest") != std::string::npos) {
      if (is_pipeline_away_) return say(json::object(), 503);
      json processors = json::array();
      processors.push_back(json::parse(processor_));
      return say({{"p", {{"processors", processors}}}});
    }
    if (request.path == "/dead/_mapping") {
      const json field{{"type", letters_type_}};
      return say(
          {{"dead",
            {{"mappings",
              {{"properties",
                {{"drawbridge-error-bridge", field}, {"drawbridge-error-turn", field}}}}}}}});
    }
    if (request.path.find("/_nodes/stats/fs") != std::string::npos) {
      if (disks_status_ != 200) return say(json::object(), disks_status_);
      const json total{{"total_in_bytes", 1000}, {"available_in_bytes", disk_available_}};
      return say({{"nodes", {{"a", {{"name", "a"}, {"fs", {{"total", total}}}}}}}});
    }
    if (request.path.find("/_cluster/settings") != std::string::npos) {
      return say(
          {{"defaults", {{"cluster.routing.allocation.disk.watermark.flood_stage", "95%"}}}});
    }
    return say(json::object());
  }

  FakeClock clock_;
  int64_t disk_available_ = 900;
  int disks_status_ = 200;
  std::string letters_type_ = "keyword";
  std::string meant_;
  bool is_down_ = false;
  std::string pipeline_;
  std::string letters_pipeline_;
  int rights_status_ = 404;
  std::string processor_ = R"({"set": {"field": "_id"}})";
  bool is_pipeline_away_ = false;
  Duration settings_take_{};
  std::vector<std::string> topics_{"audit"};
  ScriptedEngine engine_;
  std::unique_ptr<EngineSurvey> survey_;
};

TEST_F(EngineSurveyTest, FindsThePartitionsOfTheSourceAtAnEngineThatAnswers) {
  const SurveyResult result = Look();

  EXPECT_TRUE(result.is_complete);
  EXPECT_EQ(result.target_cluster_id, "engine");
  ASSERT_THAT(result.topics, SizeIs(1));
  EXPECT_EQ(result.topics[0].target_topic, "logs-audit");
  EXPECT_EQ(result.topics[0].target_partitions, 2);
  EXPECT_TRUE(result.topics[0].partitions[1].is_target_ready);
  EXPECT_THAT(result.conditions, IsEmpty());
}

TEST_F(EngineSurveyTest, StartsNothingBeforeTheEngineHasAnswered) {
  is_down_ = true;

  const SurveyResult result = Look();

  EXPECT_FALSE(result.is_complete);
  EXPECT_EQ(result.topics[0].target_partitions, 0);
  ASSERT_THAT(result.conditions, SizeIs(1));
  EXPECT_TRUE(result.conditions[0].blocks);
}

TEST_F(EngineSurveyTest, TakesNothingBackFromAnEngineThatIsAwayForAWhile) {
  Look();
  is_down_ = true;

  EXPECT_EQ(Look().topics[0].target_partitions, 2);
}

TEST_F(EngineSurveyTest, DoesNotLetATopicRunThatAPipelineGivesOtherIds) {
  pipeline_ = "p";

  const SurveyResult result = Look();

  EXPECT_EQ(result.topics[0].target_partitions, 0);
  ASSERT_THAT(result.conditions, SizeIs(1));
  EXPECT_EQ(result.conditions[0].reason, Reason::kGuaranteeUnsupported);
  EXPECT_EQ(result.conditions[0].topic, "audit");

  pipeline_ = "";
  clock_.Advance(10s);
  EXPECT_EQ(Look().topics[0].target_partitions, 2) << "it goes on when that is mended";
}

TEST_F(EngineSurveyTest, StartsNothingWhereAPipelineWouldNotKeepDeadLetters) {
  letters_pipeline_ = "p";
  processor_ = R"({"drop": {}})";

  const SurveyResult result = Look();

  EXPECT_FALSE(result.topics[0].partitions[0].is_target_ready);
  ASSERT_THAT(result.conditions, testing::Not(testing::IsEmpty()));
  EXPECT_TRUE(result.conditions[0].blocks);
  EXPECT_THAT(result.conditions[0].text, HasSubstr("the index dead"));
}

TEST_F(EngineSurveyTest, StartsNoTopicWhoseIndexWeMayNotWrite) {
  rights_status_ = 403;

  const SurveyResult result = Look();

  EXPECT_FALSE(result.topics[0].partitions[0].is_target_ready);
  ASSERT_THAT(result.conditions, testing::Not(testing::IsEmpty()));
  EXPECT_EQ(result.conditions[0].reason, Reason::kAuthorizationFailed);
  EXPECT_EQ(result.conditions[0].topic, "audit");
}

TEST_F(EngineSurveyTest, StartsNoTopicThatCameWhileTheEngineIsAway) {
  Look();
  topics_.emplace_back("later");
  is_down_ = true;

  const SurveyResult result = Look();

  EXPECT_TRUE(result.topics[0].partitions[0].is_target_ready);
  EXPECT_FALSE(result.topics[1].partitions[0].is_target_ready) << "its index was not looked at";
}

TEST_F(EngineSurveyTest, SeldomLooksAtAnIndexThatIsWell) {
  Look();
  pipeline_ = "p";
  clock_.Advance(10s);
  EXPECT_THAT(Look().conditions, IsEmpty());

  clock_.Advance(50s);

  EXPECT_THAT(Look().conditions, SizeIs(1));
}

TEST_F(EngineSurveyTest, LooksFirstAtWhatItHasNeverLookedAtOrLongestAgo) {
  topics_ = {"a", "b", "c"};
  pipeline_ = "p";
  settings_take_ = 1s;  // of an index it asks for three
  Open();
  EXPECT_THAT(Look().conditions, SizeIs(2)) << "a and b; there is no time for more";

  pipeline_ = "";
  clock_.Advance(10s);

  const SurveyResult result = Look();
  EXPECT_EQ(result.topics[0].target_partitions, 2) << "a, for the second time";
  EXPECT_EQ(result.topics[1].target_partitions, 0);
  EXPECT_EQ(result.topics[2].target_partitions, 2) << "c, for the first";
}

TEST_F(EngineSurveyTest, HoldsATopicBackUntilItsPipelineIsSeenToBeMended) {
  pipeline_ = "p";
  Look();
  is_pipeline_away_ = true;
  clock_.Advance(61s);
  EXPECT_EQ(Look().topics[0].target_partitions, 0);

  is_pipeline_away_ = false;
  processor_ = R"({"set": {"field": "cloud"}})";
  clock_.Advance(61s);
  EXPECT_EQ(Look().topics[0].target_partitions, 2);
}

TEST_F(EngineSurveyTest, WarnsOfAPipelineThatThrowsRecordsAway) {
  pipeline_ = "p";
  processor_ = R"({"drop": {"if": "true"}})";

  const SurveyResult result = Look();

  EXPECT_EQ(result.topics[0].target_partitions, 2) << "that is the operator's will";
  ASSERT_THAT(result.conditions, SizeIs(1));
  EXPECT_FALSE(result.conditions[0].blocks);
}

TEST_F(EngineSurveyTest, MakesNothingInAnotherClusterThanTheOneThatIsMeant) {
  bool has_made = false;
  meant_ = "another";
  Open([&](Duration) {
    has_made = true;
    return Status();
  });

  const SurveyResult result = Look();

  EXPECT_FALSE(has_made);
  EXPECT_FALSE(result.is_complete);
  EXPECT_EQ(result.target_cluster_id, "engine") << "the server says what is wrong";
}

TEST_F(EngineSurveyTest, WarnsOfAFullDiskAndStartsAllTheSame) {
  pipeline_ = "";
  disk_available_ = 1;

  const SurveyResult result = Look();

  ASSERT_THAT(result.conditions, SizeIs(1));
  EXPECT_FALSE(result.conditions[0].blocks);
  EXPECT_THAT(result.conditions[0].text, HasSubstr("disk"));
  EXPECT_EQ(result.topics[0].target_partitions, 2);
}

TEST_F(EngineSurveyTest, WarnsOfADiskThatFillsUpWhileTheBridgeRuns) {
  ASSERT_THAT(Look().conditions, IsEmpty());
  disk_available_ = 1;
  clock_.Advance(60s);

  const SurveyResult result = Look();

  ASSERT_THAT(result.conditions, SizeIs(1));
  EXPECT_THAT(result.conditions[0].text, HasSubstr("make room"));
  EXPECT_EQ(result.topics[0].target_partitions, 2);
}

TEST_F(EngineSurveyTest, WarnsOfAFullDiskInEachLookUntilThereIsRoom) {
  disk_available_ = 1;
  Look();
  disk_available_ = 900;
  clock_.Advance(9s);
  EXPECT_THAT(Look().conditions, SizeIs(1)) << "it has not asked again";

  clock_.Advance(1s);

  EXPECT_THAT(Look().conditions, IsEmpty());
}

TEST_F(EngineSurveyTest, NamesTheFullDiskBesideWhatCannotBeMadeForIt) {
  disk_available_ = 1;
  Open([](Duration) {
    return Status(StatusCode::kFailedPrecondition, Reason::kBrokerError, "it is locked");
  });

  const SurveyResult result = Look();

  ASSERT_THAT(result.conditions, SizeIs(2));
  EXPECT_THAT(result.conditions[1].text, HasSubstr("make room"));
}

TEST_F(EngineSurveyTest, SaysNothingOfDisksThatItMayNotSee) {
  for (const int status : {403, 404, 503}) {
    Open();
    disks_status_ = status;
    EXPECT_THAT(Look().conditions, IsEmpty()) << status;
  }
}

TEST_F(EngineSurveyTest, NamesAnIndexOfDeadLettersThatALetterHasMadeAnew) {
  ASSERT_THAT(Look().conditions, IsEmpty());
  letters_type_ = "text";  // as engines guess it

  const SurveyResult result = Look();

  ASSERT_THAT(result.conditions, SizeIs(1));
  EXPECT_THAT(result.conditions[0].text, AllOf(HasSubstr("the index dead"), HasSubstr("_reindex")));
  EXPECT_TRUE(result.conditions[0].blocks);
  EXPECT_EQ(result.topics[0].target_partitions, 2) << "what runs goes on";
}

TEST_F(EngineSurveyTest, StartsNothingWhereDeadLettersCannotBeKept) {
  Status letters{StatusCode::kFailedPrecondition, Reason::kGuaranteeUnsupported, "it is compacted"};
  Open([&](Duration) { return letters; });

  const SurveyResult result = Look();
  EXPECT_EQ(result.topics[0].target_partitions, 0);
  ASSERT_THAT(result.conditions, SizeIs(1));
  EXPECT_EQ(result.conditions[0].text, "it is compacted");

  letters = {};
  EXPECT_EQ(Look().topics[0].target_partitions, 2);
}

}  // namespace
}  // namespace drawbridge
