#include "server/security/relay_ca.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "server/security/peer_identity.h"

namespace drawbridge {
namespace {

constexpr Duration kAuthorityLife = std::chrono::days{3650};
constexpr Duration kClockSkewMax = std::chrono::minutes{5};
// A relay renews at the half of the certificate's life, which counts from the time put back: that
// must be well after the signing.
constexpr int kSkewsInLifeMin = 10;
constexpr size_t kRequestBytesMax = size_t{16} * 1024;
constexpr int kRsaBitsMin = 2048;
constexpr int kRsaBitsMax = 8192;  // a larger one keeps the server busy checking it

WallTime Later(WallTime time, Duration by) {
  return time + std::chrono::duration_cast<WallTime::duration>(by);
}

Status RefuseRequest(const std::string& why) {
  ERR_clear_error();
  return {StatusCode::kInvalidArgument, Reason::kFieldInvalid, "the request " + why, "csr_pem"};
}

// A curve that is spelled out instead of named could be one that its sender can break.
bool IsNamedCurve(EVP_PKEY& key) {
  int is_spelled_out = 0;
  std::array<char, 32> curve{};
  size_t size = 0;
  if (EVP_PKEY_get_int_param(&key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                             &is_spelled_out) != 1 ||
      EVP_PKEY_get_group_name(&key, curve.data(), curve.size(), &size) != 1) {
    return false;
  }
  const std::string_view name(curve.data(), size);
  return is_spelled_out == 0 && (name == "prime256v1" || name == "secp384r1");
}

bool IsAllowedKey(EVP_PKEY& key) {
  const int bits = EVP_PKEY_get_bits(&key);
  const bool is_allowed_kind =
      EVP_PKEY_is_a(&key, "EC") == 1
          ? IsNamedCurve(key)
          : EVP_PKEY_is_a(&key, "RSA") == 1 && bits >= kRsaBitsMin && bits <= kRsaBitsMax;
  if (!is_allowed_kind) return false;
  const KeyContextHandle context(EVP_PKEY_CTX_new(&key, nullptr));
  return context && EVP_PKEY_public_check(context.get()) == 1;
}

// The request, once it is known to prove a key that we accept.
StatusOr<RequestHandle> ReadRequest(std::string_view pem) {
  if (pem.size() > kRequestBytesMax) return RefuseRequest("is too long");
  const BioHandle bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return OpenSslError("read a request");
  RequestHandle request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (!request) return RefuseRequest("is no certificate signing request in PEM");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || !IsAllowedKey(*key)) {
    return RefuseRequest("needs a key of EC P-256 or P-384, or RSA of 2048 to 8192 bits");
  }
  if (X509_REQ_verify(request.get(), key) != 1) return RefuseRequest("is not signed by its key");
  return request;
}

}  // namespace

StatusOr<RelayCa> RelayCa::LoadOrCreate(const std::filesystem::path& folder,
                                        const std::string& deployment_id, const Clock& clock) {
  if (!IsDeploymentId(deployment_id)) {
    return Status(StatusCode::kInvalidArgument,
                  "a deployment id has 1 to 63 of a-z, 0-9 and '-', and no '-' at either end");
  }
  const WallTime now = clock.WallNow();
  CertificateText text;
  text.common_name = "Drawbridge relay CA";
  text.use = CertificateUse::kClient;
  text.not_before = Later(now, -kClockSkewMax);
  text.not_after = Later(now, kAuthorityLife);
  text.is_authority = true;
  text.uri_host = deployment_id;
  StatusOr<CertificateAuthority> authority =
      CertificateAuthority::LoadOrCreate(folder, "relay-ca", text, now);
  if (!authority.ok()) return authority.status();
  if (!IsConstrainedTo(authority->certificate(), deployment_id)) {
    return Status(StatusCode::kFailedPrecondition,
                  fmt::format("{} is for another deployment than {}", authority->file().string(),
                              deployment_id));
  }
  return RelayCa(deployment_id, *std::move(authority), clock);
}

StatusOr<RelayCertificate> RelayCa::SignRelay(std::string_view csr_pem, std::string_view relay_name,
                                              Duration ttl) const {
  if (!IsRelayName(relay_name)) {
    return Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid,
                  "a relay's name has 1 to 63 of a-z, 0-9 and '-', and starts with a letter",
                  "relay");
  }
  if (ttl <= Duration::zero() || ttl > kTtlMax) {
    return Status(StatusCode::kInvalidArgument, "a relay's certificate lives from 1 s to 90 days");
  }
  const StatusOr<RequestHandle> request = ReadRequest(csr_pem);
  if (!request.ok()) return request.status();

  const WallTime now = clock_->WallNow();
  CertificateText text;
  text.common_name = relay_name;
  text.names = {{SubjectName::Kind::kUri, RelayUri(deployment_id_, relay_name)}};
  text.use = CertificateUse::kClient;
  text.not_before = Later(now, -std::min(kClockSkewMax, ttl / kSkewsInLifeMin));
  text.not_after = Later(now, ttl);
  const StatusOr<CertificateHandle> certificate =
      authority_.Sign(std::move(text), *X509_REQ_get0_pubkey(request->get()));
  if (!certificate.ok()) return certificate.status();

  const StatusOr<std::string> pem = ToPem(**certificate);
  if (!pem.ok()) return pem.status();
  const StatusOr<std::string> serial = SerialOf(**certificate);
  if (!serial.ok()) return serial.status();
  const StatusOr<Validity> validity = ValidityOf(**certificate);
  if (!validity.ok()) return validity.status();
  return RelayCertificate{*pem, *serial, validity->not_before, validity->not_after};
}

}  // namespace drawbridge
