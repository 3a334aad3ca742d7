#include "base/certificate.h"

#include <algorithm>
#include <array>
#include <ctime>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

namespace drawbridge {
namespace {

constexpr size_t kPemBytesMax = size_t{256} * 1024;
constexpr int kSerialBits = 127;

// OpenSSL would ask for a passphrase on the terminal.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*is_writing*/, void* /*context*/) {
  return -1;
}

BioHandle Reader(std::string_view text) {
  if (text.size() > kPemBytesMax) return nullptr;
  return BioHandle(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string_view Content(BIO& bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(&bio, &data);
  return {data, static_cast<size_t>(size)};
}

std::string_view Text(const ASN1_STRING& value) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(&value)),
          static_cast<size_t>(ASN1_STRING_length(&value))};
}

StatusOr<WallTime> ToWallTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return OpenSslError("read a time");
  return WallTime{std::chrono::seconds{timegm(&parts)}};
}

std::time_t ToSeconds(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

bool IsDnsName(std::string_view name) {
  constexpr size_t kNameLettersMax = 253;
  constexpr size_t kLabelLettersMax = 63;
  if (name.empty() || name.size() > kNameLettersMax) return false;
  std::string_view label;
  for (bool more = true; more;) {
    const size_t dot = name.find('.');
    more = dot != std::string_view::npos;
    label = name.substr(0, dot);
    name.remove_prefix(more ? dot + 1 : name.size());
    const auto is_allowed = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    };
    if (label.empty() || label.size() > kLabelLettersMax || label.front() == '-' ||
        label.back() == '-' || !std::ranges::all_of(label, is_allowed)) {
      return false;
    }
  }
  // "10.0.0.300" is a mistyped address, not a name.
  return !std::ranges::all_of(label, [](char c) { return c >= '0' && c <= '9'; });
}

// The bytes of an IP address; empty if it is none.
std::string AddressBytes(const std::string& text) {
  std::array<char, sizeof(in6_addr)> bytes{};
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return {bytes.data(), sizeof(in_addr)};
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return {bytes.data(), sizeof(in6_addr)};
  return {};
}

std::string AddressText(std::string_view bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = bytes.size() == sizeof(in_addr) ? AF_INET : AF_INET6;
  if (bytes.size() != sizeof(in_addr) && bytes.size() != sizeof(in6_addr)) return {};
  if (inet_ntop(family, bytes.data(), text.data(), text.size()) == nullptr) return {};
  return text.data();
}

// Built by hand, since OpenSSL's textual form would read a ',' in a name as the next name.
GeneralNameHandle ToGeneralName(const SubjectName& name) {
  GeneralNameHandle general(GENERAL_NAME_new());
  const bool is_address = name.kind == SubjectName::Kind::kIp;
  ASN1_STRING* value = is_address ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
  if (!general || value == nullptr) {
    ASN1_STRING_free(value);
    return nullptr;
  }
  const int type = is_address                             ? GEN_IPADD
                   : name.kind == SubjectName::Kind::kDns ? GEN_DNS
                                                          : GEN_URI;
  GENERAL_NAME_set0_value(general.get(), type, value);
  const std::string bytes = is_address ? AddressBytes(name.text) : name.text;
  if (ASN1_STRING_set(value, bytes.data(), static_cast<int>(bytes.size())) != 1) return nullptr;
  return general;
}

bool AddNames(X509& certificate, const std::vector<SubjectName>& names) {
  if (names.empty()) return true;
  const GeneralNamesHandle all(GENERAL_NAMES_new());
  for (const SubjectName& name : names) {
    GeneralNameHandle general = ToGeneralName(name);
    if (!all || !general || sk_GENERAL_NAME_push(all.get(), general.get()) <= 0) return false;
    std::ignore = general.release();  // the list owns it now
  }
  return X509_add1_ext_i2d(&certificate, NID_subject_alt_name, all.get(), 0, X509V3_ADD_DEFAULT) ==
         1;
}

