#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/certificate.h"
#include "base/status.h"

namespace drawbridge {

// A key that signs certificates, with its own certificate: two files of a folder, <name>.key (mode
// 0600) and <name>.crt. Further certificates in <name>.crt are trusted beside the first, which
// signs. The caller holds the lock of the state folder: two processes that make one at the same
// time would leave a key and a certificate that do not match. Immutable once loaded, so threads may
// share it.
class CertificateAuthority {
 public:
  // Makes what is missing as `text` says; key and certificate are written in an order that any stop
  // in between is made good by the next start. kFailedPrecondition if the key is missing and the
  // certificate is not (a new one would silently end every trust in the old), if they do not match,
  // or if the certificate is no authority's or not valid at `now`.
  static StatusOr<CertificateAuthority> LoadOrCreate(const std::filesystem::path& folder,
                                                     const std::string& name,
                                                     const CertificateText& text, WallTime now);

  // Signs the public half of `key`. It does not outlive the authority.
  StatusOr<CertificateHandle> Sign(CertificateText text, EVP_PKEY& key) const;

  const X509& certificate() const { return *certificates_.front(); }
  // PEM; the signing one first.
  const std::string& pem() const { return pem_; }
  const std::filesystem::path& file() const { return file_; }

 private:
  CertificateAuthority() = default;

  std::filesystem::path file_;
  std::string pem_;
  std::vector<CertificateHandle> certificates_;
  KeyHandle key_;
  Validity validity_;
};

}  // namespace drawbridge
