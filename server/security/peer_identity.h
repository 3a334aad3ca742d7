#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace drawbridge {

// 1-63 of a-z, 0-9, '-', starting with a letter.
bool IsRelayName(std::string_view name);

// 1-63 of a-z, 0-9, '-', neither first nor last a '-': it stands as the host of a URI.
bool IsDeploymentId(std::string_view id);

// "spiffe://<deployment_id>/relay/<name>".
std::string RelayUri(std::string_view deployment_id, std::string_view relay_name);

// Who the verified certificate of a connection says the relay is. There is no other way to be one.
// A value.
class PeerIdentity {
 public:
  // `uri` is the URI name of a certificate that the TLS library has verified. kUnauthenticated for
  // any text but a relay's URI of this deployment, to the letter.
  static StatusOr<PeerIdentity> FromUri(std::string_view uri, std::string_view deployment_id);

  const std::string& relay_name() const { return relay_name_; }

 private:
  explicit PeerIdentity(std::string_view relay_name) : relay_name_(relay_name) {}

  std::string relay_name_;
};

}  // namespace drawbridge
