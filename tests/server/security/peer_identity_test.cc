#include "server/security/peer_identity.h"

#include <string>

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using std::string_literals::operator""s;

TEST(PeerIdentityTest, KnowsARelayByTheUriOfItsCertificate) {
  const StatusOr<PeerIdentity> peer =
      PeerIdentity::FromUri("spiffe://prod-1/relay/oci-fra-1", "prod-1");

  ASSERT_TRUE(peer.ok());
  EXPECT_EQ(peer->relay_name(), "oci-fra-1");
}

TEST(PeerIdentityTest, ReadsBackTheUriThatItWrites) {
  const StatusOr<PeerIdentity> peer = PeerIdentity::FromUri(RelayUri("d", "r"), "d");

  ASSERT_TRUE(peer.ok());
  EXPECT_EQ(peer->relay_name(), "r");
}

TEST(PeerIdentityTest, RefusesEverythingElse) {
  for (const std::string& uri : {""s,
                                 "r1"s,
                                 "spiffe://"s,
                                 "spiffe://prod/"s,
                                 "spiffe://prod/relay"s,
                                 "spiffe://prod/relay/"s,
                                 "spiffe://other/relay/r1"s,
                                 "spiffe://prod.evil/relay/r1"s,
                                 "spiffe://PROD/relay/r1"s,
                                 "SPIFFE://prod/relay/r1"s,
                                 "http://prod/relay/r1"s,
                                 "spiffe://prod/relay/r1/"s,
                                 "spiffe://prod/relay/r1/x"s,
                                 "spiffe://prod/relay/../relay/r1"s,
                                 "spiffe://prod//relay/r1"s,
                                 "spiffe://prod:443/relay/r1"s,
                                 "spiffe://u@prod/relay/r1"s,
                                 "spiffe://prod/relay/r1?x"s,
                                 "spiffe://prod/relay/r1#x"s,
                                 "spiffe://prod/relay/%72"s,
                                 "spiffe://prod/relay/r\0"s,
                                 "spiffe://prod/relay/r1\0.evil"s,
                                 "spiffe://prod/relay/r1\n"s,
                                 " spiffe://prod/relay/r1"s,
                                 "spiffe://prod/relay/R1"s,
                                 "spiffe://prod/relay/1r"s,
                                 "spiffe://prod/relay/-r"s,
                                 "spiffe://prod/relay/r_1"s,
                                 "spiffe://prod/relay/r\xc3\xa4"s,
                                 "spiffe://prod/server/r1"s,
                                 "spiffe://prod/relay/" + std::string(64, 'r')}) {
    const StatusOr<PeerIdentity> peer = PeerIdentity::FromUri(uri, "prod");
    EXPECT_EQ(peer.status().code(), StatusCode::kUnauthenticated) << uri;
  }
}

TEST(PeerIdentityTest, KnowsNobodyWithoutADeployment) {
  EXPECT_FALSE(PeerIdentity::FromUri("spiffe:///relay/r1", "").ok());
  EXPECT_FALSE(PeerIdentity::FromUri("spiffe://a/b/relay/r1", "a/b").ok());
}

TEST(PeerIdentityTest, BoundsNames) {
  EXPECT_TRUE(IsRelayName("r"));
  EXPECT_TRUE(IsRelayName(std::string(63, 'r')));
  EXPECT_FALSE(IsRelayName(std::string(64, 'r')));
  EXPECT_FALSE(IsRelayName(""));
  EXPECT_TRUE(IsDeploymentId("0c4e7a"));
  EXPECT_FALSE(IsDeploymentId("-a"));
  EXPECT_FALSE(IsDeploymentId("a-"));
  EXPECT_FALSE(IsDeploymentId("a.b"));
}

}  // namespace
}  // namespace drawbridge
