#include "base/certificate.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "tests/fakes/certificates.h"
#include "tests/fakes/fake_clock.h"

namespace drawbridge {
namespace {

class CertificateTest : public testing::Test {
 protected:
  CertificateHandle SelfSigned(EVP_PKEY& key) const {
    CertificateText text;
    text.common_name = "x";
    text.names = {*HostName("b.example"), *HostName("::1"), *HostName("a.example")};
    text.not_before = clock_.WallNow();
    text.not_after = clock_.WallNow() + std::chrono::days{1};
    StatusOr<CertificateHandle> certificate = SignCertificate(text, key, nullptr);
    EXPECT_TRUE(certificate.ok()) << certificate.status().ToString();
    return *std::move(certificate);
  }

  FakeClock clock_;
  KeyHandle key_ = *MakeKey();
  CertificateHandle certificate_ = SelfSigned(*key_);
};

TEST_F(CertificateTest, ReadsBackWhatItWrites) {
  const std::string pem = *ToPem(*certificate_);

  const auto certificates = ReadCertificates(pem + "a remark\n" + pem);

  ASSERT_TRUE(certificates.ok());
  ASSERT_EQ(certificates->size(), 2U);
  EXPECT_EQ(X509_cmp(certificates->back().get(), certificate_.get()), 0);
}

TEST_F(CertificateTest, RefusesTextThatIsCutInACertificate) {
  const std::string pem = *ToPem(*certificate_);
  const size_t end = pem.rfind("-----END");

  EXPECT_FALSE(ReadCertificates("").ok());
  EXPECT_FALSE(ReadCertificates("rubbish").ok());
  for (size_t size = 1; size < end; size += 7) {
    EXPECT_FALSE(ReadCertificates(pem.substr(0, size)).ok()) << size;
    EXPECT_FALSE(ReadCertificates(pem + pem.substr(0, std::max<size_t>(size, 30))).ok()) << size;
  }
  EXPECT_FALSE(ReadCertificates(std::string(300'000, 'x') + pem).ok());
  EXPECT_EQ(ERR_peek_error(), 0U) << "an error left behind would be taken for one of TLS";
}

TEST_F(CertificateTest, ReadsBackItsKey) {
  const StatusOr<KeyHandle> read = ReadKey(*ToPem(*key_));

  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(IsPair(*certificate_, **read));
}

TEST_F(CertificateTest, TellsWhenAKeyIsAnothers) {
  EXPECT_FALSE(IsPair(*certificate_, **MakeKey()));
  EXPECT_FALSE(IsPair(*certificate_, *KeyOfKind("RSA-2048")));
}

TEST_F(CertificateTest, RefusesAnEncryptedKeyWithoutAskingForItsPassphrase) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), EVP_aes_256_cbc(), "hunter2", 7,
                                          nullptr, nullptr),
            1);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &data);

  EXPECT_EQ(ReadKey(Secret(std::string(data, static_cast<size_t>(size)))).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_FALSE(ReadKey(Secret("")).ok());
}

TEST_F(CertificateTest, NamesItsHostsInOrder) {
  EXPECT_EQ(SubjectNamesOf(*certificate_),
            (std::vector<SubjectName>{{SubjectName::Kind::kDns, "a.example"},
                                      {SubjectName::Kind::kDns, "b.example"},
                                      {SubjectName::Kind::kIp, "::1"}}));
}

TEST_F(CertificateTest, SaysWhenItIsValid) {
  const StatusOr<Validity> validity = ValidityOf(*certificate_);

  ASSERT_TRUE(validity.ok());
  EXPECT_EQ(validity->not_before, clock_.WallNow());
  EXPECT_TRUE(validity->Covers(clock_.WallNow()));
  EXPECT_FALSE(validity->Covers(clock_.WallNow() - std::chrono::seconds{1}));
  EXPECT_FALSE(validity->Covers(clock_.WallNow() + std::chrono::days{1}));
}

TEST(HostNameTest, TellsNamesFromAddresses) {
  EXPECT_EQ(HostName("Relay.Example"), (SubjectName{SubjectName::Kind::kDns, "relay.example"}));
  EXPECT_EQ(HostName("10.0.0.3"), (SubjectName{SubjectName::Kind::kIp, "10.0.0.3"}));
  EXPECT_EQ(HostName("0:0:0:0:0:0:0:1"), (SubjectName{SubjectName::Kind::kIp, "::1"}));
}

TEST(HostNameTest, RefusesWhatIsNeither) {
  using std::string_literals::operator""s;
  for (const std::string& host : {""s,
                                  "."s,
                                  "a."s,
                                  ".a"s,
                                  "a..b"s,
                                  "a b"s,
                                  "*.example"s,
                                  "-a"s,
                                  "a-"s,
                                  "10.0.0.300"s,
                                  "1.2.3"s,
                                  "a,DNS:evil"s,
                                  "a\0"s,
                                  "::1\0"s,
                                  "http://a"s,
                                  "a:443"s,
                                  "a_b"s,
                                  "[::1]"s,
                                  std::string(64, 'a'),
                                  "a"s + std::string(300, '.')}) {
    EXPECT_EQ(HostName(host), std::nullopt) << host;
  }
}

}  // namespace
}  // namespace drawbridge
