#include <gmock/gmock.h>

#include "drawbridge/v1/bridge.pb.h"
#include "drawbridge/v1/credential.pb.h"
#include "drawbridge/v1/endpoint.pb.h"
#include "drawbridge/v1/relay_admin.pb.h"
#include "drawbridge/v1/stream.pb.h"
#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class GetTest : public VerbTest {
 protected:
  v1::ListStreamsResponse TwoStreams() {
    v1::ListStreamsResponse list;
    v1::Stream& known = *list.add_streams();
    known.set_bridge("oci-logs");
    known.set_topic("audit");
    known.set_target_topic("oci.audit");
    known.set_partitions(3);
    known.mutable_status()->set_motion(v1::MOTION_CATCHING_UP);
    known.mutable_status()->set_lag_records(12345);
    known.mutable_status()->mutable_lag()->set_seconds(90);
    v1::Stream& unknown = *list.add_streams();
    unknown.set_bridge("oci-logs");
    unknown.set_topic("waf");
    unknown.set_target_topic("oci.waf");
    return list;
  }
};

TEST_F(GetTest, ShowsUnknownValuesAsUnknown) {
  server_.WillAnswer(v1::ListStreamsRequest{}, TwoStreams());

  EXPECT_EQ(Run({"get", "streams"}), ExitCode::kOk) << err();

  EXPECT_EQ(out(),
            "BRIDGE    TOPIC  TARGET TOPIC  PARTITIONS  STATE           LAG  BEHIND  DELIVERED  "
            "FILTERED  DEAD LETTERS  GAPS  PROBLEM\n"
            "oci-logs  audit  oci.audit              3  catching-up  12,345   1m30s          0  "
            "       0             0     0\n"
            "oci-logs  waf    oci.waf                0  ?                 ?       ?          0  "
            "       0             0     0\n");
}

TEST_F(GetTest, GivesScriptsNumbersAndNulls) {
  server_.WillAnswer(v1::ListStreamsRequest{}, TwoStreams());

  EXPECT_EQ(Run({"get", "streams", "oci-logs", "-o", "json"}), ExitCode::kOk);

  EXPECT_EQ(server_.Requests<v1::ListStreamsRequest>().at(0).bridge(), "oci-logs");
  EXPECT_EQ(OutJson()["streams"][0]["status"]["lag_records"], 12345);
  EXPECT_EQ(OutJson()["streams"][0]["status"]["lag_seconds"], 90.0);
  EXPECT_TRUE(OutJson()["streams"][1]["status"].is_null());
}

TEST_F(GetTest, GetsOneByItsName) {
  v1::Stream stream;
  stream.set_bridge("oci-logs");
  stream.set_topic("audit");
  server_.WillAnswer(v1::GetStreamRequest{}, stream);

  EXPECT_EQ(Run({"get", "stream", "oci-logs/audit", "-o", "json"}), ExitCode::kOk);

  EXPECT_EQ(server_.Requests<v1::GetStreamRequest>().at(0).topic(), "audit");
  EXPECT_EQ(OutJson()["streams"][0]["topic"], "audit");
}

TEST_F(GetTest, ReadsAllPages) {
  v1::ListPartitionsResponse page;
  page.add_partitions()->set_topic("audit");
  server_.WillAnswer(v1::ListPartitionsRequest{}, page);

  EXPECT_EQ(Run({"get", "partitions", "oci-logs/audit", "-o", "json"}), ExitCode::kOk);

  const auto requests = server_.Requests<v1::ListPartitionsRequest>();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].bridge(), "oci-logs");
  EXPECT_EQ(requests[0].topic(), "audit");
  EXPECT_EQ(OutJson()["partitions"].size(), 1U);
  EXPECT_FALSE(OutJson().contains("next_page_token"));
}

