#include "relay/opensearch/index_view.h"

#include <functional>
#include <memory>

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

EngineReply Say(const json& body, int status = 200) {
  return {.status = status, .body = body.dump(), .headers = {}, .hangs_up = false};
}

class IndexViewTest : public testing::Test {
 protected:
  IndexViewTest() {
    engine_.SetScript([this](const EngineRequest& request, size_t) { return answer_(request); });
    OpenSearchEndpoint endpoint;
    endpoint.addresses = {engine_.address()};
    view_ = *EngineView::Open(
        {.endpoint = {.name = "search", .cluster = endpoint}, .secret = std::nullopt});
  }

  void Answer(const json& body, int status = 200) {
    answer_ = [=](const EngineRequest&) { return Say(body, status); };
  }
  IndexView::PipelineVerdict CheckPipelines(const std::string& index = "logs") {
    return IndexView(*view_, clock_).CheckPipelines(*IndexTemplate::Create(index), "audit", 5s);
  }
  Status CheckDurability(const std::string& index) {
    return IndexView(*view_, clock_).CheckDurability(*IndexTemplate::Create(index), "audit", 5s);
  }
  bool IsDurable(const std::string& index) {
    const Status durable = CheckDurability(index);
    EXPECT_TRUE(durable.ok() || durable.reason() == Reason::kGuaranteeUnsupported);
    return durable.ok();
  }

  std::function<EngineReply(const EngineRequest&)> answer_;
  FakeClock clock_;
  ScriptedEngine engine_;
  std::unique_ptr<EngineView> view_;
};

TEST_F(IndexViewTest, NamesAPipelineThatGivesDocumentsAnotherId) {
  std::string processor = R"({"set": {"field": "_id"}})";
  answer_ = [&](const EngineRequest& request) {
    if (request.path.find("/_settings") != std::string::npos) {
      return Say({{"logs", {{"settings", {{"index.default_pipeline", "own"}}}}}});
    }
    return Say({{"own", {{"processors", {json::parse(processor)}}}}});
  };

  const Status refused = CheckPipelines().keeps_ids;
  EXPECT_EQ(refused.reason(), Reason::kGuaranteeUnsupported);
  EXPECT_THAT(refused.message(), AllOf(HasSubstr("own"), HasSubstr("_id")));

  processor = R"({"set": {"field": "cloud"}})";
  EXPECT_TRUE(CheckPipelines().keeps_ids.ok());
}

TEST_F(IndexViewTest, SaysTheWorstOfAnIndexFirstAndWhatItHasNotSeenLast) {
  answer_ = [&](const EngineRequest& request) {
    if (request.path.find("/_settings") != std::string::npos) {
      return Say({{"logs",
                   {{"settings",
                     {{"index.default_pipeline", "own"},
                      {"index.final_pipeline", "hidden"},
                      {"index.translog.durability", "async"}}}}}});
    }
    if (request.path.ends_with("hidden")) return Say({}, 503);
    return Say(
        {{"own", {{"processors", {{{"drop", json::object()}}, {{"set", {{"field", "_id"}}}}}}}}});
  };

  const IndexView::Findings found =
      IndexView(*view_, clock_).Check(*IndexTemplate::Create("logs"), "audit", 5s);

  ASSERT_EQ(found.problems.size(), 4U);
  EXPECT_THAT(found.problems[0].status.message(), HasSubstr("names _id"));
  EXPECT_TRUE(found.problems[0].blocks);
  EXPECT_THAT(found.problems[1].status.message(), HasSubstr("drop processor"));
  EXPECT_THAT(found.problems[2].status.message(), HasSubstr("async"));
  EXPECT_THAT(found.problems[3].status.message(), HasSubstr("503"));
  EXPECT_FALSE(found.problems[3].blocks);
  EXPECT_FALSE(found.is_seen);
}

TEST_F(IndexViewTest, StandsByWhatItFoundWhereTheRestCannotBeLookedAt) {
  answer_ = [&](const EngineRequest& request) {
    if (request.path.find("/_settings") != std::string::npos) {
      return Say({{"logs", {{"settings", {{"index.default_pipeline", "own"}}}}}});
    }
    if (request.path.ends_with("a%20b")) return Say({}, 503);
    json processors = json::array();
    processors.push_back({{"set", {{"field", "_id"}}}});
    processors.push_back({{"pipeline", {{"name", "a b"}}}});
    return Say({{"own", {{"processors", processors}}}});
  };

  const auto verdict = CheckPipelines();

  EXPECT_FALSE(verdict.keeps_ids.ok());
  EXPECT_FALSE(verdict.is_seen.ok());
}

