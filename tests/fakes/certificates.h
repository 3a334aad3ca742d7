#pragma once

#include <string>
#include <string_view>

#include "base/certificate.h"
#include "base/clock.h"

namespace drawbridge {

// How a peer of gRPC would look at a certificate.
struct Verification {
  CertificateUse use = CertificateUse::kClient;
  WallTime now;
  std::string host;  // of a server; empty: any
};

// "ok", or OpenSSL's word for what is wrong with the first certificate of `chain_pem`.
std::string Verify(std::string_view chain_pem, std::string_view ca_pem, const Verification& how);

// A key of an OpenSSL kind: "P-256", "P-384", "P-521", "secp256k1", "RSA-1024", "RSA-2048",
// "RSA-3072", "RSA-PSS", "ED25519".
KeyHandle KeyOfKind(std::string_view kind);

// What a request may say of itself.
struct RequestText {
  std::string common_name;
  std::string names;  // in OpenSSL's textual form: "URI:spiffe://x/relay/y,DNS:z"
  bool asks_for_authority = false;
};

// A certificate signing request, PEM.
std::string MakeRequest(EVP_PKEY& key, const RequestText& text = {});

// The first certificate of the text.
CertificateHandle First(std::string_view pem);

// An extension as OpenSSL prints it; empty if the certificate has none.
std::string Extension(const X509& certificate, int nid);

}  // namespace drawbridge
