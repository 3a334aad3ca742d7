#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"
#include "server/security/keyring.h"

namespace drawbridge {

// What a sealed secret belongs to. It opens for exactly this, so that a row copied to another
// credential, or an older version put back, does not.
struct SealedField {
  int64_t credential_id = 0;
  int64_t version = 0;
  std::string_view name;  // of the field
};

// Seals secrets for the database and opens them again.
//
// A sealed secret is, in this order:
//   "DBSB" | format 1 | algorithm 1 (AES-256-GCM) | id of the sealing key (8)
//   | data key, sealed: nonce (12), key (32), tag (16)
//   | nonce (12) | ciphertext | tag (16)
// Each has a data key of its own, drawn afresh, so no nonce is ever used twice under one key. The
// data key is bound to the deployment, the credential and its version; the ciphertext to these and
// the name of the field.
//
// Whatever is wrong with a sealed secret (cut, changed, foreign, of another row), it fails to open
// with Reason::kSecretUnavailable and gives no plaintext: kDataLoss, or kFailedPrecondition when it
// was sealed by a key that is not on the ring. Thread-safe.
class SecretBox {
 public:
  static constexpr size_t kPlaintextBytesMax = size_t{256} * 1024;

  SecretBox(std::string deployment_id, Keyring keyring)
      : deployment_id_(std::move(deployment_id)), keyring_(std::move(keyring)) {}

  // kInvalidArgument if it is longer than kPlaintextBytesMax.
  StatusOr<std::string> Seal(const SealedField& field, const Secret& plaintext) const;
  StatusOr<Secret> Open(const SealedField& field, std::string_view sealed) const;

  // The same secret with its data key sealed by the active key; the ciphertext stays as it is. For
  // replacing a key: rewrap every row whose SealedBy() is not active(), then take the key away.
  StatusOr<std::string> Rewrap(const SealedField& field, std::string_view sealed) const;
  StatusOr<KeyId> SealedBy(std::string_view sealed) const;
  const KeyId& active() const { return keyring_.active().id(); }

  // A blob to store beside the secrets that tells at the next start whether the key ring and the
  // deployment are the ones that sealed them. VerifyKeyCheck fails as Open does.
  StatusOr<std::string> MakeKeyCheck() const;
  Status VerifyKeyCheck(std::string_view key_check) const;

 private:
  std::string deployment_id_;
  Keyring keyring_;
};

}  // namespace drawbridge
