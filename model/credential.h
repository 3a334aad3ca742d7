#pragma once

#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "model/ids.h"

namespace drawbridge {

enum class CredentialKind {
  kSaslPlain,
  kSaslScramSha256,
  kSaslScramSha512,
  kMtls,
  kBasic,
  kApiKey,
};

// Whether clients of Kafka, and those of search engines, can log in with it.
constexpr bool IsForKafka(CredentialKind kind) {
  return kind != CredentialKind::kBasic && kind != CredentialKind::kApiKey;
}
constexpr bool IsForOpenSearch(CredentialKind kind) {
  return kind == CredentialKind::kMtls || !IsForKafka(kind);
}

// A secret in the clear: lives in memory only, on its way to the library that needs it.
struct CredentialSecret {
  CredentialKind kind = CredentialKind::kSaslPlain;
  std::string username;         // SASL, basic
  Secret password;              // SASL, basic; an API key
  std::string certificate_pem;  // mTLS: the client's certificate, then its chain
  Secret key_pem;               // mTLS
  Secret key_password;          // mTLS; empty: none
};

// One version of a credential.
struct SecretRef {
  CredentialId credential;
  int64_t version = 0;

  friend auto operator<=>(const SecretRef&, const SecretRef&) = default;
};

}  // namespace drawbridge
