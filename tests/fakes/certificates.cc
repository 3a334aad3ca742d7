#include "tests/fakes/certificates.h"

#include <charconv>
#include <utility>

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

namespace drawbridge {

std::string Verify(std::string_view chain_pem, std::string_view ca_pem, const Verification& how) {
  const auto chain = ReadCertificates(chain_pem);
  const auto trusted = ReadCertificates(ca_pem);
  if (!chain.ok() || !trusted.ok()) return "unreadable";
  const StoreHandle store(X509_STORE_new());
  for (const CertificateHandle& each : *trusted) X509_STORE_add_cert(store.get(), each.get());
  const CertificateStackHandle others(sk_X509_new_null());
  for (const CertificateHandle& each : *chain) sk_X509_push(others.get(), each.get());
  const StoreContextHandle context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), chain->front().get(), others.get());
  // A server asks for a client's certificate, and the other way round.
  X509_STORE_CTX_set_default(context.get(),
                             how.use == CertificateUse::kClient ? "ssl_client" : "ssl_server");
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(rules, std::chrono::system_clock::to_time_t(how.now));
  if (!how.host.empty()) {
    if (X509_VERIFY_PARAM_set1_ip_asc(rules, how.host.c_str()) != 1) {
      X509_VERIFY_PARAM_set1_host(rules, how.host.c_str(), how.host.size());
    }
  }
  if (X509_verify_cert(context.get()) == 1) return "ok";
  return X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
}

KeyHandle KeyOfKind(std::string_view kind) {
  if (kind == "ED25519") return KeyHandle(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (kind == "RSA-PSS") {
    const KeyContextHandle context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA-PSS", nullptr));
    EVP_PKEY* key = nullptr;
    EVP_PKEY_keygen_init(context.get());
    EVP_PKEY_generate(context.get(), &key);
    return KeyHandle(key);
  }
  if (kind.starts_with("RSA-")) {
    size_t bits = 0;
    std::from_chars(kind.data() + 4, kind.data() + kind.size(), bits);
    return KeyHandle(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", bits));
  }
  return KeyHandle(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", std::string(kind).c_str()));
}

std::string MakeRequest(EVP_PKEY& key, const RequestText& text) {
  const RequestHandle request(X509_REQ_new());
  X509_NAME* subject = X509_REQ_get_subject_name(request.get());
  if (!text.common_name.empty()) {
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(text.common_name.data()),
                               static_cast<int>(text.common_name.size()), -1, 0);
  }
  STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
  const auto add = [&extensions](int nid, const std::string& value) {
    sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()));
  };
  if (!text.names.empty()) add(NID_subject_alt_name, text.names);
  if (text.asks_for_authority) add(NID_basic_constraints, "critical,CA:TRUE");
  if (sk_X509_EXTENSION_num(extensions) > 0) X509_REQ_add_extensions(request.get(), extensions);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);

  X509_REQ_set_pubkey(request.get(), &key);
  const bool hashes_by_itself = EVP_PKEY_is_a(&key, "ED25519") == 1;
  EXPECT_GT(X509_REQ_sign(request.get(), &key, hashes_by_itself ? nullptr : EVP_sha256()), 0);
  const BioHandle bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(bio.get(), request.get());
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

CertificateHandle First(std::string_view pem) {
  auto certificates = ReadCertificates(pem);
  EXPECT_TRUE(certificates.ok());
  return certificates.ok() ? std::move(certificates->front()) : nullptr;
}

std::string Extension(const X509& certificate, int nid) {
  const int at = X509_get_ext_by_NID(&certificate, nid, -1);
  if (at < 0) return {};
  const BioHandle bio(BIO_new(BIO_s_mem()));
  X509V3_EXT_print(bio.get(), X509_get_ext(&certificate, at), 0, 0);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

}  // namespace drawbridge
