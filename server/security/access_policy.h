#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/status.h"

namespace drawbridge {

// Who may call a method.
enum class AccessRule {
  kPublicWithToken,  // anyone: the one-time token in the request is the right
  kViewer,           // a user of that role or a higher one
  kOperator,
  kAdmin,
  kRelay,  // a relay, by its certificate; no user
};

// What a user may do; each role includes those before it.
enum class Role { kViewer, kOperator, kAdmin };

// Who is calling, as far as the connection and the bearer token have proved it.
struct Caller {
  enum class Kind { kNobody, kUser, kRelay };

  static Caller Nobody() { return {Kind::kNobody, std::nullopt}; }
  static Caller User(Role role) { return {Kind::kUser, role}; }
  static Caller Relay() { return {Kind::kRelay, std::nullopt}; }

  Kind kind = Kind::kNobody;
  std::optional<Role> role;  // a user's
};

// One rule per method of the API, in one table. What has no rule is denied to everyone.
struct AccessEntry {
  std::string_view method;  // as gRPC names it: "/drawbridge.v1.BridgeService/ListBridges"
  AccessRule rule;
};

// The table. Constant.
std::span<const AccessEntry> AccessTable();

// nullopt for a method that has no rule. Thread-safe.
std::optional<AccessRule> AccessRuleOf(std::string_view method);

// Whether this caller may call this method, by its kind and role alone; what it may see of the
// objects behind is for the handler. kUnauthenticated for nobody, kPermissionDenied for somebody
// who may not. Thread-safe.
Status CheckAccess(std::string_view method, const Caller& caller);

}  // namespace drawbridge