TEST_F(IndexViewTest, LooksAtSomePipelinesAndNotWithoutEnd) {
  answer_ = [&](const EngineRequest& request) {
    if (request.path.find("/_settings") != std::string::npos) {
      return Say({{"logs", {{"settings", {{"index.default_pipeline", "p"}}}}}});
    }
    const std::string next = request.path.substr(request.path.rfind('/') + 1) + "p";
    json processors = json::array();
    processors.push_back({{"pipeline", {{"name", next}}}});
    return Say({{"one", {{"processors", processors}}}});
  };

  EXPECT_THAT(CheckPipelines().is_seen.message(), HasSubstr("not looked at"));
}

TEST_F(IndexViewTest, FollowsPipelinesThatCallEachOther) {
  answer_ = [&](const EngineRequest& request) {
    if (request.path.find("/_settings") != std::string::npos) {
      return Say({{"logs", {{"settings", {{"index.final_pipeline", "outer"}}}}}});
    }
    const bool is_outer = request.path.ends_with("outer");
    json processors = json::array();
    processors.push_back({{"pipeline", {{"name", is_outer ? "inner" : "outer"}}}});
    if (!is_outer) processors.push_back({{"drop", {{"if", "true"}}}});
    return Say({{"one", {{"processors", processors}}}});
  };

  const auto verdict = CheckPipelines();

  EXPECT_TRUE(verdict.is_seen.ok());
  EXPECT_TRUE(verdict.keeps_ids.ok());
  EXPECT_THAT(verdict.keeps_all.message(), AllOf(HasSubstr("inner"), HasSubstr("throws away")));
}

TEST_F(IndexViewTest, LooksAtTheTemplateOfAnIndexThatIsNotThereYet) {
  answer_ = [](const EngineRequest& request) {
    if (request.path.find("_simulate_index") == std::string::npos) return Say({}, 404);
    // As engines do it: an object is a template, and needs patterns.
    if (!request.body.empty()) return Say({}, 400);
    return Say(
        {{"template", {{"settings", {{"index", {{"translog", {{"durability", "ASYNC"}}}}}}}}}});
  };

  EXPECT_FALSE(IsDurable("logs"));
}

TEST_F(IndexViewTest, LooksAtTheIndexThatIsWrittenBehindAName) {
  const auto is_durable = [&](const char* first, const char* second, const json& aliases) {
    answer_ = [=](const EngineRequest& request) {
      if (request.path.starts_with("/_alias/")) return Say(aliases);
      const auto has = [](const char* durability) {
        return json{{"settings", {{"index.translog.durability", durability}}}};
      };
      return Say({{"logs-000001", has(first)}, {"logs-000002", has(second)}});
    };
    return IsDurable("logs");
  };
  const auto writes = [](const std::string& index) {
    return json{
        {"logs-000001", {{"aliases", {{"logs", {{"is_write_index", index == "logs-000001"}}}}}}},
        {"logs-000002", {{"aliases", {{"logs", {{"is_write_index", index == "logs-000002"}}}}}}}};
  };

  EXPECT_FALSE(is_durable("request", "async", writes("logs-000002")));
  EXPECT_TRUE(is_durable("async", "request", writes("logs-000002")));
  EXPECT_TRUE(is_durable("request", "async", writes("logs-000001")));
  EXPECT_FALSE(is_durable("request", "async", {{"error", "no alias"}})) << "a data stream";
}

class LegacyTemplatesTest : public IndexViewTest {
 protected:
  // Whether the index is durable that these legacy templates would make.
  bool IsDurable(const json& templates, const json& simulated = json::object()) {
    answer_ = [=](const EngineRequest& request) {
      if (request.path.find("_simulate_index") != std::string::npos) return Say(simulated);
      return request.path.starts_with("/_template") ? Say(templates) : Say({}, 404);
    };
    return IndexViewTest::IsDurable("logs-audit");
  }
  static json Template(const std::string& pattern, const std::string& durability, int order = 0) {
    return {{"order", order},
            {"index_patterns", {"other", pattern}},
            {"settings", {{"index.translog.durability", durability}}}};
  }
};

