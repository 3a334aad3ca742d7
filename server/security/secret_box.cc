#include "server/security/secret_box.h"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/openssl_handle.h"
#include "server/security/aes_gcm.h"

namespace drawbridge {
namespace {

constexpr std::string_view kMagic{"DBSB\x01\x01", 6};  // name, format 1, algorithm 1
constexpr size_t kHeaderBytes = kMagic.size() + std::tuple_size_v<KeyId>;
constexpr size_t kWrappedKeyBytes = kGcmKeyBytes + kGcmOverheadBytes;
constexpr size_t kSealedBytesMin = kHeaderBytes + kWrappedKeyBytes + kGcmOverheadBytes;

constexpr std::string_view kSecretLabel = "drawbridge/dek/v1";
constexpr std::string_view kKeyCheckLabel = "drawbridge/key-check/v1";
constexpr std::string_view kKeyCheckText = "the key ring is the right one";

// The key of one secret; wiped when it dies.
struct DataKey {
  DataKey() = default;
  DataKey(const DataKey&) = delete;
  DataKey& operator=(const DataKey&) = delete;
  ~DataKey() { OPENSSL_cleanse(bytes.data(), bytes.size()); }

  std::array<uint8_t, kGcmKeyBytes> bytes{};
};

// The parts of a sealed secret; views into it.
struct SealedParts {
  KeyId sealed_by{};
  std::string_view wrapped_key;
  std::string_view data;
};

// What the two layers are bound to.
struct Contexts {
  std::string wrap;
  std::string data;
};

Status Unavailable(StatusCode code, std::string message) {
  return {code, Reason::kSecretUnavailable, std::move(message)};
}

// Fixed width and lengths in front, so that no two contexts have the same bytes.
void Append(std::string& context, uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    context.push_back(static_cast<char>((number >> shift) & 0xffU));
  }
}

void Append(std::string& context, std::string_view text) {
  Append(context, uint64_t{text.size()});
  context.append(text);
}

Contexts MakeContexts(std::string_view label, std::string_view deployment_id,
                      const SealedField& field) {
  Contexts contexts;
  Append(contexts.wrap, label);
  Append(contexts.wrap, deployment_id);
  Append(contexts.wrap, static_cast<uint64_t>(field.credential_id));
  Append(contexts.wrap, static_cast<uint64_t>(field.version));
  contexts.data = contexts.wrap;
  Append(contexts.data, field.name);
  return contexts;
}

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

StatusOr<SealedParts> Parse(std::string_view sealed) {
  if (sealed.size() < kSealedBytesMin || !sealed.starts_with(kMagic)) {
    return Unavailable(StatusCode::kDataLoss, "a sealed secret is cut, or is none");
  }
  SealedParts parts;
  std::ranges::copy(Bytes(sealed.substr(kMagic.size(), parts.sealed_by.size())),
                    parts.sealed_by.begin());
  parts.wrapped_key = sealed.substr(kHeaderBytes, kWrappedKeyBytes);
  parts.data = sealed.substr(kHeaderBytes + kWrappedKeyBytes);
  return parts;
}

StatusOr<std::string> Assemble(const SealingKey& key, std::string_view wrap_context,
                               const DataKey& data_key, std::string_view data) {
  const StatusOr<std::string> wrapped = GcmSeal(key.bytes(), wrap_context, data_key.bytes);
  if (!wrapped.ok()) return wrapped.status();
  std::string sealed(kMagic);
  sealed.append(key.id().begin(), key.id().end()).append(*wrapped).append(data);
  return sealed;
}

Status Unwrap(const Keyring& keyring, const SealedParts& parts, std::string_view wrap_context,
              DataKey& data_key) {
  const SealingKey* key = keyring.Find(parts.sealed_by);
  if (key == nullptr) {
    return Unavailable(
        StatusCode::kFailedPrecondition,
        fmt::format("sealed by the key {}, which the key ring lacks", ToHex(parts.sealed_by)));
  }
  return GcmOpen(key->bytes(), wrap_context, parts.wrapped_key, data_key.bytes);
}

StatusOr<std::string> SealWith(const SealingKey& key, const Contexts& contexts,
                               std::string_view plaintext) {
  DataKey data_key;
  if (RAND_priv_bytes(data_key.bytes.data(), kGcmKeyBytes) != 1) return OpenSslError("draw a key");
  const StatusOr<std::string> data = GcmSeal(data_key.bytes, contexts.data, Bytes(plaintext));
  if (!data.ok()) return data.status();
  return Assemble(key, contexts.wrap, data_key, *data);
}

StatusOr<Secret> OpenWith(const Keyring& keyring, const Contexts& contexts,
                          std::string_view sealed) {
  const StatusOr<SealedParts> parts = Parse(sealed);
  if (!parts.ok()) return parts.status();
  DataKey data_key;
  if (Status got = Unwrap(keyring, *parts, contexts.wrap, data_key); !got.ok()) return got;

  std::string plaintext;
  plaintext.reserve(64);  // on the heap even if short: moving hands it over and leaves no copy
  plaintext.resize(parts->data.size() - kGcmOverheadBytes);
  const Status opened = GcmOpen(data_key.bytes, contexts.data, parts->data,
                                {reinterpret_cast<uint8_t*>(plaintext.data()), plaintext.size()});
  if (!opened.ok()) return opened;
  return Secret(std::move(plaintext));
}

}  // namespace

StatusOr<std::string> SecretBox::Seal(const SealedField& field, const Secret& plaintext) const {
  if (plaintext.Reveal().size() > kPlaintextBytesMax) {
    return Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid,
                  fmt::format("a secret has at most {} bytes", kPlaintextBytesMax));
  }
  return SealWith(keyring_.active(), MakeContexts(kSecretLabel, deployment_id_, field),
                  plaintext.Reveal());
}

StatusOr<Secret> SecretBox::Open(const SealedField& field, std::string_view sealed) const {
  return OpenWith(keyring_, MakeContexts(kSecretLabel, deployment_id_, field), sealed);
}

StatusOr<std::string> SecretBox::Rewrap(const SealedField& field, std::string_view sealed) const {
  const StatusOr<SealedParts> parts = Parse(sealed);
  if (!parts.ok()) return parts.status();
  const Contexts contexts = MakeContexts(kSecretLabel, deployment_id_, field);
  DataKey data_key;
  if (Status got = Unwrap(keyring_, *parts, contexts.wrap, data_key); !got.ok()) return got;
  return Assemble(keyring_.active(), contexts.wrap, data_key, parts->data);
}

StatusOr<KeyId> SecretBox::SealedBy(std::string_view sealed) const {
  const StatusOr<SealedParts> parts = Parse(sealed);
  if (!parts.ok()) return parts.status();
  return parts->sealed_by;
}

StatusOr<std::string> SecretBox::MakeKeyCheck() const {
  return SealWith(keyring_.active(), MakeContexts(kKeyCheckLabel, deployment_id_, {}),
                  kKeyCheckText);
}

Status SecretBox::VerifyKeyCheck(std::string_view key_check) const {
  const StatusOr<Secret> text =
      OpenWith(keyring_, MakeContexts(kKeyCheckLabel, deployment_id_, {}), key_check);
  if (!text.ok()) return text.status();
  if (text->Reveal() == kKeyCheckText) return {};
  return Unavailable(StatusCode::kDataLoss, "the key check says something else");
}

}  // namespace drawbridge
