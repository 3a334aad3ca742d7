#include "relay/kafka/endpoint_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/mock_kafka.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class TestEndpointTest : public testing::Test {
 protected:
  MockKafka kafka_;
};

TEST_F(TestEndpointTest, TriesEachTopic) {
  kafka_.CreateTopic("audit", 3);
  kafka_.SetTopicError("nope", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  kafka_.Write("audit", 0, {{.value = "a"}, {.value = "b"}});

  const std::vector<EndpointCheck> checks = TestEndpoint(kafka_.cluster(), {"audit", "nope"}, 10s);

  ASSERT_EQ(checks.size(), 4);
  EXPECT_EQ(checks[0].name, "connect");
  EXPECT_TRUE(checks[0].is_ok);
  EXPECT_THAT(checks[0].detail, HasSubstr("1 broker"));
  EXPECT_EQ(checks[1].name, "topics");
  EXPECT_TRUE(checks[1].is_ok);
  EXPECT_EQ(checks[2].name, "topic audit");
  EXPECT_TRUE(checks[2].is_ok);
  EXPECT_THAT(checks[2].detail, HasSubstr("3 partitions, at most 2 records"));
  EXPECT_EQ(checks[3].name, "topic nope");
  EXPECT_FALSE(checks[3].is_ok);
  EXPECT_EQ(checks[3].reason, Reason::kTopicNotFound);
}

TEST_F(TestEndpointTest, StopsWhereNobodyAnswers) {
  kafka_.SetDown();
  const BootTime begin = Clock::System().Now();

  const std::vector<EndpointCheck> checks = TestEndpoint(kafka_.cluster(), {"audit"}, 2s);

  ASSERT_EQ(checks.size(), 1);
  EXPECT_EQ(checks[0].name, "connect");
  EXPECT_FALSE(checks[0].is_ok);
  EXPECT_EQ(checks[0].reason, Reason::kUnreachable);
  EXPECT_LT(Clock::System().Now() - begin, 6s);
}

TEST_F(TestEndpointTest, SaysWhatTheSettingsLack) {
  KafkaCluster cluster = kafka_.cluster();
  cluster.endpoint.kafka().plaintext = false;
  cluster.endpoint.kafka().ca_pem = "no certificate";

  const std::vector<EndpointCheck> checks = TestEndpoint(cluster, {}, 2s);

  ASSERT_EQ(checks.size(), 1);
  EXPECT_FALSE(checks[0].is_ok);
  EXPECT_EQ(checks[0].reason, Reason::kFieldInvalid);
}

}  // namespace
}  // namespace drawbridge
