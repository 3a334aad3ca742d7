#include "server/control/definitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Two bridges of one cluster into one engine.
class MeetingBridgesTest : public testing::Test {
 protected:
  MeetingBridgesTest() {
    KafkaEndpoint kafka;
    kafka.bootstrap = {"kafka:9092"};
    OpenSearchEndpoint engine;
    engine.addresses = {"http://engine:9200"};
    wanted_.endpoints = {{.name = "oci", .cluster = kafka}, {.name = "search", .cluster = engine}};
    for (const char* name : {"one", "two"}) {
      BridgeSpec& bridge = wanted_.bridges.emplace_back();
      bridge.name = name;
      bridge.source.endpoint = "oci";
      bridge.source.topics = {"audit"};
      bridge.target.endpoint = "search";
      bridge.target.index = "logs-{topic}";
    }
  }

  std::vector<std::string> Warnings() const {
    const StatusOr<DefinitionPlan> plan = PlanDefinitions({}, wanted_);
    EXPECT_TRUE(plan.ok()) << plan.status().ToString();
    return plan.ok() ? plan->warnings : std::vector<std::string>();
  }

  WantedDefinitions wanted_;
};

TEST_F(MeetingBridgesTest, AreWarnedOfATopicThatBothCarryToOnePlace) {
  EXPECT_THAT(Warnings(), ElementsAre(HasSubstr("both carry audit into logs-audit")));

  wanted_.bridges[1].source.topics = {"/aud.*/"};
  EXPECT_THAT(Warnings(), ElementsAre(HasSubstr("both carry audit")));
}

TEST_F(MeetingBridgesTest, MayCarryOtherTopicsOrToOtherPlaces) {
  wanted_.bridges[1].source.topics = {"vcn"};
  EXPECT_THAT(Warnings(), IsEmpty());

  wanted_.bridges[1].source.topics = {"audit"};
  wanted_.bridges[1].target.index = "others-{topic}";
  EXPECT_THAT(Warnings(), IsEmpty());
}

}  // namespace
}  // namespace drawbridge
