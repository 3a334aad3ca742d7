#include <gmock/gmock.h>

#include "drawbridge/v1/bridge.pb.h"
#include "drawbridge/v1/endpoint.pb.h"
#include "drawbridge/v1/relay_admin.pb.h"
#include "drawbridge/v1/stream.pb.h"
#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::HasSubstr;

class DescribeTest : public VerbTest {
 protected:
  static v1::Bridge BridgeWithAProblem() {
    v1::Bridge bridge;
    bridge.set_name("oci-logs");
    bridge.set_generation(3);
    bridge.mutable_spec()->mutable_source()->set_endpoint("oci-fra");
    bridge.mutable_spec()->mutable_target()->set_endpoint("aws-iad");
    bridge.mutable_status()->set_observed_generation(2);
    v1::Condition& condition = *bridge.mutable_status()->add_conditions();
    condition.set_side("target");
    condition.set_reason(v1::REASON_AUTHENTICATION_FAILED);
    condition.set_text("wrong password: set the credential aws-client again");
    condition.mutable_since()->set_seconds(1'773'478'800);
    condition.set_relay("relay-1");
    return bridge;
  }
};

TEST_F(DescribeTest, ShowsABridgeWithItsProblemsAndStreams) {
  server_.WillAnswer(v1::GetBridgeRequest{}, BridgeWithAProblem());
  v1::ListStreamsResponse streams;
  streams.add_streams()->set_topic("audit");
  server_.WillAnswer(v1::ListStreamsRequest{}, streams);

  EXPECT_EQ(Run({"describe", "bridge", "oci-logs"}), ExitCode::kOk) << err();

  EXPECT_THAT(out(), HasSubstr("Generation:         3, taken over: 2\n"));
  EXPECT_THAT(out(), HasSubstr("Start:              earliest\n"));
  EXPECT_THAT(out(), HasSubstr("Placement:          any relay\n"));
  EXPECT_THAT(out(),
              HasSubstr("AUTHENTICATION_FAILED  target  2026-03-14T09:00:00Z  (all)      (all) "
                        " relay-1  wrong password: set the credential aws-client again\n"));
  EXPECT_THAT(out(), HasSubstr("\nStreams\nBRIDGE"));
}

TEST_F(DescribeTest, GivesABridgeAndItsStreamsAsOneObject) {
  server_.WillAnswer(v1::GetBridgeRequest{}, BridgeWithAProblem());

  EXPECT_EQ(Run({"describe", "bridge", "oci-logs", "-o", "json"}), ExitCode::kOk);

  EXPECT_EQ(OutJson()["status"]["conditions"][0]["reason"], "AUTHENTICATION_FAILED");
  EXPECT_EQ(OutJson()["streams"], nlohmann::json::array());
}

TEST_F(DescribeTest, ShowsAStreamWithItsPartitions) {
  v1::Stream stream;
  stream.set_bridge("oci-logs");
  stream.set_topic("audit");
  stream.mutable_status()->set_motion(v1::MOTION_BLOCKED);
  server_.WillAnswer(v1::GetStreamRequest{}, stream);
  v1::ListPartitionsResponse partitions;
  v1::Partition& partition = *partitions.add_partitions();
  partition.set_topic("audit");
  partition.set_partition(7);
  partition.set_next_offset(1234);
  server_.WillAnswer(v1::ListPartitionsRequest{}, partitions);

  EXPECT_EQ(Run({"describe", "stream", "oci-logs/audit"}), ExitCode::kOk);

  EXPECT_THAT(out(), HasSubstr("State:         blocked\n"));
  EXPECT_THAT(out(), HasSubstr("Lag:           ? records, ?\n"));
  EXPECT_THAT(out(), HasSubstr("Rate:          ? records/s, ? MB/s\n"));
  EXPECT_THAT(out(), HasSubstr("audit          7        1,234          ?"));
}

TEST_F(DescribeTest, ShowsWhoUsesAnEndpoint) {
  v1::Endpoint endpoint;
  endpoint.set_name("oci-fra");
  endpoint.mutable_kafka()->mutable_source_retention()->set_seconds(86400);
  server_.WillAnswer(v1::GetEndpointRequest{}, endpoint);
  v1::ListBridgesResponse bridges;
  *bridges.add_bridges() = BridgeWithAProblem();
  server_.WillAnswer(v1::ListBridgesRequest{}, bridges);

  EXPECT_EQ(Run({"describe", "endpoint", "oci-fra"}), ExitCode::kOk);

  EXPECT_THAT(out(), HasSubstr("Used by:           oci-logs (source)\n"));
  EXPECT_THAT(out(), HasSubstr("Source retention:  1d00h\n"));
  EXPECT_THAT(out(), HasSubstr("Cluster:           ?\n"));
}

TEST_F(DescribeTest, ShowsARelay) {
  v1::Relay relay;
  relay.set_name("relay-1");
  relay.set_state(v1::RELAY_STATE_REVOKED);
  server_.WillAnswer(v1::GetRelayRequest{}, relay);

  EXPECT_EQ(Run({"describe", "relay", "relay-1"}), ExitCode::kOk);

  EXPECT_THAT(out(), HasSubstr("State:             revoked\n"));
  EXPECT_THAT(out(), HasSubstr("Last seen:         never\n"));
}

}  // namespace
}  // namespace drawbridge::cli
