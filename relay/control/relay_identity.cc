#include "relay/control/relay_identity.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "model/definition.h"

namespace drawbridge {
namespace {

constexpr size_t kPemBytesMax = size_t{256} * 1024;

std::filesystem::path IdentityFile(const std::filesystem::path& folder) {
  return folder / "identity.pem";
}
std::filesystem::path CaFile(const std::filesystem::path& folder) { return folder / "ca.pem"; }
std::filesystem::path NextKeyFile(const std::filesystem::path& folder) {
  return folder / "next-key.pem";
}

template <auto kFree>
struct OpenSslFree {
  void operator()(auto* object) const noexcept { kFree(object); }
};

using BioHandle = std::unique_ptr<BIO, OpenSslFree<BIO_free_all>>;
using CertificateHandle = std::unique_ptr<X509, OpenSslFree<X509_free>>;
using GeneralNamesHandle = std::unique_ptr<GENERAL_NAMES, OpenSslFree<GENERAL_NAMES_free>>;
using KeyHandle = std::unique_ptr<EVP_PKEY, OpenSslFree<EVP_PKEY_free>>;
using RequestHandle = std::unique_ptr<X509_REQ, OpenSslFree<X509_REQ_free>>;

Status OpenSslError(std::string_view what) {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  // Whoever uses TLS on this thread next would take what is left for an error of its own.
  ERR_clear_error();
  return {
      StatusCode::kInternal,
      fmt::format("cannot {}: {}", what, reason == nullptr ? "OpenSSL gives no reason" : reason)};
}

// OpenSSL would ask for a passphrase on the terminal.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*is_writing*/, void* /*context*/) {
  return -1;
}

BioHandle Reader(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return nullptr;
  return BioHandle(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::string_view Content(BIO& bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(&bio, &data);
  return {data, static_cast<size_t>(size)};
}

StatusOr<Secret> ToPem(EVP_PKEY& key) {
  const BioHandle bio(BIO_new(BIO_s_secmem()));
  if (!bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpenSslError("write the relay's key");
  }
  return Secret(std::string(Content(*bio)));
}

StatusOr<std::string> ToPem(X509& certificate) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), &certificate) != 1) {
    return OpenSslError("write a certificate");
  }
  return std::string(Content(*bio));
}

KeyHandle ReadKey(std::string_view pem) {
  const BioHandle bio = Reader(pem);
  KeyHandle key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr) : nullptr);
  ERR_clear_error();
  return key;
}

// All certificates of the text, in order; none at all if one is damaged.
std::vector<CertificateHandle> ReadCertificates(std::string_view pem) {
  std::vector<CertificateHandle> certificates;
  const BioHandle bio = Reader(pem);
  while (bio) {
    CertificateHandle next(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
    if (!next) break;
    certificates.push_back(std::move(next));
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) certificates.clear();
  ERR_clear_error();
  return certificates;
}

StatusOr<std::string> ToPem(const std::vector<CertificateHandle>& certificates) {
  std::string all;
  for (const CertificateHandle& each : certificates) {
    const StatusOr<std::string> pem = ToPem(*each);
    if (!pem.ok()) return pem.status();
    all += *pem;
  }
  return all;
}

bool IsPair(const X509& certificate, const EVP_PKEY& key) {
  const EVP_PKEY* certified = X509_get0_pubkey(&certificate);
  const bool is_pair = certified != nullptr && EVP_PKEY_eq(certified, &key) == 1;
  ERR_clear_error();
  return is_pair;
}

std::optional<WallTime> ToWallTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return WallTime{std::chrono::seconds{timegm(&parts)}};
}

// The only URI among the certificate's names; empty if it has none or several.
std::string UriOf(const X509& certificate) {
  const GeneralNamesHandle names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  std::vector<std::string> uris;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME& name = *sk_GENERAL_NAME_value(names.get(), i);
    if (name.type != GEN_URI) continue;
    const ASN1_STRING* text = name.d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                      static_cast<size_t>(ASN1_STRING_length(text)));
  }
  return uris.size() == 1 ? uris.front() : std::string();
}

struct RelayUri {
  std::string deployment_id;
  std::string relay_name;
};

