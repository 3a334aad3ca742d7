#include "relay/kafka/cluster_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "tests/fakes/fake_clock.h"
#include "tests/fakes/mock_kafka.h"
#include "tests/relay/waiting.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// What needs no cluster that answers; the rest is tried with sources and sinks.
class ClusterIdentityTest : public testing::Test {
 protected:
  static KafkaCluster Meant(const std::string& id) {
    KafkaCluster cluster;
    cluster.endpoint.name = "oci";
    cluster.endpoint.kafka().bootstrap = {"127.0.0.1:1"};
    cluster.endpoint.kafka().plaintext = true;
    cluster.expected_id = id;
    return cluster;
  }

  bool Wakes() const {
    pollfd wait{identity_.descriptor(), POLLIN, 0};
    return poll(&wait, 1, 100) > 0;
  }

  FakeClock clock_;
  ClusterIdentity identity_{Side::kSource, Meant("before")};
  const ClientHandle client_ = *CreateObserver(Meant("before"));
};

TEST_F(ClusterIdentityTest, IsAnyoneWhereNobodyIsExpected) {
  ClusterIdentity anyone(Side::kSource, Meant(""));
  anyone.Reset(clock_.Now());

  EXPECT_TRUE(anyone.is_right());
  EXPECT_LT(anyone.descriptor(), 0);
}

TEST_F(ClusterIdentityTest, IsNotKnownAsLongAsNobodyAnswers) {
  identity_.Reset(clock_.Now());
  clock_.Advance(1h);
  identity_.Look(client_, std::nullopt, clock_.Now());

  EXPECT_FALSE(identity_.is_right());
  EXPECT_EQ(identity_.Trouble(), std::nullopt);
}

TEST_F(ClusterIdentityTest, IsWrongWhereTheClusterDoesNotSayWhoItIs) {
  identity_.Reset(clock_.Now());
  clock_.Advance(11s);
  identity_.Look(client_, clock_.Now() - 1s, clock_.Now());

  EXPECT_FALSE(identity_.is_right());
  ASSERT_TRUE(identity_.Trouble());
  EXPECT_TRUE(identity_.Trouble()->blocks);
  EXPECT_THAT(identity_.Trouble()->text, HasSubstr("does not say which one it is"));
}

TEST_F(ClusterIdentityTest, WakesItsLaneWhileItIsNotKnownButNotForEver) {
  identity_.Reset(clock_.Now());
  EXPECT_TRUE(Wakes());

  clock_.Advance(6s);
  identity_.Look(client_, std::nullopt, clock_.Now());

  EXPECT_FALSE(Wakes());
}

}  // namespace
}  // namespace drawbridge
