#include "server/security/access_policy.h"

#include <algorithm>
#include <array>
#include <string>

namespace drawbridge {
namespace {

using enum AccessRule;

// Operators steer what runs between clusters that an administrator has chosen. What decides where
// secrets are sent is the administrator's: a credential, an endpoint (its address gets the
// password), a relay, and Apply, which can make all of them.
constexpr auto kTable = std::to_array<AccessEntry>({
    {"/drawbridge.v1.BridgeService/CreateBridge", kOperator},
    {"/drawbridge.v1.BridgeService/GetBridge", kViewer},
    {"/drawbridge.v1.BridgeService/ListBridges", kViewer},
    {"/drawbridge.v1.BridgeService/UpdateBridge", kOperator},
    {"/drawbridge.v1.BridgeService/DeleteBridge", kOperator},
    {"/drawbridge.v1.BridgeService/PauseBridge", kOperator},
    {"/drawbridge.v1.BridgeService/ResumeBridge", kOperator},

    {"/drawbridge.v1.CredentialService/SetCredential", kAdmin},
    {"/drawbridge.v1.CredentialService/GetCredential", kViewer},
    {"/drawbridge.v1.CredentialService/ListCredentials", kViewer},
    {"/drawbridge.v1.CredentialService/DeleteCredential", kAdmin},

    {"/drawbridge.v1.DefinitionService/Apply", kAdmin},

    {"/drawbridge.v1.EndpointService/CreateEndpoint", kAdmin},
    {"/drawbridge.v1.EndpointService/GetEndpoint", kViewer},
    {"/drawbridge.v1.EndpointService/ListEndpoints", kViewer},
    {"/drawbridge.v1.EndpointService/UpdateEndpoint", kAdmin},
    {"/drawbridge.v1.EndpointService/DeleteEndpoint", kAdmin},
    {"/drawbridge.v1.EndpointService/TestEndpoint", kOperator},

    {"/drawbridge.v1.RelayService/ListRelays", kViewer},
    {"/drawbridge.v1.RelayService/GetRelay", kViewer},
    {"/drawbridge.v1.RelayService/CreateEnrolmentToken", kAdmin},
    {"/drawbridge.v1.RelayService/RevokeRelay", kAdmin},
    {"/drawbridge.v1.RelayService/Enroll", kPublicWithToken},

    {"/drawbridge.v1.RelaySessionService/Connect", kRelay},
    {"/drawbridge.v1.RelaySessionService/GetSecret", kRelay},
    {"/drawbridge.v1.RelaySessionService/RenewCertificate", kRelay},
    {"/drawbridge.v1.RelaySessionService/AnswerQuery", kRelay},

    {"/drawbridge.v1.StreamService/GetStream", kViewer},
    {"/drawbridge.v1.StreamService/ListStreams", kViewer},
    {"/drawbridge.v1.StreamService/ListPartitions", kViewer},
    {"/drawbridge.v1.StreamService/ListGaps", kViewer},
    {"/drawbridge.v1.StreamService/ListDeadLetters", kViewer},
    {"/drawbridge.v1.StreamService/ReadDeadLetters", kOperator},
    {"/drawbridge.v1.StreamService/RetryDeadLetters", kOperator},
    {"/drawbridge.v1.StreamService/PauseStream", kOperator},
    {"/drawbridge.v1.StreamService/ResumeStream", kOperator},
});

bool IsUser(const Caller& caller, Role least) {
  return caller.kind == Caller::Kind::kUser && caller.role && *caller.role >= least;
}

bool Admits(AccessRule rule, const Caller& caller) {
  switch (rule) {
    case kPublicWithToken:
      return true;
    case kViewer:
      return IsUser(caller, Role::kViewer);
    case kOperator:
      return IsUser(caller, Role::kOperator);
    case kAdmin:
      return IsUser(caller, Role::kAdmin);
    case kRelay:
      return caller.kind == Caller::Kind::kRelay;
  }
  return false;
}

// What the caller would have to be.
std::string Needed(AccessRule rule) {
  switch (rule) {
    case kPublicWithToken:
      return "a token";
    case kViewer:
      return "the role viewer";
    case kOperator:
      return "the role operator";
    case kAdmin:
      return "the role admin";
    case kRelay:
      return "the certificate of a relay";
  }
  return "a rule";
}

}  // namespace

std::span<const AccessEntry> AccessTable() { return kTable; }

std::optional<AccessRule> AccessRuleOf(std::string_view method) {
  const auto found = std::ranges::find(kTable, method, &AccessEntry::method);
  if (found == kTable.end()) return std::nullopt;
  return found->rule;
}

Status CheckAccess(std::string_view method, const Caller& caller) {
  const std::optional<AccessRule> rule = AccessRuleOf(method);
  if (rule && Admits(*rule, caller)) return {};
  if (caller.kind == Caller::Kind::kNobody) {
    return {StatusCode::kUnauthenticated, Reason::kUnauthenticated,
            "this call needs a token: sign in first"};
  }
  return {StatusCode::kPermissionDenied, Reason::kPermissionDenied,
          rule ? "this call needs " + Needed(*rule) : "nobody may make this call"};
}

}  // namespace drawbridge