bool AddUriConstraint(X509& certificate, const std::string& host) {
  if (host.empty()) return true;
  const NameConstraintsHandle constraints(NAME_CONSTRAINTS_new());
  GeneralNameHandle base = ToGeneralName({SubjectName::Kind::kUri, host});
  GENERAL_SUBTREE* permitted = GENERAL_SUBTREE_new();
  if (!constraints || !base || permitted == nullptr ||
      (constraints->permittedSubtrees = sk_GENERAL_SUBTREE_new_null()) == nullptr ||
      sk_GENERAL_SUBTREE_push(constraints->permittedSubtrees, permitted) <= 0) {
    GENERAL_SUBTREE_free(permitted);
    return false;
  }
  GENERAL_NAME_free(permitted->base);
  permitted->base = base.release();
  return X509_add1_ext_i2d(&certificate, NID_name_constraints, constraints.get(), 1,
                           X509V3_ADD_DEFAULT) == 1;
}

// `value` is a constant of ours, in OpenSSL's textual form.
bool AddExtension(X509& certificate, X509V3_CTX& context, int nid, const char* value) {
  const ExtensionHandle extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension && X509_add_ext(&certificate, extension.get(), -1) == 1;
}

bool AddExtensions(X509& certificate, const X509& issuer, const CertificateText& text) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  // OpenSSL reads the issuer only, and asks for it without const.
  X509V3_set_ctx(&context, const_cast<X509*>(&issuer), &certificate, nullptr, nullptr, 0);
  const bool is_authority = text.is_authority;
  return AddExtension(certificate, context, NID_basic_constraints,
                      is_authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
         AddExtension(
             certificate, context, NID_key_usage,
             is_authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") &&
         AddExtension(certificate, context, NID_ext_key_usage,
                      text.use == CertificateUse::kServer ? "serverAuth" : "clientAuth") &&
         AddExtension(certificate, context, NID_subject_key_identifier, "hash") &&
         AddExtension(certificate, context, NID_authority_key_identifier, "keyid:always") &&
         AddUriConstraint(certificate, text.uri_host) && AddNames(certificate, text.names);
}

bool SetSerial(X509& certificate) {
  const BignumHandle number(BN_new());
  return number && BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(&certificate)) != nullptr;
}

bool SetSubject(X509& certificate, const std::string& common_name) {
  X509_NAME* subject = X509_get_subject_name(&certificate);
  const auto add = [subject](const char* field, const std::string& value) {
    return X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
  };
  return add("O", "Drawbridge") && add("CN", common_name);
}

}  // namespace

StatusOr<KeyHandle> MakeKey() {
  KeyHandle key(EVP_EC_gen("P-256"));
  if (!key) return OpenSslError("make a key");
  return key;
}

StatusOr<Secret> ToPem(EVP_PKEY& key) {
  const BioHandle bio(BIO_new(BIO_s_secmem()));
  if (!bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpenSslError("write a key");
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

StatusOr<std::string> ToPem(const std::vector<CertificateHandle>& certificates) {
  std::string all;
  for (const CertificateHandle& each : certificates) {
    const StatusOr<std::string> pem = ToPem(*each);
    if (!pem.ok()) return pem.status();
    all += *pem;
  }
  return all;
}

StatusOr<KeyHandle> ReadKey(const Secret& pem) {
  const BioHandle bio = Reader(pem.Reveal());
  KeyHandle key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr) : nullptr);
  if (key) return key;
  ERR_clear_error();
  return Status(StatusCode::kInvalidArgument, "no private key in PEM, or an encrypted one");
}

