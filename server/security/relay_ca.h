#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "server/security/certificate_authority.h"

namespace drawbridge {

// A relay's certificate as it was signed.
struct RelayCertificate {
  std::string certificate_pem;  // the relay's alone; RelayCa::ca_pem() goes behind it
  std::string serial;           // hex
  WallTime not_before;
  WallTime not_after;
};

// The authority that says which key is which relay.
//
// It signs client certificates for spiffe://<deployment_id>/relay/<name> only: its own certificate
// is constrained to that deployment's URIs and to client authentication, so that a stolen key
// cannot pose as the server, nor as a relay elsewhere. It lives in two files of the server's state
// folder: relay-ca.key (mode 0600) and relay-ca.crt. Further certificates in relay-ca.crt stay
// trusted beside the first, which signs: that is how the authority is replaced without a gap.
//
// Keeps a reference to the clock. Immutable once loaded, so threads may share it.
class RelayCa {
 public:
  static constexpr Duration kDefaultTtl = std::chrono::days{7};
  static constexpr Duration kTtlMax = std::chrono::days{90};

  // The first start makes key and certificate (10 years). kFailedPrecondition if they belong to
  // another deployment, do not match, have expired, or the key is missing or others may read it.
  static StatusOr<RelayCa> LoadOrCreate(const std::filesystem::path& folder,
                                        const std::string& deployment_id, const Clock& clock);

  // Signs the key of a certificate signing request for the relay of that name. Nothing else of the
  // request counts: who the relay is was settled by its token, or by the certificate it has. The
  // certificate begins five minutes ago, for clocks that are behind.
  //
  // kInvalidArgument for a request that cannot be read or that does not prove its key, for a key
  // other than EC P-256 or P-384 or RSA of 2048 to 8192 bits, and for a name or ttl out of bounds.
  StatusOr<RelayCertificate> SignRelay(std::string_view csr_pem, std::string_view relay_name,
                                       Duration ttl = kDefaultTtl) const;

  // The certificates that the relay port trusts, the signing one first.
  const std::string& ca_pem() const { return authority_.pem(); }
  // The file that holds them, for a server that watches it.
  const std::filesystem::path& ca_file() const { return authority_.file(); }

 private:
  RelayCa(std::string deployment_id, CertificateAuthority authority, const Clock& clock)
      : deployment_id_(std::move(deployment_id)),
        authority_(std::move(authority)),
        clock_(&clock) {}

  std::string deployment_id_;
  CertificateAuthority authority_;
  const Clock* clock_;
};

}  // namespace drawbridge
