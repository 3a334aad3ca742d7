#include "server/control/definitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using testing::AllOf;
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

class LettersAmongRecordsTest : public MeetingBridgesTest {
 protected:
  LettersAmongRecordsTest() { wanted_.bridges[1].target.index = "others-{topic}"; }

  // What is wrong with a bridge, while the other one is there already.
  static Status ApplyTo(const BridgeSpec& stored, const WantedDefinitions& wanted,
                        const BridgeSpec& bridge) {
    DesiredState before;
    for (const EndpointSpec& endpoint : wanted.endpoints) {
      StoredEndpoint& known = before.endpoints.emplace_back();
      known.spec = endpoint;
    }
    before.bridges.emplace_back().spec = stored;
    WantedDefinitions one;
    one.bridges = {bridge};
    return PlanDefinitions(before, one).status();
  }
  // The same in either order, and of both at once.
  std::string Fault() const {
    const BridgeSpec& one = wanted_.bridges[0];
    const BridgeSpec& two = wanted_.bridges[1];
    const Status together = PlanDefinitions({}, wanted_).status();
    EXPECT_EQ(together.ToString(), ApplyTo(one, wanted_, two).ToString());
    EXPECT_EQ(together.ToString(), ApplyTo(two, wanted_, one).ToString());
    EXPECT_TRUE(together.ok() || together.reason() == Reason::kFieldInvalid);
    return together.ok() ? "" : together.field() + ": " + together.message();
  }

  BridgeTarget& one() { return wanted_.bridges[0].target; }
  BridgeTarget& two() { return wanted_.bridges[1].target; }
};

TEST_F(LettersAmongRecordsTest, AreRefusedWhereAnotherBridgesRecordsMayGoIntoTheirIndex) {
  EXPECT_EQ(Fault(), "");

  one().dead_letter_index = "others-dead";
  EXPECT_THAT(Fault(), AllOf(HasSubstr("bridges[one].target.dead_letter_index: others-dead"),
                             HasSubstr("bridge two"), HasSubstr("begins otherwise")));

  std::swap(one(), two());
  EXPECT_THAT(Fault(), AllOf(HasSubstr("bridges[two].target.dead_letter_index: others-dead"),
                             HasSubstr("bridge one")));
}

TEST_F(LettersAmongRecordsTest, AreRefusedInTheUsualIndexToo) {
  one().dead_letter_index = "dead";
  one().index = "drawbridge-{topic}";
  EXPECT_THAT(Fault(),
              AllOf(HasSubstr("bridges[two].target.dead_letter_index: drawbridge-dead-letters"),
                    HasSubstr("bridge one"), HasSubstr("drawbridge-{topic}")));

  two().dead_letter_topic = "dead";
  EXPECT_EQ(Fault(), "") << "they go to no index";
}

TEST_F(LettersAmongRecordsTest, MayBeOfTwoBridgesOrInAnotherEngine) {
  one().dead_letter_index = two().dead_letter_index = "dead";
  EXPECT_EQ(Fault(), "");

  EndpointSpec elsewhere = wanted_.endpoints[1];
  elsewhere.name = "elsewhere";
  elsewhere.opensearch().addresses = {"http://elsewhere:9200"};
  wanted_.endpoints.push_back(elsewhere);
  one().dead_letter_index = "others-dead";
  two().endpoint = "elsewhere";
  EXPECT_EQ(Fault(), "");
}

TEST_F(LettersAmongRecordsTest, AreOfNoConcernToABridgeIntoKafka) {
  one().dead_letter_index = "others-dead";
  two() = BridgeTarget();
  two().endpoint = "oci";
  two().topic = "others-dead";
  wanted_.bridges[1].source.topics = {"vcn"};

  EXPECT_EQ(Fault(), "");
}

}  // namespace
}  // namespace drawbridge