TEST_F(LegacyTemplatesTest, CountWhereTheirPatternFits) {
  EXPECT_FALSE(IsDurable({{"a", Template("logs-*", "async")}}));
  EXPECT_TRUE(IsDurable({{"a", Template("log-*", "async")}}));
}

TEST_F(LegacyTemplatesTest, OverrideThoseOfALowerOrder) {
  EXPECT_TRUE(
      IsDurable({{"a", Template("logs-*", "request", 9)}, {"b", Template("*", "async", 1)}}));
  EXPECT_FALSE(
      IsDurable({{"a", Template("logs-*", "request", 1)}, {"b", Template("*", "async", 9)}}));
}

TEST_F(LegacyTemplatesTest, DoNotCountWhereANewerOneFits) {
  EXPECT_TRUE(IsDurable({{"a", Template("logs-*", "async")}},
                        {{"template", {{"settings", json::object()}}}}));
}

TEST_F(LegacyTemplatesTest, CountWhereNewerOnesAreUnknown) {
  for (const int status : {400, 404, 405}) {
    answer_ = [=](const EngineRequest& request) {
      return request.path.starts_with("/_template")
                 ? Say({{"a", Template("logs-*", "async")}})
                 : Say({{"error", "incorrect HTTP method"}}, status);
    };
    EXPECT_FALSE(IndexViewTest::IsDurable("logs-audit")) << status;
  }
}

TEST_F(LegacyTemplatesTest, MayBeAnything) {
  const json odd[] = {json::array(),
                      7,
                      {{"a", 1}},
                      {{"a", {{"index_patterns", 3}}}},
                      {{"a", {{"settings", {{"index.translog.durability", "async"}}}}}}};
  for (const json& templates : odd) EXPECT_TRUE(IsDurable(templates)) << templates;
}

TEST_F(IndexViewTest, KnowsNothingAgainstAnIndexThatItMayNotLookAt) {
  Answer({{"error", "no"}}, 403);
  EXPECT_TRUE(CheckPipelines().keeps_ids.ok());
  EXPECT_TRUE(IsDurable("logs"));
}

// An engine whose audit index of 14 March 2020 has this setting, beside one of another topic.
class OldIndexTest : public IndexViewTest {
 protected:
  void SetUp() override {
    answer_ = [this](const EngineRequest& request) {
      if (request.path.find("/_settings/") == std::string::npos) {
        return request.path.starts_with("/_ingest/")
                   ? Say({{"own", {{"processors", {{{"set", {{"field", "_id"}}}}}}}}})
                   : Say({}, 404);
      }
      asked_ = request.path;
      return Say({{index_, {{"settings", {{setting_, value_}}}}}}, status_);
    };
  }

  std::string asked_;
  std::string index_ = "logs-audit-2020.03.14";
  std::string setting_ = "index.default_pipeline";
  std::string value_ = "own";
  int status_ = 200;
};

TEST_F(OldIndexTest, IsLookedAtForWhatIsReplayedIntoIt) {
  const Status refused = CheckPipelines("logs-{topic}-{+yyyy.MM.dd}").keeps_ids;

  EXPECT_EQ(refused.reason(), Reason::kGuaranteeUnsupported);
  EXPECT_THAT(refused.message(), AllOf(HasSubstr("own"), HasSubstr("logs-audit-2020.03.14")));
  EXPECT_THAT(asked_, testing::StartsWith("/logs-audit-*/_settings/index."));
}

TEST_F(OldIndexTest, OfAnotherTopicDoesNotMatter) {
  index_ = "logs-audit-vcn-2020.03.14";

  EXPECT_TRUE(CheckPipelines("logs-{topic}-{+yyyy.MM.dd}").keeps_ids.ok());
}

TEST_F(OldIndexTest, MayBeOneThatDoesNotKeepWhatItConfirms) {
  setting_ = "index.translog.durability";
  value_ = "async";

  EXPECT_THAT(CheckDurability("logs-{topic}-{+yyyy.MM.dd}").message(),
              HasSubstr("logs-audit-2020.03.14"));
}

TEST_F(OldIndexTest, ThatCannotBeLookedAtAtPresentIsNotTakenForSeen) {
  status_ = 503;

  EXPECT_FALSE(CheckPipelines("logs-{topic}-{+yyyy.MM.dd}").is_seen.ok());
}

}  // namespace
}  // namespace drawbridge
