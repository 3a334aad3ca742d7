#pragma once

#include <memory>
#include <string>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/status.h"

namespace drawbridge {

// Owning handles for OpenSSL's objects: each knows its free function and nothing else.
template <auto kFree>
struct OpenSslFree {
  void operator()(auto* object) const noexcept { kFree(object); }
};
inline void FreeOpenSslText(char* text) { OPENSSL_free(text); }
// Without the certificates in it.
inline void FreeCertificateStack(STACK_OF(X509) * stack) { sk_X509_free(stack); }

using BioHandle = std::unique_ptr<BIO, OpenSslFree<BIO_free_all>>;
using BignumHandle = std::unique_ptr<BIGNUM, OpenSslFree<BN_clear_free>>;
using CertificateHandle = std::unique_ptr<X509, OpenSslFree<X509_free>>;
using CertificateStackHandle = std::unique_ptr<STACK_OF(X509), OpenSslFree<FreeCertificateStack>>;
using CipherHandle = std::unique_ptr<EVP_CIPHER_CTX, OpenSslFree<EVP_CIPHER_CTX_free>>;
using ExtensionHandle = std::unique_ptr<X509_EXTENSION, OpenSslFree<X509_EXTENSION_free>>;
using GeneralNameHandle = std::unique_ptr<GENERAL_NAME, OpenSslFree<GENERAL_NAME_free>>;
using GeneralNamesHandle = std::unique_ptr<GENERAL_NAMES, OpenSslFree<GENERAL_NAMES_free>>;
using NameConstraintsHandle = std::unique_ptr<NAME_CONSTRAINTS, OpenSslFree<NAME_CONSTRAINTS_free>>;
using KeyHandle = std::unique_ptr<EVP_PKEY, OpenSslFree<EVP_PKEY_free>>;
using KeyContextHandle = std::unique_ptr<EVP_PKEY_CTX, OpenSslFree<EVP_PKEY_CTX_free>>;
using OpenSslText = std::unique_ptr<char, OpenSslFree<FreeOpenSslText>>;
using RequestHandle = std::unique_ptr<X509_REQ, OpenSslFree<X509_REQ_free>>;
using StoreHandle = std::unique_ptr<X509_STORE, OpenSslFree<X509_STORE_free>>;
using StoreContextHandle = std::unique_ptr<X509_STORE_CTX, OpenSslFree<X509_STORE_CTX_free>>;

// What OpenSSL says has gone wrong on this thread, which is forgotten by that: kInternal and
// "cannot <what>: <reason>".
Status OpenSslError(const std::string& what);

}  // namespace drawbridge
