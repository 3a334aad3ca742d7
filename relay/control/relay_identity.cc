#include "relay/control/relay_identity.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "base/certificate.h"
#include "base/file.h"
#include "base/private_file.h"
#include "model/definition.h"

namespace drawbridge {
namespace {

std::filesystem::path IdentityFile(const std::filesystem::path& folder) {
  return folder / "identity.pem";
}
std::filesystem::path CaFile(const std::filesystem::path& folder) { return folder / "ca.pem"; }
std::filesystem::path NextKeyFile(const std::filesystem::path& folder) {
  return folder / "next-key.pem";
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

// The key of the request that waits for its answer; a fresh one if none does.
StatusOr<KeyHandle> LoadOrMakeNextKey(const std::filesystem::path& folder) {
  const std::filesystem::path file = NextKeyFile(folder);
  const StatusOr<Secret> present = ReadPrivateFile(file, Readers::kOwner);
  if (present.ok()) {
    if (StatusOr<KeyHandle> key = ReadKey(*present); key.ok()) return key;
  } else if (present.status().code() != StatusCode::kNotFound) {
    return present.status();
  }
  StatusOr<KeyHandle> key = MakeKey();
  if (!key.ok()) return key;
  const StatusOr<Secret> pem = ToPem(**key);
  if (!pem.ok()) return pem.status();
  if (Status kept = WriteFileAtomically(file, pem->Reveal(), 0600); !kept.ok()) return kept;
  return key;
}

// The only URI among the certificate's names; empty if it has none or several.
std::string UriOf(const X509& certificate) {
  std::vector<SubjectName> names = SubjectNamesOf(certificate);
  std::erase_if(names, [](const auto& name) { return name.kind != SubjectName::Kind::kUri; });
  return names.size() == 1 ? names.front().text : std::string();
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
  char* text = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

StatusOr<RelayIdentity> RelayIdentity::Accept(const std::filesystem::path& folder,
                                              std::string_view certificate_pem,
                                              std::string_view ca_pem) {
  const StatusOr<Secret> key = ReadPrivateFile(NextKeyFile(folder), Readers::kOwner);
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
  const StatusOr<Secret> pem = ReadPrivateFile(IdentityFile(folder), Readers::kOwner);
  if (!pem.ok()) return pem.status();
  const StatusOr<std::string> ca_pem = ReadFile(CaFile(folder));
  if (!ca_pem.ok()) return ca_pem.status();
  return FromPem(*pem, *ca_pem);
}

StatusOr<RelayIdentity> RelayIdentity::FromPem(const Secret& identity_pem,
                                               std::string_view ca_pem) {
  const auto damaged = [](const char* what) { return Status(StatusCode::kDataLoss, what); };
  const StatusOr<KeyHandle> key = ReadKey(identity_pem);
  if (!key.ok()) return damaged("the relay's identity holds no key");
  const auto chain = ReadCertificates(identity_pem.Reveal());
  if (!chain.ok()) return damaged("the relay's identity holds no certificate that can be read");
  const X509& own = *chain->front();
  if (!IsPair(own, **key)) return damaged("the relay's certificate is for another key");
  const std::optional<RelayUri> uri = ParseRelayUri(UriOf(own));
  const StatusOr<Validity> validity = ValidityOf(own);
  if (!uri || !validity.ok()) return damaged("the certificate is not a relay's");
  if (!ReadCertificates(ca_pem).ok()) return damaged("the server's CA cannot be read");

  StatusOr<Secret> key_pem = ToPem(**key);
  if (!key_pem.ok()) return key_pem.status();
  StatusOr<std::string> chain_pem = ToPem(*chain);
  if (!chain_pem.ok()) return chain_pem.status();
  RelayIdentity identity;
  identity.relay_name_ = uri->relay_name;
  identity.deployment_id_ = uri->deployment_id;
  identity.key_pem_ = *std::move(key_pem);
  identity.certificate_pem_ = *std::move(chain_pem);
  identity.ca_pem_ = ca_pem;
  identity.not_before_ = validity->not_before;
  identity.not_after_ = validity->not_after;
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
  const auto chain = ReadCertificates(chain_pem);
  for (size_t i = 0; chain.ok() && i < chain->size(); ++i) {
    const StatusOr<std::string> own = PinOf(*chain->at(i));
    if (own.ok() && *own == pin) return ToPem(*chain->at(i));
  }
  return Status(StatusCode::kUnauthenticated, Reason::kTlsUntrusted,
                "whoever answers does not have the CA that the pin names: check the address, and "
                "that nobody stands in between");
}

}  // namespace drawbridge
