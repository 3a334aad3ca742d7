#include "model/definition.h"

#include <functional>

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

EndpointSpec Endpoint(std::string name) {
  return {.name = std::move(name),
          .cluster = KafkaEndpoint{.bootstrap = {"broker-1.example:9092"},
                                   .profile = Profile::kKafka,
                                   .ca_pem = "",
                                   .credential = "",
                                   .plaintext = false,
                                   .cluster_key = "",
                                   .source_retention = std::nullopt}};
}

BridgeSpec Bridge(std::vector<std::string> topics, std::string target_topic) {
  BridgeSpec bridge;
  bridge.name = "oci-logs";
  bridge.source.endpoint = "oci";
  bridge.source.topics = std::move(topics);
  bridge.target.endpoint = "aws";
  bridge.target.topic = std::move(target_topic);
  return bridge;
}

TEST(NameTest, IsLowerCaseAndStartsWithALetter) {
  for (const std::string& name :
       {std::string("a"), std::string("oci-logs-2"), std::string(63, 'a')}) {
    EXPECT_TRUE(IsName(name)) << name;
  }
  for (const std::string& name : {std::string(), std::string("2oci"), std::string("-oci"),
                                  std::string("OCI"), std::string("oci_logs"), std::string("a b"),
                                  std::string("\xC3\xA4"), std::string(64, 'a')}) {
    EXPECT_FALSE(IsName(name)) << name;
  }
}

// One thing that is wrong with an otherwise valid definition, and the field that is blamed.
template <typename Spec>
struct Fault {
  std::string behaviour;
  std::function<void(Spec&)> spoil;
  std::string field;
};

template <typename Spec>
std::string BehaviourOf(const testing::TestParamInfo<Fault<Spec>>& row) {
  return row.param.behaviour;
}

class EndpointFaultTest : public testing::TestWithParam<Fault<EndpointSpec>> {};

TEST_P(EndpointFaultTest, IsBlamedOnItsField) {
  EndpointSpec endpoint = Endpoint("oci");
  GetParam().spoil(endpoint);

  const Status status = Validate(endpoint);

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.reason(), Reason::kFieldInvalid);
  EXPECT_EQ(status.field(), GetParam().field);
}

INSTANTIATE_TEST_SUITE_P(
    , EndpointFaultTest,
    testing::ValuesIn(std::vector<Fault<EndpointSpec>>{
        {"ANameInCapitals", [](auto& it) { it.name = "OCI"; }, "name"},
        {"NoBroker", [](auto& it) { it.kafka().bootstrap.clear(); }, "kafka.bootstrap"},
        {"NoPort", [](auto& it) { it.kafka().bootstrap[0] = "host"; }, "kafka.bootstrap[0]"},
        {"NoHost", [](auto& it) { it.kafka().bootstrap[0] = ":9092"; }, "kafka.bootstrap[0]"},
        {"PortZero", [](auto& it) { it.kafka().bootstrap[0] = "host:0"; }, "kafka.bootstrap[0]"},
        {"PortTooLarge", [](auto& it) { it.kafka().bootstrap[0] = "h:65536"; },
         "kafka.bootstrap[0]"},
        {"PortBeyondAnyNumber",
         [](auto& it) { it.kafka().bootstrap[0] = "h:99999999999999999999"; },
         "kafka.bootstrap[0]"},
        {"PortWithARest", [](auto& it) { it.kafka().bootstrap[0] = "h:9092x"; },
         "kafka.bootstrap[0]"},
        {"TwoBrokersInOneText",
         [](auto& it) { it.kafka().bootstrap.emplace_back("a:9092,b:9092"); },
         "kafka.bootstrap[1]"},
        {"AUrl", [](auto& it) { it.kafka().bootstrap[0] = "ssl://a:9092"; }, "kafka.bootstrap[0]"},
        {"ACaWithoutTls",
         [](auto& it) {
           it.kafka().plaintext = true;
           it.kafka().ca_pem = "-----BEGIN CERTIFICATE-----";
         },
         "kafka.ca_pem"},
        {"ACaThatIsNoPem", [](auto& it) { it.kafka().ca_pem = "/etc/ssl/ca.pem"; }, "kafka.ca_pem"},
        {"ARetentionOfNothing", [](auto& it) { it.kafka().source_retention = 0s; },
         "kafka.source_retention"},
        {"ANegativeRetention", [](auto& it) { it.kafka().source_retention = -1h; },
         "kafka.source_retention"},
    }),
    BehaviourOf<EndpointSpec>);

