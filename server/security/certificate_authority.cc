#include "server/security/certificate_authority.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/private_file.h"

namespace drawbridge {
namespace {

// The key of the file; a fresh one, kept there, if there is none.
StatusOr<KeyHandle> LoadOrMakeKey(const std::filesystem::path& file, bool is_needed) {
  const StatusOr<Secret> present = ReadPrivateFile(file, Readers::kOwner);
  if (present.ok()) return ReadKey(*present);
  if (present.status().code() != StatusCode::kNotFound) return present.status();
  if (is_needed) {
    return Status(
        StatusCode::kFailedPrecondition,
        fmt::format("{} is missing, and the certificate beside it is not: put it back, or "
                    "remove both to start a new authority",
                    file.string()));
  }
  StatusOr<KeyHandle> key = MakeKey();
  if (!key.ok()) return key;
  const StatusOr<Secret> pem = ToPem(**key);
  if (!pem.ok()) return pem.status();
  if (Status kept = WriteFileAtomically(file, pem->Reveal(), 0600); !kept.ok()) return kept;
  return key;
}

// The certificates of the file; a fresh one for the key, kept there, if there is none.
StatusOr<std::string> LoadOrMakeCertificate(const std::filesystem::path& file,
                                            const CertificateText& text, EVP_PKEY& key) {
  StatusOr<std::string> present = ReadFile(file);
  if (present.ok() || present.status().code() != StatusCode::kNotFound) return present;
  const StatusOr<CertificateHandle> made = SignCertificate(text, key, nullptr);
  if (!made.ok()) return made.status();
  StatusOr<std::string> pem = ToPem(**made);
  if (!pem.ok()) return pem;
  if (Status kept = WriteFileAtomically(file, *pem, 0644); !kept.ok()) return kept;
  return pem;
}

Status Refuse(const std::filesystem::path& file, std::string_view why) {
  return {StatusCode::kFailedPrecondition, fmt::format("{} {}", file.string(), why)};
}

}  // namespace

StatusOr<CertificateAuthority> CertificateAuthority::LoadOrCreate(
    const std::filesystem::path& folder, const std::string& name, const CertificateText& text,
    WallTime now) {
  if (Status made = MakePrivateFolder(folder); !made.ok()) return made;
  CertificateAuthority authority;
  authority.file_ = folder / (name + ".crt");
  std::error_code ignored;
  const bool has_certificate = std::filesystem::exists(authority.file_, ignored);
  StatusOr<KeyHandle> key = LoadOrMakeKey(folder / (name + ".key"), has_certificate);
  if (!key.ok()) return key.status();
  authority.key_ = *std::move(key);

  StatusOr<std::string> pem = LoadOrMakeCertificate(authority.file_, text, *authority.key_);
  if (!pem.ok()) return pem.status();
  authority.pem_ = *std::move(pem);
  StatusOr<std::vector<CertificateHandle>> certificates = ReadCertificates(authority.pem_);
  if (!certificates.ok()) return Refuse(authority.file_, "holds no certificate that can be read");
  authority.certificates_ = *std::move(certificates);

  X509& first = *authority.certificates_.front();
  if (!IsPair(first, *authority.key_)) return Refuse(authority.file_, "does not match its key");
  if (X509_check_ca(&first) != 1) return Refuse(authority.file_, "is no authority's");
  const StatusOr<Validity> validity = ValidityOf(first);
  if (!validity.ok()) return validity.status();
  if (!validity->Covers(now)) return Refuse(authority.file_, "has expired, or is not valid yet");
  authority.validity_ = *validity;
  return authority;
}

StatusOr<CertificateHandle> CertificateAuthority::Sign(CertificateText text, EVP_PKEY& key) const {
  text.not_before = std::max(text.not_before, validity_.not_before);
  text.not_after = std::min(text.not_after, validity_.not_after);
  const Signer signer{certificate(), *key_};
  return SignCertificate(text, key, &signer);
}

}  // namespace drawbridge
