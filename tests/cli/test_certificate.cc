#include "tests/cli/test_certificate.h"

#include <memory>
#include <stdexcept>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace drawbridge::cli {
namespace {

template <auto kFree>
struct Freer {
  void operator()(auto* object) const noexcept { kFree(object); }
};
using KeyHandle = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using CertificateHandle = std::unique_ptr<X509, Freer<X509_free>>;
using ExtensionHandle = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using BioHandle = std::unique_ptr<BIO, Freer<BIO_free_all>>;

KeyHandle MakeKey() { return KeyHandle(EVP_EC_gen("P-256")); }

void AddExtension(X509* certificate, int id, const std::string& value) {
  const ExtensionHandle extension(X509V3_EXT_conf_nid(nullptr, nullptr, id, value.c_str()));
  if (!extension) throw std::runtime_error("bad extension");
  X509_add_ext(certificate, extension.get(), -1);
}

CertificateHandle MakeCertificate(const std::string& name, EVP_PKEY* key, long serial) {
  CertificateHandle certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key);
  // OpenSSL's text type is unsigned char.
  const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8, text,
                             -1, -1, 0);
  return certificate;
}

template <typename Write>
std::string ToPem(Write write) {
  const BioHandle memory(BIO_new(BIO_s_mem()));
  write(memory.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<size_t>(size)};
}

}  // namespace

TestCertificate MakeTestCertificate(const std::string& host, const std::string& ca_name) {
  const KeyHandle ca_key = MakeKey();
  const CertificateHandle ca = MakeCertificate(ca_name, ca_key.get(), 1);
  X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get()));
  AddExtension(ca.get(), NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(ca.get(), ca_key.get(), EVP_sha256());

  const KeyHandle key = MakeKey();
  const CertificateHandle certificate = MakeCertificate(host, key.get(), 2);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(ca.get()));
  AddExtension(certificate.get(), NID_subject_alt_name, "DNS:" + host);
  X509_sign(certificate.get(), ca_key.get(), EVP_sha256());

  return {ToPem([&](BIO* bio) { PEM_write_bio_X509(bio, ca.get()); }),
          ToPem([&](BIO* bio) { PEM_write_bio_X509(bio, certificate.get()); }),
          ToPem([&](BIO* bio) {
            PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

}  // namespace drawbridge::cli