TEST(EndpointTest, IsValidWithTheLeast) { EXPECT_TRUE(Validate(Endpoint("oci")).ok()); }

TEST(EndpointTest, MayHaveABrokerByAddress) {
  EndpointSpec endpoint = Endpoint("oci");
  endpoint.kafka().bootstrap = {"10.0.0.1:9092", "[2001:db8::1]:9092"};

  EXPECT_TRUE(Validate(endpoint).ok());
}

class BridgeFaultTest : public testing::TestWithParam<Fault<BridgeSpec>> {};

TEST_P(BridgeFaultTest, IsBlamedOnItsField) {
  BridgeSpec bridge = Bridge({"audit", "/vcn-.*/"}, "oci.{topic}");
  GetParam().spoil(bridge);

  const Status status = Validate(bridge);

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.field(), GetParam().field);
}

INSTANTIATE_TEST_SUITE_P(
    , BridgeFaultTest,
    testing::ValuesIn(std::vector<Fault<BridgeSpec>>{
        {"NoName", [](auto& it) { it.name = ""; }, "name"},
        {"NoTopics", [](auto& it) { it.source.topics.clear(); }, "source.topics"},
        {"ABadTopic", [](auto& it) { it.source.topics[0] = "a b"; }, "source.topics[0]"},
        {"ABadPattern", [](auto& it) { it.source.topics[1] = "/(/"; }, "source.topics[1]"},
        {"ABadTemplate", [](auto& it) { it.target.topic = "{source}"; }, "target.topic"},
        {"ManyTopicsIntoOne", [](auto& it) { it.target.topic = "all"; }, "target.topic"},
        {"APatternIntoOne",
         [](auto& it) {
           it.source.topics = {"/vcn-.*/"};
           it.target.topic = "all";
         },
         "target.topic"},
        {"NoLanes", [](auto& it) { it.lanes = 0; }, "lanes"},
        {"TooManyLanes", [](auto& it) { it.lanes = kLanesMax + 1; }, "lanes"},
        {"NegativeReplicas", [](auto& it) { it.target.replication_factor = -1; },
         "target.replication_factor"},
        {"TooManyReplicas", [](auto& it) { it.target.replication_factor = 32768; },
         "target.replication_factor"},
        {"ALabelWithoutAValue", [](auto& it) { it.placement["cloud"] = ""; }, "placement"},
        {"ALabelWithoutAKey", [](auto& it) { it.placement[""] = "oci"; }, "placement"},
    }),
    BehaviourOf<BridgeSpec>);

TEST(BridgeTest, MayCarryOneTopicIntoOneOfAnotherName) {
  EXPECT_TRUE(Validate(Bridge({"audit"}, "oci-audit")).ok());
}

class BridgeWithEndpointsTest : public testing::Test {
 protected:
  Status Check() const { return ValidateWithEndpoints(bridge_, source_, target_); }

  BridgeSpec bridge_ = Bridge({"audit"}, "{topic}");
  KnownEndpoint source_{.spec = Endpoint("oci"), .cluster_id = "source-id"};
  KnownEndpoint target_{.spec = Endpoint("aws"), .cluster_id = "target-id"};

  void SetUp() override { target_.spec.kafka().bootstrap = {"msk.example:9094"}; }
};

TEST_F(BridgeWithEndpointsTest, IsFineBetweenTwoClusters) { EXPECT_TRUE(Check().ok()); }