// Takes "spiffe://<deployment_id>/relay/<name>" apart.
std::optional<RelayUri> ParseRelayUri(std::string_view uri) {
  constexpr std::string_view kScheme = "spiffe://";
  constexpr std::string_view kPath = "/relay/";
  const size_t path = uri.find(kPath);
  if (!uri.starts_with(kScheme) || path == std::string_view::npos) return std::nullopt;
  const std::string_view deployment_id = uri.substr(kScheme.size(), path - kScheme.size());
  const std::string_view name = uri.substr(path + kPath.size());
  if (deployment_id.empty() || deployment_id.find('/') != std::string_view::npos || !IsName(name)) {
    return std::nullopt;
  }
  return RelayUri{std::string(deployment_id), std::string(name)};
}

// What only the relay's own user may read.
StatusOr<Secret> ReadKeyFile(const std::filesystem::path& file) {
  using std::filesystem::perms;
  std::error_code error;
  const perms mode = std::filesystem::status(file, error).permissions();
  if (!error && (mode & (perms::group_all | perms::others_all)) != perms::none) {
    return Status(StatusCode::kFailedPrecondition,
                  fmt::format("{} holds the relay's key and others may read it: chmod 0600 it",
                              file.string()));
  }
  StatusOr<std::string> content = ReadFile(file);
  if (!content.ok()) return content.status();
  return Secret(*std::move(content));
}

// The key of the request that waits for its answer; a fresh one if none does.
StatusOr<KeyHandle> LoadOrMakeNextKey(const std::filesystem::path& folder) {
  const std::filesystem::path file = NextKeyFile(folder);
  const StatusOr<Secret> present = ReadKeyFile(file);
  if (present.ok()) {
    if (KeyHandle key = ReadKey(present->Reveal())) return key;
  } else if (present.status().code() != StatusCode::kNotFound) {
    return present.status();
  }
  KeyHandle key(EVP_EC_gen("P-256"));
  if (!key) return OpenSslError("make a key");
  const StatusOr<Secret> pem = ToPem(*key);
  if (!pem.ok()) return pem.status();
  if (Status kept = WriteFileAtomically(file, pem->Reveal(), 0600); !kept.ok()) return kept;
  return key;
}

StatusOr<std::string> PinOf(const X509& certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &der);
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
  const bool is_hashed =
      size > 0 && SHA256(der, static_cast<size_t>(size), digest.data()) != nullptr;
  OPENSSL_free(der);
  if (!is_hashed) return OpenSslError("read a public key");
  std::string pin = "sha256:";
  for (const uint8_t byte : digest) pin += fmt::format("{:02x}", byte);
  return pin;
}

}  // namespace

StatusOr<std::string> RelayIdentity::Request(const std::filesystem::path& folder) {
  const StatusOr<KeyHandle> key = LoadOrMakeNextKey(folder);
  if (!key.ok()) return key.status();
  const RequestHandle request(X509_REQ_new());
  const BioHandle bio(BIO_new(BIO_s_mem()));
  // No name in it: who the relay is, the server says.
  if (!request || !bio || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key->get()) != 1 ||
      X509_REQ_sign(request.get(), key->get(), EVP_sha256()) <= 0 ||
      PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
    return OpenSslError("make a certificate signing request");
  }
  return std::string(Content(*bio));
}

StatusOr<RelayIdentity> RelayIdentity::Accept(const std::filesystem::path& folder,
                                              std::string_view certificate_pem,
                                              std::string_view ca_pem) {
  const StatusOr<Secret> key = ReadKeyFile(NextKeyFile(folder));
  if (!key.ok()) {
    return Status(StatusCode::kFailedPrecondition,
                  fmt::format("no request waits for this answer: {}", key.status().message()));
  }
  std::string both;
  both.reserve(key->Reveal().size() + certificate_pem.size());  // growing would leave copies behind
  both.append(key->Reveal()).append(certificate_pem);
  const Secret pem(std::move(both));
  StatusOr<RelayIdentity> identity = FromPem(pem, ca_pem);
  if (!identity.ok()) {
    return Status(StatusCode::kFailedPrecondition,
                  fmt::format("the server's answer is of no use: {}", identity.status().message()));
  }
  // In this order any stop in between leaves a pair, and a CA for it.
  if (Status kept = WriteFileAtomically(CaFile(folder), ca_pem, 0644); !kept.ok()) return kept;
  if (Status kept = WriteFileAtomically(IdentityFile(folder), pem.Reveal(), 0600); !kept.ok()) {
    return kept;
  }
  // If it stays, the next request is for the same key: no harm.
  std::error_code ignored;
  std::filesystem::remove(NextKeyFile(folder), ignored);
  return identity;
}

