#include "server/security/access_policy.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

constexpr std::string_view kConnect = "/drawbridge.v1.RelaySessionService/Connect";
constexpr std::string_view kEnroll = "/drawbridge.v1.RelayService/Enroll";
constexpr std::string_view kListBridges = "/drawbridge.v1.BridgeService/ListBridges";
constexpr std::string_view kPauseBridge = "/drawbridge.v1.BridgeService/PauseBridge";
constexpr std::string_view kSetCredential = "/drawbridge.v1.CredentialService/SetCredential";

StatusCode Outcome(std::string_view method, const Caller& caller) {
  return CheckAccess(method, caller).code();
}

TEST(AccessPolicyTest, HasOneRulePerMethod) {
  std::vector<std::string_view> methods;
  for (const AccessEntry& entry : AccessTable()) methods.push_back(entry.method);
  std::ranges::sort(methods);

  EXPECT_EQ(std::ranges::adjacent_find(methods), methods.end());
  for (const std::string_view method : methods) {
    EXPECT_TRUE(method.starts_with("/drawbridge.v1.")) << method;
  }
}

TEST(AccessPolicyTest, DeniesAMethodWithoutARuleToEveryone) {
  for (const std::string_view method :
       {"", "ListBridges", "/drawbridge.v1.BridgeService/ListBridges/",
        "/drawbridge.v1.BridgeService/listbridges", "/drawbridge.v2.BridgeService/ListBridges"}) {
    EXPECT_EQ(Outcome(method, Caller::User(Role::kAdmin)), StatusCode::kPermissionDenied);
    EXPECT_EQ(Outcome(method, Caller::Relay()), StatusCode::kPermissionDenied);
    EXPECT_EQ(Outcome(method, Caller::Nobody()), StatusCode::kUnauthenticated);
  }
}

TEST(AccessPolicyTest, LetsARoleDoWhatTheRolesBelowItMay) {
  EXPECT_EQ(Outcome(kListBridges, Caller::User(Role::kViewer)), StatusCode::kOk);
  EXPECT_EQ(Outcome(kListBridges, Caller::User(Role::kAdmin)), StatusCode::kOk);
  EXPECT_EQ(Outcome(kPauseBridge, Caller::User(Role::kViewer)), StatusCode::kPermissionDenied);
  EXPECT_EQ(Outcome(kPauseBridge, Caller::User(Role::kOperator)), StatusCode::kOk);
  EXPECT_EQ(Outcome(kSetCredential, Caller::User(Role::kOperator)), StatusCode::kPermissionDenied);
  EXPECT_EQ(Outcome(kSetCredential, Caller::User(Role::kAdmin)), StatusCode::kOk);
}

TEST(AccessPolicyTest, LetsARelayCallNothingOfTheUsers) {
  for (const AccessEntry& entry : AccessTable()) {
    const bool is_relays =
        entry.rule == AccessRule::kRelay || entry.rule == AccessRule::kPublicWithToken;
    EXPECT_EQ(CheckAccess(entry.method, Caller::Relay()).ok(), is_relays) << entry.method;
  }
}

TEST(AccessPolicyTest, LetsNoUserPoseAsARelay) {
  EXPECT_EQ(Outcome(kConnect, Caller::User(Role::kAdmin)), StatusCode::kPermissionDenied);
  EXPECT_EQ(Outcome(kConnect, Caller::Nobody()), StatusCode::kUnauthenticated);
}

TEST(AccessPolicyTest, LetsNobodyCallNothingButEnroll) {
  for (const AccessEntry& entry : AccessTable()) {
    EXPECT_EQ(CheckAccess(entry.method, Caller::Nobody()).ok(), entry.method == kEnroll)
        << entry.method;
  }
}

TEST(AccessPolicyTest, DeniesAUserWithoutARole) {
  const Caller caller{Caller::Kind::kUser, std::nullopt};

  EXPECT_EQ(Outcome(kListBridges, caller), StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace drawbridge