TEST_F(BridgeWithEndpointsTest, IsRefusedOntoItself) {
  target_.cluster_id = source_.cluster_id;

  EXPECT_EQ(Check().reason(), Reason::kBridgeOntoItself);
  EXPECT_EQ(Check().field(), "target.endpoint");
}

TEST_F(BridgeWithEndpointsTest, MayCopyWithinAClusterUnderAnotherName) {
  target_ = source_;
  bridge_.target.topic = "copy.{topic}";

  EXPECT_TRUE(Check().ok());
}

TEST_F(BridgeWithEndpointsTest, IsRefusedWhereTheTargetCannotKeepThePromise) {
  target_.spec.kafka().profile = Profile::kOciStreaming;
  bridge_.target.require_idempotence = true;

  EXPECT_EQ(Check().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Check().reason(), Reason::kGuaranteeUnsupported);
  EXPECT_EQ(Check().field(), "target.require_idempotence");
}

TEST_F(BridgeWithEndpointsTest, IsRefusedWithACodecThatTheTargetDoesNotTake) {
  target_.spec.kafka().profile = Profile::kAzureEventHubs;
  bridge_.target.compression = Compression::kZstd;

  EXPECT_EQ(Check().reason(), Reason::kGuaranteeUnsupported);
  EXPECT_EQ(Check().field(), "target.compression");

  bridge_.target.compression = Compression::kDefault;
  EXPECT_TRUE(Check().ok());
}

// --- Search engines ---

class EngineTest : public BridgeWithEndpointsTest {
 protected:
  void SetUp() override {
    OpenSearchEndpoint engine;
    engine.addresses = {"https://search.example:9200"};
    target_.spec.cluster = engine;
    bridge_.target.index = "logs-{topic}-{+yyyy.MM.dd}";
  }
};

TEST_F(EngineTest, TakesABridgeWithAnIndex) {
  EXPECT_TRUE(Validate(target_.spec).ok()) << Validate(target_.spec).ToString();
  EXPECT_TRUE(Validate(bridge_).ok());
  EXPECT_TRUE(Check().ok()) << Check().ToString();
  EXPECT_EQ(TargetNameOf(bridge_, "Audit"), "logs-audit-{+yyyy.MM.dd}");
}

TEST_F(EngineTest, TakesManyTopicsIntoOneIndex) {
  bridge_.source.topics = {"audit", "/vcn-.*/"};
  bridge_.target.index = "logs";

  EXPECT_TRUE(Validate(bridge_).ok());
}

TEST_F(EngineTest, WantsAddressesThatNameOneEngineAndNothingBehindIt) {
  const auto check = [&](std::vector<std::string> addresses) {
    target_.spec.opensearch().addresses = std::move(addresses);
    return Validate(target_.spec).field();
  };
  EXPECT_EQ(check({}), "opensearch.addresses");
  for (const char* address :
       {"search.example:9200", "https://search.example", "ftp://a:1", "https://a:1/path",
        "https://user:word@a:1", "https://a:0", "https://", "https://a:1,b:2", "https://a:1?x"}) {
    EXPECT_EQ(check({"https://a:1", address}), "opensearch.addresses[1]") << address;
  }
  EXPECT_EQ(check({"https://a:1", "http://b:1"}), "opensearch.addresses[1]");
  EXPECT_EQ(check({"http://a:1", "http://[::1]:9200"}), "");
  EXPECT_EQ(check({"https://a:1", "https://b:1", "https://a:1"}), "opensearch.addresses[2]");
  EXPECT_EQ(check({"https://a:1", "https://A:1"}), "opensearch.addresses[1]") << "one host";
  EXPECT_NE(Validate(target_.spec).message().find("\"https://A:1\""), std::string::npos);
  EXPECT_EQ(check({"https://a:1", "https://a:2", "https://b:1"}), "");
  EXPECT_EQ(check({"https://x.us-east-1.aoss.amazonaws.com:443"}), "opensearch.addresses[0]");
  EXPECT_EQ(Validate(target_.spec).reason(), Reason::kGuaranteeUnsupported);
  target_.spec.opensearch().addresses = {"http://a:1"};
  target_.spec.opensearch().ca_pem = "-----BEGIN CERTIFICATE-----";
  EXPECT_EQ(Validate(target_.spec).field(), "opensearch.ca_pem");
}