StatusOr<RelayIdentity> RelayIdentity::Load(const std::filesystem::path& folder) {
  const StatusOr<Secret> pem = ReadKeyFile(IdentityFile(folder));
  if (!pem.ok()) return pem.status();
  const StatusOr<std::string> ca_pem = ReadFile(CaFile(folder));
  if (!ca_pem.ok()) return ca_pem.status();
  return FromPem(*pem, *ca_pem);
}

StatusOr<RelayIdentity> RelayIdentity::FromPem(const Secret& identity_pem,
                                               std::string_view ca_pem) {
  const auto damaged = [](const char* what) { return Status(StatusCode::kDataLoss, what); };
  const KeyHandle key = ReadKey(identity_pem.Reveal());
  if (!key) return damaged("the relay's identity holds no key");
  const std::vector<CertificateHandle> chain = ReadCertificates(identity_pem.Reveal());
  if (chain.empty()) return damaged("the relay's identity holds no certificate that can be read");
  const X509& own = *chain.front();
  if (!IsPair(own, *key)) return damaged("the relay's certificate is for another key");
  const std::optional<RelayUri> uri = ParseRelayUri(UriOf(own));
  const std::optional<WallTime> not_before = ToWallTime(X509_get0_notBefore(&own));
  const std::optional<WallTime> not_after = ToWallTime(X509_get0_notAfter(&own));
  if (!uri || !not_before || !not_after) return damaged("the certificate is not a relay's");
  if (ReadCertificates(ca_pem).empty()) return damaged("the server's CA cannot be read");

  StatusOr<Secret> key_pem = ToPem(*key);
  if (!key_pem.ok()) return key_pem.status();
  StatusOr<std::string> chain_pem = ToPem(chain);
  if (!chain_pem.ok()) return chain_pem.status();
  RelayIdentity identity;
  identity.relay_name_ = uri->relay_name;
  identity.deployment_id_ = uri->deployment_id;
  identity.key_pem_ = *std::move(key_pem);
  identity.certificate_pem_ = *std::move(chain_pem);
  identity.ca_pem_ = ca_pem;
  identity.not_before_ = *not_before;
  identity.not_after_ = *not_after;
  return identity;
}

WallTime RenewAt(WallTime not_before, WallTime not_after, double fraction) {
  const double share = std::clamp(fraction, kRenewFractionMin, kRenewFractionMax);
  const std::chrono::duration<double> life = not_after - not_before;
  return not_before + std::chrono::duration_cast<WallTime::duration>(life * share);
}

StatusOr<std::string> FindPinned(std::string_view chain_pem, std::string_view pin) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  constexpr std::string_view kAlgorithm = "sha256:";
  constexpr size_t kPinLetters = kAlgorithm.size() + size_t{2} * SHA256_DIGEST_LENGTH;
  if (pin.size() != kPinLetters || !pin.starts_with(kAlgorithm) ||
      pin.find_first_not_of(kDigits, kAlgorithm.size()) != std::string_view::npos) {
    return Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid,
                  "a CA pin is \"sha256:\" and 64 hex digits");
  }
  for (const CertificateHandle& each : ReadCertificates(chain_pem)) {
    const StatusOr<std::string> own = PinOf(*each);
    if (own.ok() && *own == pin) return ToPem(*each);
  }
  return Status(StatusCode::kUnauthenticated, Reason::kTlsUntrusted,
                "whoever answers does not have the CA that the pin names: check the address, and "
                "that nobody stands in between");
}

}  // namespace drawbridge
