#include "relay/opensearch/engine_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/fakes/fake_clock.h"
#include "tests/relay/opensearch/scripted_engine.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class EngineTestTest : public testing::Test {
 protected:
  EngineTestTest() {
    engine_.SetScript([this](const EngineRequest& request, size_t) { return Answer(request); });
  }

  std::vector<EndpointCheck> Run(const std::vector<std::string>& indexes = {}) {
    OpenSearchEndpoint endpoint;
    endpoint.addresses = {engine_.address()};
    return TestEngine({.endpoint = {.name = "search", .cluster = endpoint}, .secret = std::nullopt},
                      indexes, 10s, clock_);
  }
  static std::vector<std::string> NamesOf(const std::vector<EndpointCheck>& checks) {
    std::vector<std::string> names;
    for (const EndpointCheck& check : checks) names.push_back(check.name);
    return names;
  }

  EngineReply Answer(const EngineRequest& request) const {
    const auto say = [](int status, const json& body) {
      return EngineReply{.status = status, .body = body.dump(), .headers = {}, .hangs_up = false};
    };
    if (request.path == "/") {
      return say(200, {{"cluster_uuid", "engine"}, {"version", {{"number", "7.8.1"}}}});
    }
    if (request.path.starts_with("/_bulk")) return say(bulk_.first, bulk_.second);
    if (request.path.find("/_settings") != std::string::npos) {
      return say(200, {{"logs", {{"settings", {{"index.translog.durability", durability_}}}}}});
    }
    return say(404, json::object());
  }

  std::pair<int, json> bulk_{
      200,
      {{"items", {{{"create", {{"status", 404}, {"error", {{"type", "index_not_found"}}}}}}}}}};
  std::string durability_ = "request";
  FakeClock clock_;
  ScriptedEngine engine_;
};

TEST_F(EngineTestTest, TellsWhatAnEngineAnswers) {
  EXPECT_THAT(NamesOf(Run()), ElementsAre("connect", "create"));
  for (const EndpointCheck& check : Run()) EXPECT_TRUE(check.is_ok) << check.detail;
}

TEST_F(EngineTestTest, SaysNothingOfRightsWhereAnOldEngineCannotTell) {
  bulk_ = {400, {{"error", {{"reason", "contains an unknown parameter [require_alias]"}}}}};

  EXPECT_THAT(NamesOf(Run()), ElementsAre("connect"));
}

TEST_F(EngineTestTest, LooksAtIndexesAsWell) {
  EXPECT_TRUE(Run({"logs"}).back().is_ok) << Run({"logs"}).back().detail;
  durability_ = "async";

  const EndpointCheck check = Run({"logs"}).back();

  EXPECT_EQ(check.name, "index logs");
  EXPECT_FALSE(check.is_ok);
  EXPECT_THAT(check.detail, HasSubstr("translog"));
}

TEST_F(EngineTestTest, AsksForRightsWhereItIsTold) {
  Run();
  EXPECT_THAT(engine_.requests().at(2).body, HasSubstr("drawbridge-dead-letters"));
  bulk_.second["items"][0]["create"]["status"] = 403;

  const std::vector<EndpointCheck> checks = Run({"logs"});

  EXPECT_EQ(checks.at(1).name, "create");
  EXPECT_FALSE(checks.at(1).is_ok);
  EXPECT_EQ(checks.at(1).reason, Reason::kAuthorizationFailed);
}

TEST_F(EngineTestTest, LooksAtNothingThatNoIndexIsCalled) {
  for (const char* const name : {"Logs", "*", "a,b", "a/../_all", "", "logs-{topic}"}) {
    EXPECT_FALSE(Run({name}).back().is_ok) << name;
  }
}

}  // namespace
}  // namespace drawbridge
