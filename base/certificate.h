#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/openssl_handle.h"
#include "base/secret.h"
#include "base/status.h"

namespace drawbridge {

// A fresh EC P-256 key.
StatusOr<KeyHandle> MakeKey();

// PKCS #8, PEM, not encrypted.
StatusOr<Secret> ToPem(EVP_PKEY& key);
StatusOr<std::string> ToPem(X509& certificate);
// One after the other.
StatusOr<std::string> ToPem(const std::vector<CertificateHandle>& certificates);

// kInvalidArgument if the text holds no private key, or an encrypted one.
StatusOr<KeyHandle> ReadKey(const Secret& pem);

// All certificates of the text, in order. kInvalidArgument if there is none, one is damaged, or the
// text has more than 256 KiB.
StatusOr<std::vector<CertificateHandle>> ReadCertificates(std::string_view pem);

// Whether the certificate is for this key.
bool IsPair(const X509& certificate, const EVP_PKEY& key);

struct Validity {
  WallTime not_before;
  WallTime not_after;

  bool Covers(WallTime now) const { return not_before <= now && now < not_after; }
};
StatusOr<Validity> ValidityOf(const X509& certificate);

// A name for which a certificate stands.
struct SubjectName {
  enum class Kind { kDns, kIp, kUri };

  auto operator<=>(const SubjectName&) const = default;

  Kind kind = Kind::kDns;
  std::string text;
};

// A DNS name (put into lower case) or an IP address (in its shortest form); nullopt for other
// texts.
std::optional<SubjectName> HostName(std::string_view host);

// The DNS names, IP addresses and URIs of the certificate, in the order of their values.
std::vector<SubjectName> SubjectNamesOf(const X509& certificate);

// Whether the authority may sign for the URIs of this host and of no other.
bool IsConstrainedTo(const X509& authority, std::string_view uri_host);

// "sha256:" and the SHA-256 of the certificate's public key, hex: what names an authority to
// whoever has not seen it yet.
StatusOr<std::string> PinOf(const X509& certificate);

enum class CertificateUse { kServer, kClient };

// What a certificate shall say.
struct CertificateText {
  std::string common_name;
  std::vector<SubjectName> names;
  CertificateUse use = CertificateUse::kServer;
  WallTime not_before;
  WallTime not_after;
  // Whether it signs others (which cannot sign in turn).
  bool is_authority = false;
  // An authority's: the host of every URI that it may sign for. Empty: any.
  std::string uri_host;
};

// Who signs: a key and its certificate. Must outlive the call.
struct Signer {
  const X509& certificate;
  EVP_PKEY& key;
};

// Signs the public half of `key`; without a signer, with itself, which must be a whole key then.
// The serial number is drawn at random.
StatusOr<CertificateHandle> SignCertificate(const CertificateText& text, EVP_PKEY& key,
                                            const Signer* signer);

// 40 hex digits or fewer.
StatusOr<std::string> SerialOf(const X509& certificate);

}  // namespace drawbridge
