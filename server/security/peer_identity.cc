#include "server/security/peer_identity.h"

#include <algorithm>

#include <fmt/format.h>

namespace drawbridge {
namespace {

constexpr size_t kLettersMax = 63;

bool IsLetter(char c) { return c >= 'a' && c <= 'z'; }

bool IsLabel(std::string_view text) {
  const auto is_allowed = [](char c) { return IsLetter(c) || (c >= '0' && c <= '9') || c == '-'; };
  return !text.empty() && text.size() <= kLettersMax && std::ranges::all_of(text, is_allowed);
}

}  // namespace

bool IsRelayName(std::string_view name) { return IsLabel(name) && IsLetter(name.front()); }

bool IsDeploymentId(std::string_view id) {
  return IsLabel(id) && id.front() != '-' && id.back() != '-';
}

std::string RelayUri(std::string_view deployment_id, std::string_view relay_name) {
  return fmt::format("spiffe://{}/relay/{}", deployment_id, relay_name);
}

StatusOr<PeerIdentity> PeerIdentity::FromUri(std::string_view uri, std::string_view deployment_id) {
  const std::string prefix = RelayUri(deployment_id, "");
  if (IsDeploymentId(deployment_id) && uri.starts_with(prefix)) {
    const std::string_view name = uri.substr(prefix.size());
    if (IsRelayName(name)) return PeerIdentity(name);
  }
  return Status(StatusCode::kUnauthenticated, Reason::kUnauthenticated,
                "the certificate is not one of a relay of this deployment");
}

}  // namespace drawbridge
