#include "relay/opensearch/engine_view.h"

#include <functional>

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
using testing::StartsWith;

EngineReply Say(const json& body, int status = 200) {
  return {.status = status, .body = body.dump(), .headers = {}, .hangs_up = false};
}

json About(const std::string& version, bool is_opensearch) {
  json about{{"cluster_uuid", "u-u-i-d"}, {"version", {{"number", version}}}};
  if (is_opensearch) about["version"]["distribution"] = "opensearch";
  return about;
}

class EngineViewTest : public testing::Test {
 protected:
  EngineViewTest() {
    engine_.SetScript([this](const EngineRequest& request, size_t) { return answer_(request); });
    Open();
  }

  void Open(SearchProduct product = SearchProduct::kAsItTells) {
    OpenSearchEndpoint endpoint;
    endpoint.addresses = {engine_.address()};
    endpoint.product = product;
    view_ = *EngineView::Open(
        {.endpoint = {.name = "search", .cluster = endpoint}, .secret = std::nullopt});
  }
  void Answer(const json& body, int status = 200) {
    answer_ = [=](const EngineRequest&) { return Say(body, status); };
  }

  std::function<EngineReply(const EngineRequest&)> answer_;
  FakeClock clock_;
  ScriptedEngine engine_;
  std::unique_ptr<EngineView> view_;
};

// --- Who answers --------------------------------------------------------------------------------

TEST_F(EngineViewTest, TellsEnginesApartByWhatTheySay) {
  const auto text_of = [&](const std::string& version, bool is_opensearch) {
    Answer(About(version, is_opensearch));
    const auto identity = view_->Identify(5s);
    return identity.ok() ? identity->Text() : identity.status().message();
  };

  EXPECT_EQ(text_of("2.19.1", true), "OpenSearch 2.19.1");
  EXPECT_EQ(text_of("7.10.2", false), "Elasticsearch 7.10.2");
  EXPECT_EQ(text_of("9.0.0", false), "Elasticsearch 9.0.0");
  EXPECT_THAT(text_of("6.8.0", false), HasSubstr("7 to 9"));
  EXPECT_THAT(text_of("4.0.0", true), HasSubstr("1 to 3"));
}

TEST_F(EngineViewTest, BelievesItsDefinitionWhereAServiceSaysNothing) {
  Answer({{"message", "not found"}}, 404);
  EXPECT_FALSE(view_->Identify(5s).ok());

  Open(SearchProduct::kElasticsearch);
  const auto identity = view_->Identify(5s);

  ASSERT_TRUE(identity.ok()) << identity.status().ToString();
  EXPECT_EQ(identity->product, SearchProduct::kElasticsearch);
}

TEST_F(EngineViewTest, TakesAProxysPageForNoEngine) {
  answer_ = [](const EngineRequest&) {
    return EngineReply{.status = 200, .body = "<html>Sign in</html>", .headers = {}};
  };
  EXPECT_THAT(view_->Identify(5s).status().message(), HasSubstr("check the address"));
}

TEST_F(EngineViewTest, SaysWhatToDoWhereItIsNotLetIn) {
  Answer({{"error", "no"}}, 401);
  EXPECT_EQ(view_->Identify(5s).status().reason(), Reason::kAuthenticationFailed);
  Answer({{"error", "no"}}, 403);
  EXPECT_EQ(view_->Identify(5s).status().reason(), Reason::kAuthorizationFailed);
}

TEST_F(EngineViewTest, AsksForTheRightToCreateWithoutCreating) {
  const auto answer = [&](int status) {
    answer_ = [status](const EngineRequest& request) {
      if (request.path == "/_alias/logs") return Say(json::object(), 404);
      return Say({{"errors", true}, {"items", {{{"create", {{"status", status}}}}}}});
    };
    return view_->CheckRights("logs", 5s).reason();
  };

  EXPECT_EQ(answer(404), Reason::kUnspecified) << "it would have made it";
  EXPECT_EQ(answer(403), Reason::kAuthorizationFailed);
  EXPECT_THAT(engine_.requests().at(1).body, HasSubstr(R"("require_alias":true)"));
  EXPECT_THAT(engine_.requests().at(1).body, HasSubstr(R"("_index":"logs")"));
}