TEST_F(GetTest, ShowsBridgesWithTheirWorstProblem) {
  v1::ListBridgesResponse list;
  v1::Bridge& bridge = *list.add_bridges();
  bridge.set_name("oci-logs");
  bridge.mutable_spec()->mutable_source()->set_endpoint("oci-fra");
  bridge.mutable_spec()->mutable_source()->add_topics("audit");
  bridge.mutable_spec()->mutable_target()->set_endpoint("aws-iad");
  v1::Condition& condition = *bridge.mutable_status()->add_conditions();
  condition.set_side("source");
  condition.set_reason(v1::REASON_TLS_UNTRUSTED);
  condition.set_text("unknown CA");
  *bridge.mutable_status()->add_conditions() = condition;
  server_.WillAnswer(v1::ListBridgesRequest{}, list);

  EXPECT_EQ(Run({"get", "bridges"}), ExitCode::kOk);

  EXPECT_EQ(out(),
            "NAME      SOURCE   TOPICS  TARGET   TARGET TOPIC  LANES  STATE         PROBLEM\n"
            "oci-logs  oci-fra  audit   aws-iad  {topic}           1  has problems  "
            "TLS_UNTRUSTED source: unknown CA (and 1 more)\n");
}

TEST_F(GetTest, ShowsRelaysWithTheirAges) {
  v1::ListRelaysResponse list;
  v1::Relay& relay = *list.add_relays();
  relay.set_name("relay-1");
  relay.set_state(v1::RELAY_STATE_CONNECTED);
  (*relay.mutable_labels())["cloud"] = "oci";
  relay.mutable_last_seen()->set_seconds(1'773'478'800 - 5);
  relay.set_version("0.1.0");
  list.add_relays()->set_name("relay-2");
  server_.WillAnswer(v1::ListRelaysRequest{}, list);

  EXPECT_EQ(Run({"relay", "list"}), ExitCode::kOk);

  EXPECT_THAT(out(), HasSubstr("relay-1  connected  cloud=oci           0        0  5s ago"));
  EXPECT_THAT(out(), HasSubstr("relay-2  ?          -                   0        0  never"));
}

TEST_F(GetTest, ShowsEndpointsAndCredentials) {
  v1::ListEndpointsResponse endpoints;
  v1::Endpoint& endpoint = *endpoints.add_endpoints();
  endpoint.set_name("oci-fra");
  endpoint.mutable_kafka()->add_bootstrap("a:1");
  endpoint.mutable_kafka()->add_bootstrap("b:2");
  endpoint.mutable_kafka()->set_profile(v1::PROFILE_OCI_STREAMING);
  server_.WillAnswer(v1::ListEndpointsRequest{}, endpoints);
  v1::ListCredentialsResponse credentials;
  v1::Credential& credential = *credentials.add_credentials();
  credential.set_name("oci-user");
  credential.set_kind(v1::CREDENTIAL_KIND_SASL_PLAIN);
  credential.set_version(2);
  server_.WillAnswer(v1::ListCredentialsRequest{}, credentials);

  EXPECT_EQ(Run({"get", "endpoints"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("oci-fra  oci-streaming  a:1,b:2    -           yes  ?"));
  EXPECT_EQ(Run({"credential", "list"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("oci-user  sasl-plain        2  -     -     ?"));
}

TEST_F(GetTest, SaysThatThereIsNothingAndWhatToDo) {
  EXPECT_EQ(Run({"get", "bridges"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("no bridges"));
  EXPECT_EQ(Run({"get", "relays"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("drawbridge relay token create"));
  EXPECT_EQ(Run({"get", "bridges", "-o", "json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson()["bridges"], nlohmann::json::array());
}

// A resource may be called like a verb.
TEST_F(GetTest, TakesAVerbAsAName) {
  for (const char* name : {"status", "get", "relay", "json"}) {
    EXPECT_EQ(Run({"get", "bridges", name}), ExitCode::kOk) << name;
    EXPECT_EQ(server_.Requests<v1::GetBridgeRequest>().back().name(), name);
  }
}

}  // namespace
}  // namespace drawbridge::cli
