#include "model/convert/observation.h"

#include "tests/model/convert/messages.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

// A reason that only a newer version knows becomes the one that says so.
template <typename Conditions>
void ForgetUnknownReasons(Conditions& conditions) {
  for (auto& condition : conditions) {
    if (!v1::Reason_IsValid(condition.reason())) condition.clear_reason();
  }
}

class ReportTest : public testing::Test {
 protected:
  v1::Report message_ = FromText<v1::Report>(R"(
      partitions {
        stream_id: 7
        partition: 3
        token { incarnation: 1 epoch: 12 }
        confirmed: 100
        read_position: 150
        log_start: 20
        log_end: 1000
        oldest_unconfirmed_ms: 1773480413589
        in_flight_records: 50
        in_flight_bytes: 51200
        since_moved { seconds: 1 nanos: 5 }
        since_source_seen { seconds: 2 nanos: 5 }
        waiting_for { seconds: 3 nanos: 5 }
        state: PARTITION_STATE_PARKED
        records_confirmed: 4000
        bytes_confirmed: 4096000
        records_filtered: 6
      }
      conditions {
        side: "target"
        reason: REASON_NOT_ENOUGH_REPLICAS
        text: "2 of 3 in sync"
        bridge_id: 5
        stream_id: 7
        partition: 3
        age { seconds: 12 nanos: 5 }
      }
      buffered_bytes: 1048576)");
};

TEST_F(ReportTest, KeepsAll) { ExpectKeepsAll(message_); }

TEST_F(ReportTest, KeepsWhatIsUnknownApartFromZero) {
  const auto unknown = FromText<v1::Report>(R"(
      partitions { stream_id: 7 token {} }
      conditions { side: "relay" })");
  const auto zero = FromText<v1::Report>(R"(
      partitions {
        stream_id: 7
        token {}
        log_start: 0
        log_end: 0
        oldest_unconfirmed_ms: 0
        since_moved {}
        since_source_seen {}
        waiting_for {}
      }
      conditions { side: "relay" stream_id: 7 partition: 0 age {} })");

  for (const v1::Report& message : {unknown, zero}) {
    const StatusOr<v1::Report> kept = ThereAndBack(message);

    ASSERT_TRUE(kept.ok()) << kept.status().ToString();
    EXPECT_THAT(*kept, EqualsMessage(message));
  }
}

TEST_F(ReportTest, RefusesOrKeepsWhateverComes) {
  ExpectRefusesOrKeeps<v1::Report>(
      message_, [](v1::Report& it) { ForgetUnknownReasons(*it.mutable_conditions()); });
}

