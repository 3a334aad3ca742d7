#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/secret.h"
#include "base/status.h"

namespace drawbridge {

// The relay's key, the certificate that the server's authority has signed for it, and the authority
// that the relay trusts in turn.
//
// The key is made here and never leaves the state folder. Key and certificates stand in one file,
// identity.pem (mode 0600), so that they are always a pair, whatever stops in the middle; the key
// of a request that has no answer yet waits beside it in next-key.pem.
//
// A value. Thread-compatible.
class RelayIdentity {
 public:
  // A certificate signing request, PEM, for a fresh key. Repeated before the answer has been
  // accepted, it asks for the same key again, so that a lost answer costs nothing.
  static StatusOr<std::string> Request(const std::filesystem::path& folder);

  // Keeps the server's answer to Request(): the relay's certificate with the authority's behind it,
  // and the authority of the server's own certificate. Replaces the identity that was there.
  // kFailedPrecondition if the certificate is not for the requested key, or is not a relay's; the
  // identity that was there stays.
  static StatusOr<RelayIdentity> Accept(const std::filesystem::path& folder,
                                        std::string_view certificate_pem, std::string_view ca_pem);

  // kNotFound if the relay has not enrolled, kFailedPrecondition if others may read the key,
  // kDataLoss if the file is damaged or no pair. An expired certificate loads: what moves goes on
  // moving, and the caller decides.
  static StatusOr<RelayIdentity> Load(const std::filesystem::path& folder);

  const std::string& relay_name() const { return relay_name_; }
  const std::string& deployment_id() const { return deployment_id_; }
  const Secret& key_pem() const { return key_pem_; }
  // The relay's certificate, then its authority's.
  const std::string& certificate_pem() const { return certificate_pem_; }
  // What signs the server's certificate.
  const std::string& ca_pem() const { return ca_pem_; }
  WallTime not_before() const { return not_before_; }
  WallTime not_after() const { return not_after_; }

 private:
  RelayIdentity() = default;

  // From the content of identity.pem and of ca.pem.
  static StatusOr<RelayIdentity> FromPem(const Secret& identity_pem, std::string_view ca_pem);

  std::string relay_name_;
  std::string deployment_id_;
  Secret key_pem_;
  std::string certificate_pem_;
  std::string ca_pem_;
  WallTime not_before_{};
  WallTime not_after_{};
};

// When to begin asking for the next certificate: after `fraction` of this one's life, which each
// relay draws at random from kRenewFractionMin to kRenewFractionMax, so that relays that enrolled
// together do not renew together. It goes on asking until it succeeds.
inline constexpr double kRenewFractionMin = 0.50;
inline constexpr double kRenewFractionMax = 0.66;
WallTime RenewAt(WallTime not_before, WallTime not_after, double fraction);

// The certificate among those that the server has shown (`chain_pem`) whose public key the pin of
// the join command names ("sha256:<hex>"), PEM. kUnauthenticated (TLS_UNTRUSTED) if none is:
// somebody else has answered. kInvalidArgument if the pin is no pin.
//
// Certificates are public, so finding it proves nothing yet. The token may travel only over a
// connection that trusts this certificate and no other: there the server must prove to have its
// key.
StatusOr<std::string> FindPinned(std::string_view chain_pem, std::string_view pin);

}  // namespace drawbridge