TEST_F(EngineTest, WantsAnIndex) {
  bridge_.target.index = "";
  EXPECT_EQ(Check().field(), "target.index");
  bridge_.target.index = "{topic}";
  EXPECT_EQ(Validate(bridge_).field(), "target.index");
  bridge_.target.index = "logs";
  bridge_.target.dead_letter_index = "dead-{topic}";
  EXPECT_EQ(Validate(bridge_).field(), "target.dead_letter_index");
  bridge_.target.index = "logs-{topic}";
  bridge_.target.dead_letter_index = "logs-dead";
  EXPECT_EQ(Validate(bridge_).field(), "target.dead_letter_index") << "a topic may be called dead";
}

TEST_F(EngineTest, KeepsDeadLettersInOnePlace) {
  const auto field_of = [&](std::string topic) {
    bridge_.target.dead_letter_topic = std::move(topic);
    return Validate(bridge_).field();
  };
  bridge_.source.topics = {"audit", "/vcn-.*/"};
  EXPECT_EQ(field_of("dead"), "");
  EXPECT_EQ(field_of("no topic"), "target.dead_letter_topic");
  EXPECT_EQ(field_of("audit"), "target.dead_letter_topic") << "it would carry its own letters";
  EXPECT_EQ(field_of("vcn-dead"), "target.dead_letter_topic") << "it would carry its own letters";
  bridge_.target.dead_letter_index = "dead";
  EXPECT_EQ(field_of("dead"), "target.dead_letter_topic");
}

TEST_F(EngineTest, LimitsDeadLettersToAPercentage) {
  const auto field_of = [&](int percent) {
    bridge_.target.dead_letter_max_percent = percent;
    return Validate(bridge_).field();
  };
  EXPECT_EQ(field_of(0), "") << "no limit";
  EXPECT_EQ(field_of(1), "");
  EXPECT_EQ(field_of(100), "");
  EXPECT_EQ(field_of(-1), "target.dead_letter_max_percent");
  EXPECT_EQ(field_of(101), "target.dead_letter_max_percent");
}

TEST_F(EngineTest, TakesNothingThatOnlyTopicsHave) {
  const BridgeTarget fine = bridge_.target;
  const auto field_of = [&](auto change) {
    bridge_.target = fine;
    change(bridge_.target);
    return Check().field();
  };
  EXPECT_EQ(field_of([](auto& it) { it.topic = "x"; }), "target.topic");
  EXPECT_EQ(field_of([](auto& it) { it.compression = Compression::kZstd; }), "target.compression");
  EXPECT_EQ(field_of([](auto& it) { it.replication_factor = 3; }), "target.replication_factor");
  EXPECT_EQ(field_of([](auto& it) { it.provenance = false; }), "target.provenance");
  EXPECT_EQ(field_of([](auto& it) { it.require_idempotence = true; }),
            "target.require_idempotence");
}

TEST_F(EngineTest, IsNoSource) {
  std::swap(source_, target_);
  bridge_.target.index = "";

  EXPECT_EQ(Check().field(), "source.endpoint");
}

TEST_F(BridgeWithEndpointsTest, TakesNoIndexIntoAKafkaCluster) {
  bridge_.target.index = "logs";
  EXPECT_EQ(Check().field(), "target.index");
  bridge_.target.index = "";
  bridge_.target.dead_letter_index = "dead";
  EXPECT_EQ(Check().field(), "target.dead_letter_index");
  bridge_.target.dead_letter_index = "";
  bridge_.target.dead_letter_topic = "dead";
  EXPECT_EQ(Check().field(), "target.dead_letter_topic");
  bridge_.target.dead_letter_topic = "";
  bridge_.target.dead_letter_max_percent = 5;
  EXPECT_EQ(Check().field(), "target.dead_letter_max_percent");
}

