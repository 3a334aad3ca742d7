#include <gmock/gmock.h>

#include "drawbridge/v1/bridge.pb.h"
#include "drawbridge/v1/credential.pb.h"
#include "drawbridge/v1/endpoint.pb.h"
#include "drawbridge/v1/stream.pb.h"
#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// pause, resume, delete, endpoint test
class SteerTest : public VerbTest {};

TEST_F(SteerTest, PausesABridge) {
  v1::Bridge paused;
  paused.set_paused(true);
  server_.WillAnswer(v1::PauseBridgeRequest{}, paused);

  EXPECT_EQ(Run({"pause", "bridge", "oci-logs", "--reason", "move"}), ExitCode::kOk) << err();

  EXPECT_EQ(out(), "bridge oci-logs is paused\n");
  EXPECT_EQ(server_.Requests<v1::PauseBridgeRequest>().at(0).reason(), "move");
}

TEST_F(SteerTest, ResumesAStream) {
  EXPECT_EQ(Run({"resume", "stream", "oci-logs/audit"}), ExitCode::kOk);

  EXPECT_EQ(out(), "stream oci-logs/audit may run\n");
  const auto request = server_.Requests<v1::ResumeStreamRequest>().at(0);
  EXPECT_EQ(request.bridge(), "oci-logs");
  EXPECT_EQ(request.topic(), "audit");
  EXPECT_FALSE(request.request_id().empty());
}

TEST_F(SteerTest, WantsTheTopicOfAStream) {
  EXPECT_EQ(Run({"pause", "stream", "oci-logs"}), ExitCode::kUsage);

  EXPECT_THAT(err(), HasSubstr("a stream is named BRIDGE/TOPIC"));
}

TEST_F(SteerTest, DeletesWhatIsNamed) {
  EXPECT_EQ(Run({"delete", "endpoint", "e"}), ExitCode::kOk);
  EXPECT_EQ(out(), "endpoint e deleted\n");
  EXPECT_EQ(Run({"delete", "bridge", "b"}), ExitCode::kOk);
  EXPECT_EQ(Run({"delete", "credential", "c", "-o", "json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson()["deleted"]["name"], "c");

  EXPECT_EQ(server_.Requests<v1::DeleteEndpointRequest>().at(0).name(), "e");
  EXPECT_EQ(server_.Requests<v1::DeleteBridgeRequest>().at(0).name(), "b");
  EXPECT_EQ(server_.Requests<v1::DeleteCredentialRequest>().at(0).name(), "c");
}

TEST_F(SteerTest, SaysThatSomethingIsInUse) {
  server_.WillRefuse(v1::DeleteEndpointRequest{},
                     Status(StatusCode::kFailedPrecondition, Reason::kInUse,
                            "the bridge oci-logs uses e: change it first"));

  EXPECT_EQ(Run({"delete", "endpoint", "e"}), ExitCode::kRefused);

  EXPECT_EQ(err(), "error: IN_USE: the bridge oci-logs uses e: change it first\n");
}

class EndpointTestTest : public VerbTest {
 protected:
  void AddCheck(const std::string& name, bool ok, v1::Reason reason, const std::string& detail) {
    v1::EndpointCheck& check = *response_.add_checks();
    check.set_name(name);
    check.set_ok(ok);
    check.set_reason(reason);
    check.set_detail(detail);
  }

  v1::TestEndpointResponse response_;
};

TEST_F(EndpointTestTest, PrintsEachCheck) {
  response_.set_relay("relay-1");
  response_.set_ok(false);
  AddCheck("connect", true, v1::REASON_UNSPECIFIED, "cluster abc, 3 brokers");
  AddCheck("topic audit", false, v1::REASON_TOPIC_NOT_FOUND, "there is no topic audit");
  server_.WillAnswer(v1::TestEndpointRequest{}, response_);

  EXPECT_EQ(Run({"endpoint", "test", "--topic", "audit", "oci-fra", "--topic", "b"}),
            ExitCode::kRefused);

  EXPECT_EQ(out(),
            "CHECK        RESULT  REASON           DETAIL\n"
            "connect      ok      -                cluster abc, 3 brokers\n"
            "topic audit  FAILED  TOPIC_NOT_FOUND  there is no topic audit\n"
            "oci-fra answers, but not all that was asked for is well, seen from relay relay-1\n");
  const auto request = server_.Requests<v1::TestEndpointRequest>().at(0);
  EXPECT_EQ(request.name(), "oci-fra");
  EXPECT_THAT(request.topics(), ElementsAre("audit", "b"));
}

TEST_F(EndpointTestTest, SucceedsWhenAllChecksDo) {
  response_.set_ok(true);
  server_.WillAnswer(v1::TestEndpointRequest{}, response_);

  EXPECT_EQ(Run({"endpoint", "test", "oci-fra", "--relay", "r", "-o", "json"}), ExitCode::kOk);

  EXPECT_EQ(server_.Requests<v1::TestEndpointRequest>().at(0).relay(), "r");
  EXPECT_EQ(OutJson()["ok"], true);
}

}  // namespace
}  // namespace drawbridge::cli