TEST_F(EngineViewTest, TriesNoRightBehindAnAliasWhichWouldTakeTheDocument) {
  Answer({{"logs-000001", {{"aliases", {{"logs", json::object()}}}}}});

  EXPECT_EQ(view_->CheckRights("logs", 5s).code(), StatusCode::kUnimplemented);
  EXPECT_THAT(engine_.requests(), SizeIs(1));
}

// --- The index of dead letters ------------------------------------------------------------------

TEST_F(EngineViewTest, MakesTheIndexOfDeadLettersThatIsMissing) {
  answer_ = [](const EngineRequest& request) {
    return Say(json::object(), request.method == "GET" ? 404 : 200);
  };

  EXPECT_TRUE(view_->MakeDeadLetterIndex("dead", 5s).ok());

  const auto requests = engine_.requests();
  ASSERT_THAT(requests, SizeIs(2));
  EXPECT_EQ(requests[1].method, "PUT");
  EXPECT_EQ(requests[1].path, "/dead");
  const json made = json::parse(requests[1].body);
  EXPECT_EQ(made["mappings"]["dynamic"], false);
  EXPECT_EQ(made["settings"]["index.default_pipeline"], "_none") << "whatever a template says";
  EXPECT_EQ(made["settings"]["index.final_pipeline"], "_none");
}

TEST_F(EngineViewTest, MakesItWhereNoFinalPipelinesAreKnown) {
  answer_ = [](const EngineRequest& request) {
    if (request.method == "GET") return Say(json::object(), 404);
    const bool is_known = request.body.find("final_pipeline") == std::string::npos;
    return is_known ? Say(json::object())
                    : Say({{"error", {{"reason", "unknown setting [index.final_pipeline]"}}}}, 400);
  };

  EXPECT_TRUE(view_->MakeDeadLetterIndex("dead", 5s).ok());
}

TEST_F(EngineViewTest, SaysWhyTheIndexOfDeadLettersCannotBeMade) {
  answer_ = [](const EngineRequest& request) {
    if (request.method == "GET") return Say(json::object(), 404);
    return Say({{"error", {{"type", "security_exception"}, {"reason", "no rights"}}}}, 403);
  };
  EXPECT_THAT(view_->MakeDeadLetterIndex("dead", 5s).message(),
              AllOf(HasSubstr("dead"), HasSubstr("grant"), HasSubstr("no rights")));
}

TEST_F(EngineViewTest, IsContentWithAnIndexThatSomebodyElseHasJustMade) {
  answer_ = [](const EngineRequest& request) {
    if (request.method == "GET") return Say(json::object(), 404);
    return Say({{"error", {{"type", "resource_already_exists_exception"}}}}, 400);
  };
  EXPECT_TRUE(view_->MakeDeadLetterIndex("dead", 5s).ok());
}

TEST_F(EngineViewTest, RefusesAnIndexInWhichDeadLettersAreNotFound) {
  const auto with_bridge_as = [](const json& field) {
    return json{{"dead",
                 {{"mappings",
                   {{"properties",
                     {{"drawbridge-error-bridge", field}, {"drawbridge-error-turn", field}}}}}}}};
  };
  Answer(with_bridge_as({{"type", "text"}}));
  EXPECT_THAT(view_->MakeDeadLetterIndex("dead", 5s).message(),
              AllOf(HasSubstr("dead"), HasSubstr("_reindex")));

  Answer(with_bridge_as({{"type", "keyword"}}));
  EXPECT_TRUE(view_->MakeDeadLetterIndex("dead", 5s).ok());
}

// --- Disks --------------------------------------------------------------------------------------