StatusOr<std::vector<CertificateHandle>> ReadCertificates(std::string_view pem) {
  std::vector<CertificateHandle> certificates;
  const BioHandle bio = Reader(pem);
  while (bio) {
    CertificateHandle next(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
    if (!next) break;
    certificates.push_back(std::move(next));
  }
  const bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (is_at_end && !certificates.empty()) return certificates;
  return Status(StatusCode::kInvalidArgument, certificates.empty() && is_at_end
                                                  ? "no certificate in PEM"
                                                  : "a certificate is damaged");
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

bool IsPair(const X509& certificate, const EVP_PKEY& key) {
  const EVP_PKEY* certified = X509_get0_pubkey(&certificate);
  const bool is_pair = certified != nullptr && EVP_PKEY_eq(certified, &key) == 1;
  ERR_clear_error();
  return is_pair;
}

StatusOr<Validity> ValidityOf(const X509& certificate) {
  const StatusOr<WallTime> not_before = ToWallTime(X509_get0_notBefore(&certificate));
  if (!not_before.ok()) return not_before.status();
  const StatusOr<WallTime> not_after = ToWallTime(X509_get0_notAfter(&certificate));
  if (!not_after.ok()) return not_after.status();
  return Validity{*not_before, *not_after};
}

std::optional<SubjectName> HostName(std::string_view host) {
  std::string text(host);
  if (text.find('\0') != std::string::npos) return std::nullopt;
  if (const std::string address = AddressBytes(text); !address.empty()) {
    return SubjectName{SubjectName::Kind::kIp, AddressText(address)};
  }
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (!IsDnsName(text)) return std::nullopt;
  return SubjectName{SubjectName::Kind::kDns, std::move(text)};
}

std::vector<SubjectName> SubjectNamesOf(const X509& certificate) {
  std::vector<SubjectName> names;
  const GeneralNamesHandle all(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    int type = 0;
    const void* content = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all.get(), i), &type);
    if (type != GEN_DNS && type != GEN_IPADD && type != GEN_URI) continue;
    const std::string_view bytes = Text(*static_cast<const ASN1_STRING*>(content));
    if (type == GEN_IPADD) {
      names.push_back({SubjectName::Kind::kIp, AddressText(bytes)});
    } else {
      names.push_back({type == GEN_DNS ? SubjectName::Kind::kDns : SubjectName::Kind::kUri,
                       std::string(bytes)});
    }
  }
  ERR_clear_error();
  std::ranges::sort(names);
  return names;
}

bool IsConstrainedTo(const X509& authority, std::string_view uri_host) {
  const NameConstraintsHandle constraints(static_cast<NAME_CONSTRAINTS*>(
      X509_get_ext_d2i(&authority, NID_name_constraints, nullptr, nullptr)));
  ERR_clear_error();
  if (!constraints || sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees) != 1) return false;
  const GENERAL_NAME& base = *sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, 0)->base;
  return base.type == GEN_URI && Text(*base.d.uniformResourceIdentifier) == uri_host;
}

StatusOr<CertificateHandle> SignCertificate(const CertificateText& text, EVP_PKEY& key,
                                            const Signer* signer) {
  CertificateHandle certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      !SetSerial(*certificate) || !SetSubject(*certificate, text.common_name) ||
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), ToSeconds(text.not_before)) ==
          nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), ToSeconds(text.not_after)) == nullptr ||
      X509_set_pubkey(certificate.get(), &key) != 1) {
    return OpenSslError("fill a certificate");
  }
  const X509* issuer = signer == nullptr ? certificate.get() : &signer->certificate;
  EVP_PKEY& signing_key = signer == nullptr ? key : signer->key;
  if (X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) != 1 ||
      !AddExtensions(*certificate, *issuer, text) ||
      X509_sign(certificate.get(), &signing_key, EVP_sha256()) <= 0) {
    return OpenSslError("sign a certificate");
  }
  return certificate;
}

StatusOr<std::string> SerialOf(const X509& certificate) {
  const BignumHandle number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(&certificate), nullptr));
  const OpenSslText hex(number ? BN_bn2hex(number.get()) : nullptr);
  if (!hex) return OpenSslError("read a serial number");
  return std::string(hex.get());
}

}  // namespace drawbridge
