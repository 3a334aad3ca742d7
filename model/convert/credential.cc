#include "model/convert/credential.h"

#include <openssl/crypto.h>

#include "model/convert/field_reader.h"
#include "model/convert/wire_enum.h"

namespace drawbridge {
namespace {

constexpr auto kKinds = ToWireEnum<CredentialKind, v1::CredentialKind>({
    {CredentialKind::kSaslPlain, v1::CREDENTIAL_KIND_SASL_PLAIN},
    {CredentialKind::kSaslScramSha256, v1::CREDENTIAL_KIND_SASL_SCRAM_SHA_256},
    {CredentialKind::kSaslScramSha512, v1::CREDENTIAL_KIND_SASL_SCRAM_SHA_512},
    {CredentialKind::kMtls, v1::CREDENTIAL_KIND_MTLS},
    {CredentialKind::kBasic, v1::CREDENTIAL_KIND_BASIC},
    {CredentialKind::kApiKey, v1::CREDENTIAL_KIND_API_KEY},
});

// A message with a secret, wiped at the end of its scope.
struct WipedMessage {
  WipedMessage() = default;
  explicit WipedMessage(v1::CredentialSecret secret) : message(std::move(secret)) {}
  ~WipedMessage() { Wipe(message); }
  WipedMessage(const WipedMessage&) = delete;
  WipedMessage& operator=(const WipedMessage&) = delete;

  v1::CredentialSecret message;
};

void Wipe(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

// What a kind has no use for would be lost without a word.
void CheckKind(FieldReader& fields, CredentialKind kind, const v1::CredentialSecret& message) {
  const bool is_mtls = kind == CredentialKind::kMtls;
  const auto check = [&](std::string_view field, const std::string& text, bool is_required) {
    const bool is_ok = text.empty() != is_required;
    fields.Check(is_ok, field,
                 is_required ? "is required for this kind" : "has no meaning for this kind");
  };
  check("username", message.username(), !is_mtls && kind != CredentialKind::kApiKey);
  check("password", message.password(), !is_mtls);
  check("certificate_pem", message.certificate_pem(), is_mtls);
  check("key_pem", message.key_pem(), is_mtls);
  if (!is_mtls) check("key_password", message.key_password(), false);
}

}  // namespace

v1::CredentialSecret ToProto(const CredentialSecret& secret) {
  v1::CredentialSecret message;
  message.set_kind(ToProto(secret.kind));
  message.set_username(secret.username);
  message.set_password(std::string(secret.password.Reveal()));
  message.set_certificate_pem(secret.certificate_pem);
  message.set_key_pem(std::string(secret.key_pem.Reveal()));
  message.set_key_password(std::string(secret.key_password.Reveal()));
  return message;
}

StatusOr<CredentialSecret> FromProto(const v1::CredentialSecret& message) {
  FieldReader fields;
  CredentialSecret secret{.kind = fields.Take("kind", FromProto(message.kind())),
                          .username = message.username(),
                          .password = Secret(message.password()),
                          .certificate_pem = message.certificate_pem(),
                          .key_pem = Secret(message.key_pem()),
                          .key_password = Secret(message.key_password())};
  CheckKind(fields, secret.kind, message);
  return fields.Finish(std::move(secret));
}

void Wipe(v1::CredentialSecret& message) {
  Wipe(*message.mutable_password());
  Wipe(*message.mutable_key_pem());
  Wipe(*message.mutable_key_password());
}

Secret Serialize(const CredentialSecret& secret) {
  const WipedMessage wire(ToProto(secret));
  return Secret(wire.message.SerializeAsString());
}

StatusOr<CredentialSecret> ParseCredentialSecret(const Secret& bytes) {
  WipedMessage wire;
  const std::string_view plain = bytes.Reveal();
  const bool is_parsed = wire.message.ParseFromArray(plain.data(), static_cast<int>(plain.size()));
  StatusOr<CredentialSecret> secret = FromProto(wire.message);
  if (!is_parsed || !secret.ok()) {
    return Status(StatusCode::kDataLoss, Reason::kSecretUnavailable,
                  "what is stored is no credential: set the credential again");
  }
  return secret;
}

v1::CredentialKind ToProto(CredentialKind kind) { return kKinds.ToWire(kind); }

StatusOr<CredentialKind> FromProto(v1::CredentialKind message) {
  const std::optional<CredentialKind> kind = kKinds.FromWire(message);
  if (!kind) return InvalidField("name a kind of credential that this version knows");
  return *kind;
}

v1::SecretRef ToProto(const SecretRef& secret) {
  v1::SecretRef message;
  message.set_credential_id(secret.credential.value);
  message.set_version(secret.version);
  return message;
}

StatusOr<SecretRef> FromProto(const v1::SecretRef& message) {
  FieldReader fields;
  return fields.Finish(
      SecretRef{.credential = {fields.Positive("credential_id", message.credential_id())},
                .version = fields.Positive("version", message.version())});
}

}  // namespace drawbridge