class DisksTest : public EngineViewTest {
 protected:
  // The fullest of three disks is so full, with these marks.
  StatusOr<std::string> Check(double percent, const json& marks) {
    return CheckWith(percent, {{"defaults", marks}});
  }
  StatusOr<std::string> CheckWith(double percent, const json& settings) {
    answer_ = [=](const EngineRequest& request) {
      if (request.path.find("_cluster/settings") != std::string::npos) return Say(settings);
      const auto node = [](const std::string& name, double used) {
        return json{
            {"name", name},
            {"fs",
             {{"total",
               {{"total_in_bytes", kDisk}, {"available_in_bytes", kDisk * (1 - used / 100)}}}}}};
      };
      return Say(
          {{"nodes",
            {{"a", node("first", 10)}, {"b", node("second", percent)}, {"c", node("third", 20)}}}});
    };
    return view_->CheckDisks(5s);
  }

  static constexpr double kDisk = 1000.0 * (1U << 30);
  static constexpr const char* kMark = "cluster.routing.allocation.disk.watermark.flood_stage";
};

TEST_F(DisksTest, AreWellBelowTheMark) {
  const auto said = Check(60, {{kMark, "95%"}});
  ASSERT_TRUE(said.ok()) << said.status().ToString();
  EXPECT_THAT(*said, AllOf(HasSubstr("second, is 60 % full"), HasSubstr("less than 50 GiB free")));
}

TEST_F(DisksTest, AreNamedBeyondTheMark) {
  const auto said = Check(96, {{kMark, "95%"}});
  EXPECT_EQ(said.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(said.status().message(), HasSubstr("make room"));
}

TEST_F(DisksTest, AreJudgedByTheMarkThatCounts) {
  const auto is_well = [&](const json& settings) { return CheckWith(90, settings).ok(); };
  const json high{{kMark, "95%"}};
  const json low{{kMark, "85%"}};

  EXPECT_FALSE(is_well({{"persistent", low}, {"defaults", high}}));
  EXPECT_FALSE(is_well({{"transient", low}, {"persistent", high}}));
  EXPECT_TRUE(is_well({{"transient", high}, {"persistent", low}, {"defaults", low}}));
}

TEST_F(DisksTest, AreNotJudgedByAMarkThatCannotBeRead) {
  EXPECT_TRUE(Check(99, {{kMark, "much"}}).ok());
  EXPECT_TRUE(Check(99, json::object()).ok());
}

TEST_F(DisksTest, MayBeFullerWhereAHeadroomIsEnough) {
  const std::string headroom = std::string(kMark) + ".max_headroom";
  const auto said = Check(97, {{kMark, "95%"}, {headroom, "10gb"}});
  ASSERT_TRUE(said.ok()) << said.status().ToString();
  EXPECT_THAT(*said, HasSubstr("97 % full; with less than 10 GiB free"));
  EXPECT_FALSE(Check(99.5, {{kMark, "95%"}, {headroom, "10gb"}}).ok());
  EXPECT_FALSE(Check(97, {{kMark, "95%"}, {headroom, "100gb"}}).ok()) << "the part is less";
}

TEST_F(DisksTest, AreNotJudgedWhereTheEngineDoesNotLookAtThem) {
  const auto said = CheckWith(
      99, {{"persistent", {{"cluster.routing.allocation.disk.threshold_enabled", "false"}}},
           {"defaults", {{kMark, "95%"}}}});
  ASSERT_TRUE(said.ok()) << said.status().ToString();
  EXPECT_THAT(*said, HasSubstr("is 99 % full"));
}

TEST_F(DisksTest, AreUnknownWhereTheEngineDoesNotSay) {
  Answer(json::object());
  EXPECT_THAT(*view_->CheckDisks(5s), HasSubstr("does not say"));
  Answer({{"error", "no"}}, 403);
  EXPECT_EQ(view_->CheckDisks(5s).status().code(), StatusCode::kPermissionDenied);
}

TEST_F(DisksTest, AreUnknownWhateverElseIsAnswered) {
  const json odd[] = {json::array(),
                      7,
                      {{"nodes", {1, "two"}}},
                      {{"nodes", {{"a", {{"fs", 3}}}}}},
                      {{"nodes", {{"a", {{"fs", {{"total", {{"total_in_bytes", "much"}}}}}}}}}}};
  for (const json& answer : odd) {
    Answer(answer);
    EXPECT_THAT(*view_->CheckDisks(5s), HasSubstr("does not say")) << answer;
  }
}

}  // namespace
}  // namespace drawbridge
