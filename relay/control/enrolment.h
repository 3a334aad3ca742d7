#pragma once

#include <filesystem>
#include <string>

#include "base/secret.h"
#include "base/status.h"

namespace drawbridge {

struct EnrolmentOrder {
  std::string server;  // host:port of the API
  std::string ca_pin;  // "sha256:..." as `relay token create` printed it
  Secret token;
  std::filesystem::path state;  // locked by the caller
};

// What a machine knows after it has become a relay.
struct Enrolled {
  std::string relay;
  std::string relay_address;  // host:port to connect to
};

// Makes a key, proves the right to a name by the token, and keeps the certificate. The server is
// known by the pin before the token is sent: whoever cannot show that authority gets nothing. A
// folder that holds an identity is refused.
StatusOr<Enrolled> Enrol(const EnrolmentOrder& order);

}  // namespace drawbridge