TEST_F(ReportTest, BlamesTheFieldByItsPath) {
  const auto blamed = [&](const std::string& field, auto spoil) {
    ExpectBlamed(message_, "partitions[0]." + field,
                 [&](auto& it) { spoil(*it.mutable_partitions(0)); });
  };
  blamed("stream_id", [](auto& it) { it.clear_stream_id(); });
  blamed("token", [](auto& it) { it.clear_token(); });
  blamed("confirmed", [](auto& it) { it.set_confirmed(-1); });
  blamed("log_end", [](auto& it) { it.set_log_end(-1001); });
  blamed("in_flight_records", [](auto& it) { it.set_in_flight_records(-1); });
  blamed("since_moved", [](auto& it) { *it.mutable_since_moved() = ToProto(Duration(-1ns)); });
  blamed("waiting_for", [](auto& it) { it.mutable_waiting_for()->set_nanos(1'000'000'000); });
  blamed("state", [](auto& it) { it.set_state(static_cast<v1::PartitionState>(7)); });
}

TEST_F(ReportTest, BlamesAConditionByItsPlace) {
  const auto blamed = [&](const std::string& field, auto spoil) {
    ExpectBlamed(message_, "conditions[0]." + field,
                 [&](auto& it) { spoil(*it.mutable_conditions(0)); });
  };
  blamed("side", [](auto& it) { it.clear_side(); });
  blamed("side", [](auto& it) { it.set_side("Source"); });
  blamed("stream_id", [](auto& it) { it.set_stream_id(-1); });
  blamed("stream_id", [](auto& it) { it.clear_stream_id(); });
  blamed("partition", [](auto& it) { it.set_partition(-1); });
  blamed("age", [](auto& it) { *it.mutable_age() = ToProto(Duration(-1s)); });
}

TEST_F(ReportTest, LetsNoRelaySpeakForTheServer) {
  ExpectBlamed(message_, "conditions[0].side",
               [](auto& it) { it.mutable_conditions(0)->set_side("server"); });
}

TEST_F(ReportTest, ArrivesWhateverABrokerSays) {
  Report report;
  report.conditions.resize(1);
  report.conditions[0].text = "caf\xE9 " + std::string(100'000, 'x');

  const v1::Report message = ToProto(report);

  EXPECT_LE(message.conditions(0).text().size(), 1024U);
  EXPECT_TRUE(message.conditions(0).text().starts_with("caf\xEF\xBF\xBD xxx"));
  v1::Report received;
  EXPECT_TRUE(received.ParseFromString(message.SerializeAsString()));
}

TEST_F(ReportTest, MayNameAHundredThousandPartitions) {
  const v1::PartitionReport one = message_.partitions(0);
  for (int i = 0; i < 100'000; ++i) *message_.add_partitions() = one;

  EXPECT_TRUE(FromProto(message_).ok());
}

class SurveyResultTest : public testing::Test {
 protected:
  v1::SurveyResult message_ = FromText<v1::SurveyResult>(R"(
      bridge_id: 5
      generation: 8
      source_cluster_id: "oci-id"
      target_cluster_id: "aws-id"
      topics {
        topic: "audit"
        target_topic: "oci.audit"
        target_partitions: 2
        partitions { partition: 1 log_start: 5 log_end: 9 start_offset: 6 target_ready: true }
        retention_ms: 86400000
        topic_id: "HxVZVAAAQACNdsABuEAQUg"
      }
      conditions {
        side: "source"
        reason: REASON_TOPIC_NOT_FOUND
        text: "no such topic"
        topic: "waf"
        blocks: true
      }
      complete: true)");
};

TEST_F(SurveyResultTest, KeepsAll) { ExpectKeepsAll(message_); }

TEST_F(SurveyResultTest, KeepsWhatIsUnknownApartFromZero) {
  const auto unknown = FromText<v1::SurveyResult>(
      R"(bridge_id: 5 topics { topic: "a" target_topic: "a" partitions {} })");
  const auto zero = FromText<v1::SurveyResult>(R"(
      bridge_id: 5
      topics {
        topic: "a"
        target_topic: "a"
        partitions { log_start: 0 log_end: 0 start_offset: 0 }
        retention_ms: 0
      })");

  for (const v1::SurveyResult& message : {unknown, zero}) {
    const StatusOr<v1::SurveyResult> kept = ThereAndBack(message);

    ASSERT_TRUE(kept.ok()) << kept.status().ToString();
    EXPECT_THAT(*kept, EqualsMessage(message));
  }
}

TEST_F(SurveyResultTest, RefusesOrKeepsWhateverComes) {
  ExpectRefusesOrKeeps<v1::SurveyResult>(
      message_, [](v1::SurveyResult& it) { ForgetUnknownReasons(*it.mutable_conditions()); });
}

TEST_F(SurveyResultTest, KnowsARetentionForEver) {
  message_.mutable_topics(0)->set_retention_ms(-1);
  EXPECT_EQ(FromProto(message_)->topics[0].retention_ms, -1);

  message_.mutable_topics(0)->set_retention_ms(-2);
  EXPECT_EQ(FromProto(message_).status().field(), "topics[0].retention_ms");
}

TEST_F(SurveyResultTest, TakesNoTopicIdThatNoClusterGives) {
  message_.mutable_topics(0)->set_topic_id(std::string(65, 'x'));
  EXPECT_EQ(FromProto(message_).status().field(), "topics[0].topic_id");
}

TEST_F(SurveyResultTest, SaysWhichBridgeItsConditionsAreAbout) {
  const StatusOr<SurveyResult> result = FromProto(message_);

  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->conditions[0].bridge, BridgeId{5});
}

TEST_F(SurveyResultTest, BlamesTheFieldByItsPath) {
  ExpectBlamed(message_, "bridge_id", [](auto& it) { it.set_bridge_id(0); });
  ExpectBlamed(message_, "generation", [](auto& it) { it.set_generation(-1); });
  ExpectBlamed(message_, "topics[0].topic", [](auto& it) { it.mutable_topics(0)->clear_topic(); });
  ExpectBlamed(message_, "topics[0].partitions[0].log_end",
               [](auto& it) { it.mutable_topics(0)->mutable_partitions(0)->set_log_end(-1); });
  ExpectBlamed(message_, "conditions[0].side",
               [](auto& it) { it.mutable_conditions(0)->set_side("server"); });
}

TEST_F(SurveyResultTest, RefusesWhatIsNamedTwice) {
  ExpectBlamed(message_, "topics[1]", [](auto& it) { *it.add_topics() = it.topics(0); });
  ExpectBlamed(message_, "topics[0].partitions[1]", [](auto& it) {
    *it.mutable_topics(0)->add_partitions() = it.topics(0).partitions(0);
  });
}

TEST(ConditionTest, IsShownToOperatorsWithTheTimeOfItsBeginning) {
  const WallTime now{1773480413s};
  const Condition condition{.side = Side::kServer,
                            .reason = Reason::kNoRelay,
                            .text = "start one",
                            .bridge = {5},
                            .stream = StreamId{7},
                            .partition = 3,
                            .topic = "audit",
                            .age = 90s};

  EXPECT_THAT(ToProto(condition, RelayName{"oci-1"}, now), EqualsMessage(FromText<v1::Condition>(R"(
      side: "server"
      reason: REASON_NO_RELAY
      text: "start one"
      topic: "audit"
      partition: 3
      since { seconds: 1773480323 }
      relay: "oci-1")")));
}

TEST(ConditionTest, HasNoBeginningWhenItsAgeIsUnknown) {
  EXPECT_FALSE(ToProto(Condition{}, RelayName{}, WallTime{1773480413s}).has_since());
}

TEST(ConditionTest, MayBeOlderThanTheEpoch) {
  Condition condition;
  condition.age = Duration::max();

  EXPECT_TRUE(FromProto(ToProto(condition, RelayName{}, WallTime{}).since()).ok());
}

TEST(EndpointCheckTest, KeepsAll) {
  const auto message = FromText<v1::EndpointCheck>(R"(
      name: "topic audit"
      ok: true
      reason: REASON_AUTHORIZATION_FAILED
      detail: "an ACL is missing")");
  EXPECT_THAT(UnsetFields(message), testing::IsEmpty());

  EXPECT_THAT(ToProto(FromProto(message)), EqualsMessage(message));
}

TEST(EndpointCheckTest, HasNoReasonThatThisVersionDoesNotKnow) {
  v1::EndpointCheck message;
  message.set_reason(static_cast<v1::Reason>(99));

  EXPECT_EQ(FromProto(message).reason, Reason::kUnspecified);
}

}  // namespace
}  // namespace drawbridge
