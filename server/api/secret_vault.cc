#include "server/api/secret_vault.h"

#include "base/certificate.h"
#include "model/convert/credential.h"

namespace drawbridge {
namespace {

constexpr std::string_view kField = "secret";

Status Locked() {
  return {StatusCode::kUnavailable, Reason::kSecretUnavailable,
          "the server cannot open its secrets: start it with the master key that sealed them"};
}

Status Invalid(std::string field, std::string message) {
  return {StatusCode::kInvalidArgument, Reason::kFieldInvalid, std::move(message),
          std::move(field)};
}

// Checks what a relay would stumble over later, and learns what may be shown.
StatusOr<StoredCredential> About(const std::string& name, const CredentialSecret& secret) {
  StoredCredential about;
  about.name = name;
  about.kind = secret.kind;
  if (secret.kind != CredentialKind::kMtls) {
    const bool is_api_key = secret.kind == CredentialKind::kApiKey;
    if (secret.username.empty() && !is_api_key) {
      return Invalid("secret.username", "a user name is needed");
    }
    if (secret.password.empty()) {
      return Invalid("secret.password", is_api_key ? "a key is needed" : "a password is needed");
    }
    about.username = secret.username;
    return about;
  }
  const auto certificates = ReadCertificates(secret.certificate_pem);
  if (!certificates.ok() || certificates->empty()) {
    return Invalid("secret.certificate_pem", "this is no certificate in PEM");
  }
  const StatusOr<Validity> validity = ValidityOf(*certificates->front());
  if (!validity.ok()) return validity.status().At("secret.certificate_pem");
  about.not_after = validity->not_after;
  if (secret.key_pem.empty()) return Invalid("secret.key_pem", "a private key is needed");
  if (!secret.key_password.empty()) return about;  // only the relay opens an encrypted key
  const StatusOr<KeyHandle> key = ReadKey(secret.key_pem);
  if (!key.ok())
    return Invalid("secret.key_pem", "this is no private key in PEM without a passphrase");
  if (!IsPair(*certificates->front(), **key)) {
    return Invalid("secret.key_pem", "this key does not belong to the first certificate");
  }
  return about;
}

}  // namespace

StatusOr<StoredCredential> SecretVault::Put(const std::string& name, const CredentialSecret& secret,
                                            const Mutation& mutation) {
  if (box_ == nullptr) return Locked();
  const StatusOr<StoredCredential> about = About(name, secret);
  if (!about.ok()) return about.status();
  const Secret bytes = Serialize(secret);
  return credentials_.Put(
      *about,
      [&](SecretRef ref) {
        return box_->Seal(
            {.credential_id = ref.credential.value, .version = ref.version, .name = kField}, bytes);
      },
      mutation);
}

StatusOr<CredentialSecret> SecretVault::Get(SecretRef secret) {
  if (box_ == nullptr) return Locked();
  const StatusOr<std::string> sealed = credentials_.Sealed(secret);
  if (!sealed.ok()) return sealed.status();
  const StatusOr<Secret> bytes = box_->Open(
      {.credential_id = secret.credential.value, .version = secret.version, .name = kField},
      *sealed);
  if (!bytes.ok()) return bytes.status();
  return ParseCredentialSecret(*bytes);
}

}  // namespace drawbridge
