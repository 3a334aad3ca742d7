#include <gmock/gmock.h>

#include "drawbridge/v1/relay_admin.pb.h"
#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::HasSubstr;

class RelayTest : public VerbTest {
 protected:
  RelayTest() {
    v1::CreateEnrolmentTokenResponse response;
    response.set_token("id.secret");
    response.set_ca_pin("sha256:abcd");
    response.mutable_expires_at()->set_seconds(1'773'478'800);
    server_.WillAnswer(v1::CreateEnrolmentTokenRequest{}, response);
  }
};

TEST_F(RelayTest, PrintsTheTokenAndTheLineToRun) {
  EXPECT_EQ(Run({"relay", "token", "create", "relay-1", "--label", "cloud=oci", "--label",
                 "region=fra", "--ttl", "1h"}),
            ExitCode::kOk)
      << err();

  EXPECT_THAT(out(), HasSubstr("token: id.secret\n"));
  EXPECT_THAT(out(), HasSubstr("ends at 2026-03-14T09:00:00Z"));
  EXPECT_THAT(out(),
              HasSubstr("  drawbridge-relay enroll --state /var/lib/drawbridge-relay --server " +
                        server_.address() + " --token-file - --ca-pin sha256:abcd\n"));
  const auto request = server_.Requests<v1::CreateEnrolmentTokenRequest>().at(0);
  EXPECT_EQ(request.relay(), "relay-1");
  EXPECT_EQ(request.labels().at("cloud"), "oci");
  EXPECT_EQ(request.labels().at("region"), "fra");
  EXPECT_EQ(request.ttl().seconds(), 3600);
}

TEST_F(RelayTest, LeavesTheLifeOfATokenToTheServer) {
  EXPECT_EQ(Run({"relay", "token", "create", "relay-1", "-o", "json"}), ExitCode::kOk);

  EXPECT_FALSE(server_.Requests<v1::CreateEnrolmentTokenRequest>().at(0).has_ttl());
  EXPECT_EQ(OutJson()["token"], "id.secret");
  EXPECT_THAT(OutJson()["enroll_command"].get<std::string>(), HasSubstr("--ca-pin sha256:abcd"));
}

TEST_F(RelayTest, RefusesALabelThatIsNone) {
  for (const char* label : {"cloud", "=oci", "cloud="}) {
    EXPECT_EQ(Run({"relay", "token", "create", "r", "--label", label}), ExitCode::kUsage) << label;
  }
  EXPECT_EQ(Run({"relay", "token", "create", "r", "--label", "a=1", "--label", "a=2"}),
            ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("NAME_TAKEN"));
  EXPECT_EQ(Run({"relay", "token", "create", "r", "--ttl", "10"}), ExitCode::kUsage);
  EXPECT_TRUE(server_.Requests<v1::CreateEnrolmentTokenRequest>().empty());
}

TEST_F(RelayTest, RevokesARelay) {
  v1::Relay relay;
  relay.set_name("relay-1");
  relay.set_state(v1::RELAY_STATE_REVOKED);
  server_.WillAnswer(v1::RevokeRelayRequest{}, relay);

  EXPECT_EQ(Run({"relay", "revoke", "relay-1", "--reason", "lost"}), ExitCode::kOk);

  EXPECT_EQ(out(), "relay relay-1 is revoked\n");
  EXPECT_EQ(server_.Requests<v1::RevokeRelayRequest>().at(0).reason(), "lost");
}

}  // namespace
}  // namespace drawbridge::cli
