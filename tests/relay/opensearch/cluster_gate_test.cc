#include "relay/opensearch/cluster_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr BootTime kStart{1h};

HttpAnswer Says(std::string body) {
  HttpAnswer answer;
  answer.status = 200;
  answer.body = std::move(body);
  return answer;
}

TEST(ClusterGateTest, LetsAnyClusterInWhereNoneIsMeant) {
  const ClusterGate gate("", 1);
  EXPECT_TRUE(gate.IsKnown(0, kStart));
}

TEST(ClusterGateTest, KnowsAnAddressForAMinuteOnceItNamedTheCluster) {
  ClusterGate gate("abc", 2);
  EXPECT_FALSE(gate.IsKnown(0, kStart));

  ASSERT_TRUE(gate.Take(0, Says(R"({"cluster_uuid":"abc"})"), kStart).ok());

  EXPECT_TRUE(gate.IsKnown(0, kStart + 59s));
  EXPECT_FALSE(gate.IsKnown(0, kStart + 60s));
  EXPECT_FALSE(gate.IsKnown(1, kStart)) << "each address by itself";
}

TEST(ClusterGateTest, NamesBothClustersWhereAnotherAnswers) {
  ClusterGate gate("abc", 1);

  const Status status = gate.Take(0, Says(R"({"cluster_uuid":"xyz"})"), kStart);

  EXPECT_EQ(status.reason(), Reason::kSourceChanged);
  EXPECT_THAT(status.message(), HasSubstr("cluster xyz answers where cluster abc was"));
  EXPECT_FALSE(gate.IsKnown(0, kStart));
}

TEST(ClusterGateTest, LetsNothingInThatDoesNotSayWhoItIs) {
  for (const char* const body : {"{}", "", "<html>", R"({"cluster_uuid":7})"}) {
    ClusterGate gate("abc", 1);
    EXPECT_FALSE(gate.Take(0, Says(body), kStart).ok()) << body;
    EXPECT_FALSE(gate.IsKnown(0, kStart)) << body;
  }
}

TEST(ClusterGateTest, AsksAgainWhereAnAddressDidNotAnswer) {
  ClusterGate gate("abc", 1);
  ASSERT_TRUE(gate.Take(0, Says(R"({"cluster_uuid":"abc"})"), kStart).ok());

  gate.Forget(0);

  EXPECT_FALSE(gate.IsKnown(0, kStart + 1s));
}

}  // namespace
}  // namespace drawbridge