TEST(SameClusterTest, IsNeverAnEngineAndACluster) {
  KnownEndpoint engine{.spec = {.name = "search", .cluster = OpenSearchEndpoint{}},
                       .cluster_id = "x"};
  const KnownEndpoint kafka{.spec = Endpoint("oci"), .cluster_id = "x"};

  EXPECT_FALSE(AreSameCluster(engine, kafka));
  EXPECT_FALSE(AreSameCluster(kafka, engine));
}

TEST(SameClusterTest, IsToldByNameKeyIdOrBroker) {
  const KnownEndpoint oci{.spec = Endpoint("oci"), .cluster_id = ""};
  KnownEndpoint other{.spec = Endpoint("other"), .cluster_id = ""};
  EXPECT_TRUE(AreSameCluster(oci, other)) << "they share a broker";

  other.spec.kafka().bootstrap = {"elsewhere.example:9092"};
  EXPECT_FALSE(AreSameCluster(oci, other)) << "two ids that nobody has seen are not the same";

  other.spec.name = "oci";
  EXPECT_TRUE(AreSameCluster(oci, other));
}

TEST(SameClusterTest, IsToldByAKeyThatIsSetByHand) {
  KnownEndpoint one{.spec = Endpoint("one"), .cluster_id = ""};
  KnownEndpoint two{.spec = Endpoint("two"), .cluster_id = ""};
  two.spec.kafka().bootstrap = {"elsewhere.example:9092"};

  one.spec.kafka().cluster_key = two.spec.kafka().cluster_key = "pool-7";

  EXPECT_TRUE(AreSameCluster(one, two));
}

class LoopTest : public testing::Test {
 protected:
  // Two bridges between the same two clusters, one each way, without provenance.
  bool Loops(const BridgeSpec& there, const BridgeSpec& back) const {
    BridgeSpec one = there;
    BridgeSpec other = back;
    one.target.provenance = other.target.provenance = false;
    EXPECT_EQ(FeedEachOther(one, other), FeedEachOther(other, one));
    return FeedEachOther(one, other);
  }
};

TEST_F(LoopTest, IsATopicThatComesBackUnderItsOwnName) {
  EXPECT_TRUE(Loops(Bridge({"audit"}, "{topic}"), Bridge({"audit"}, "{topic}")));
  EXPECT_TRUE(Loops(Bridge({"audit"}, "a.{topic}"), Bridge({"a.audit"}, "audit")));
}

TEST_F(LoopTest, MayHideInAPattern) {
  EXPECT_TRUE(Loops(Bridge({"/.*/"}, "{topic}"), Bridge({"audit"}, "{topic}")));
  EXPECT_TRUE(Loops(Bridge({"/a.*/"}, "{topic}"), Bridge({"/.*t/"}, "{topic}")));
}

TEST_F(LoopTest, IsNoneBetweenTopicsThatDoNotMeet) {
  EXPECT_FALSE(Loops(Bridge({"audit"}, "{topic}"), Bridge({"waf"}, "{topic}")));
  EXPECT_FALSE(Loops(Bridge({"audit"}, "a.{topic}"), Bridge({"audit"}, "b.{topic}")));
}

TEST_F(LoopTest, IsBrokenByProvenanceOnBothWays) {
  const BridgeSpec there = Bridge({"audit"}, "{topic}");
  BridgeSpec back = there;

  EXPECT_FALSE(FeedEachOther(there, back));

  back.target.provenance = false;
  EXPECT_TRUE(FeedEachOther(there, back));
}

TEST(FlowTest, HasTheTopicsAndNamesOfItsBridge) {
  const TopicFlow flow = FlowOf(Bridge({"audit", "/vcn-.*/"}, "oci.{topic}"));

  EXPECT_TRUE(flow.selection.Matches("vcn-flow"));
  EXPECT_EQ(flow.mapping.Apply("audit"), "oci.audit");
}

}  // namespace
}  // namespace drawbridge
