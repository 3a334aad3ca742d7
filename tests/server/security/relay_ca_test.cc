#include "server/security/relay_ca.h"

#include <set>
#include <string>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include "server/security/peer_identity.h"
#include "tests/fakes/certificates.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/temporary_folder.h"

namespace drawbridge {
namespace {

using std::chrono::days;
using std::chrono::minutes;
using std::chrono::seconds;

class RelayCaTest : public testing::Test {
 protected:
  RelayCa Load(const std::string& deployment_id = "prod", const std::string& folder = "ca") {
    StatusOr<RelayCa> ca = RelayCa::LoadOrCreate(folder_ / folder, deployment_id, clock_);
    EXPECT_TRUE(ca.ok()) << ca.status().ToString();
    return *std::move(ca);
  }

  StatusCode LoadFails() {
    return RelayCa::LoadOrCreate(folder_ / "ca", "prod", clock_).status().code();
  }

  RelayCertificate Sign(const RelayCa& ca, std::string_view request) {
    StatusOr<RelayCertificate> signed_one = ca.SignRelay(request, "r1");
    EXPECT_TRUE(signed_one.ok()) << signed_one.status().ToString();
    return *std::move(signed_one);
  }

  std::string VerifyClient(std::string_view certificate_pem, std::string_view ca_pem) const {
    return Verify(certificate_pem, ca_pem, {CertificateUse::kClient, clock_.WallNow(), ""});
  }

  TemporaryFolder folder_;
  FakeClock clock_;
  KeyHandle key_ = KeyOfKind("P-256");
  std::string request_ = MakeRequest(*key_);
};

TEST_F(RelayCaTest, SignsARelayThatOpenSslAccepts) {
  const RelayCa ca = Load();

  const RelayCertificate relay = Sign(ca, request_);

  EXPECT_EQ(VerifyClient(relay.certificate_pem, ca.ca_pem()), "ok");
  const CertificateHandle certificate = First(relay.certificate_pem);
  EXPECT_TRUE(IsPair(*certificate, *key_));
  EXPECT_EQ(SubjectNamesOf(*certificate),
            (std::vector<SubjectName>{{SubjectName::Kind::kUri, "spiffe://prod/relay/r1"}}));
  EXPECT_EQ(Extension(*certificate, NID_basic_constraints), "CA:FALSE");
  EXPECT_EQ(Extension(*certificate, NID_ext_key_usage), "TLS Web Client Authentication");
  EXPECT_EQ(Extension(*certificate, NID_key_usage), "Digital Signature");
}

TEST_F(RelayCaTest, SaysWhatItSigned) {
  const RelayCertificate relay = Sign(Load(), request_);

  const CertificateHandle certificate = First(relay.certificate_pem);
  EXPECT_EQ(relay.serial, *SerialOf(*certificate));
  EXPECT_EQ(relay.serial.size(), 32U);
  EXPECT_EQ(relay.not_before, clock_.WallNow() - minutes{5});
  EXPECT_EQ(relay.not_after, clock_.WallNow() + days{7});
  EXPECT_EQ(ValidityOf(*certificate)->not_after, relay.not_after);
}

TEST_F(RelayCaTest, SignsForAShortLifeSoThatItsHalfIsStillToCome) {
  for (const Duration ttl : {Duration(seconds{10}), Duration(minutes{1}), Duration(minutes{5})}) {
    const StatusOr<RelayCertificate> relay = Load().SignRelay(request_, "r1", ttl);
    ASSERT_TRUE(relay.ok()) << relay.status().ToString();

    const auto half = relay->not_before + (relay->not_after - relay->not_before) / 2;
    EXPECT_GE(half, clock_.WallNow() + std::chrono::duration_cast<seconds>(ttl) / 3);
    EXPECT_EQ(VerifyClient(relay->certificate_pem, Load().ca_pem()), "ok");
  }
}

TEST_F(RelayCaTest, IgnoresWhoTheRequestSaysItIs) {
  const std::string hostile =
      MakeRequest(*key_, {.common_name = "admin",
                          .names = "URI:spiffe://prod/relay/victim,DNS:server.example",
                          .asks_for_authority = true});

  const RelayCertificate relay = Sign(Load(), hostile);

  const CertificateHandle certificate = First(relay.certificate_pem);
  EXPECT_EQ(SubjectNamesOf(*certificate),
            (std::vector<SubjectName>{{SubjectName::Kind::kUri, "spiffe://prod/relay/r1"}}));
  EXPECT_EQ(Extension(*certificate, NID_basic_constraints), "CA:FALSE");
  std::array<char, 64> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name.data(),
                            static_cast<int>(name.size()));
  EXPECT_STREQ(name.data(), "r1");
}

TEST_F(RelayCaTest, TakesOnlyKeysThatHold) {
  const RelayCa ca = Load();

  for (const std::string_view kind : {"P-256", "P-384", "RSA-2048", "RSA-3072"}) {
    const KeyHandle key = KeyOfKind(kind);
    EXPECT_TRUE(ca.SignRelay(MakeRequest(*key), "r1").ok()) << kind;
  }
  for (const std::string_view kind : {"P-521", "secp256k1", "RSA-1024", "RSA-PSS", "ED25519"}) {
    const KeyHandle key = KeyOfKind(kind);
    EXPECT_EQ(ca.SignRelay(MakeRequest(*key), "r1").status().code(), StatusCode::kInvalidArgument)
        << kind;
  }
}

TEST_F(RelayCaTest, RefusesACurveThatIsSpelledOut) {
  EVP_PKEY_set_utf8_string_param(key_.get(), "encoding", "explicit");

  const StatusOr<RelayCertificate> relay = Load().SignRelay(MakeRequest(*key_), "r1");

  EXPECT_EQ(relay.status().code(), StatusCode::kInvalidArgument);
}

TEST_F(RelayCaTest, RefusesARequestThatDoesNotProveItsKey) {
  const RelayCa ca = Load();
  const std::string body = request_.substr(request_.find('\n') + 1);

  int refused = 0;
  for (size_t i = 0; i < request_.size(); ++i) {
    std::string changed = request_;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    refused += ca.SignRelay(changed, "r1").ok() ? 0 : 1;
  }

  // Letters that base64 does not use, or that stand outside the frame, change nothing.
  EXPECT_GE(refused, static_cast<int>(request_.size()) - 4);
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST_F(RelayCaTest, RefusesWhatIsNoRequest) {
  const RelayCa ca = Load();

  for (const std::string& text :
       {std::string(), std::string("rubbish"), ca.ca_pem(), request_.substr(0, request_.size() / 2),
        std::string(20'000, 'x') + request_}) {
    const StatusOr<RelayCertificate> relay = ca.SignRelay(text, "r1");
    EXPECT_EQ(relay.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(relay.status().field(), "csr_pem");
  }
}

TEST_F(RelayCaTest, RefusesNamesAndTimesOutOfBounds) {
  const RelayCa ca = Load();

  EXPECT_FALSE(ca.SignRelay(request_, "").ok());
  EXPECT_FALSE(ca.SignRelay(request_, "a/../b").ok());
  EXPECT_FALSE(ca.SignRelay(request_, "r1,URI:spiffe://prod/relay/r2").ok());
  EXPECT_FALSE(ca.SignRelay(request_, "r1", Duration::zero()).ok());
  EXPECT_FALSE(ca.SignRelay(request_, "r1", -days{1}).ok());
  EXPECT_FALSE(ca.SignRelay(request_, "r1", days{91}).ok());
}

TEST_F(RelayCaTest, DrawsAnotherSerialNumberEachTime) {
  const RelayCa ca = Load();
  std::set<std::string> serials;

  for (int i = 0; i < 50; ++i) serials.insert(Sign(ca, request_).serial);

  EXPECT_EQ(serials.size(), 50U);
}

TEST_F(RelayCaTest, SignsNothingThatHoldsBeforeOrAfterItsTime) {
  const RelayCertificate relay = Sign(Load(), request_);
  const std::string ca_pem = Load().ca_pem();

  clock_.Advance(-minutes{6});
  EXPECT_EQ(VerifyClient(relay.certificate_pem, ca_pem), "certificate is not yet valid");
  clock_.Advance(minutes{6} + days{7} + minutes{1});
  EXPECT_EQ(VerifyClient(relay.certificate_pem, ca_pem), "certificate has expired");
}

TEST_F(RelayCaTest, SignsNothingThatPassesForAServer) {
  const RelayCa ca = Load();
  const RelayCertificate relay = Sign(ca, request_);

  EXPECT_EQ(
      Verify(relay.certificate_pem, ca.ca_pem(), {CertificateUse::kServer, clock_.WallNow(), ""}),
      "unsuitable certificate purpose");
}

TEST_F(RelayCaTest, IsNotTrustedByAnotherDeployment) {
  const RelayCertificate relay = Sign(Load("prod", "a"), request_);

  EXPECT_NE(VerifyClient(relay.certificate_pem, Load("test", "b").ca_pem()), "ok");
}

// What somebody could sign who has stolen the key.
class StolenRelayCaTest : public RelayCaTest {
 protected:
  std::string SignAndVerify(const std::vector<SubjectName>& names, CertificateUse use) {
    const RelayCa ca = Load();
    const KeyHandle stolen = *ReadKey(Secret(*ReadFile(folder_ / "ca" / "relay-ca.key")));
    const CertificateHandle authority = First(ca.ca_pem());
    CertificateText text;
    text.common_name = "r1";
    text.names = names;
    text.use = use;
    text.not_before = clock_.WallNow();
    text.not_after = clock_.WallNow() + days{1};
    const Signer signer{*authority, *stolen};
    const CertificateHandle forged = *SignCertificate(text, *key_, &signer);
    return Verify(*ToPem(*forged), ca.ca_pem(), {use, clock_.WallNow(), ""});
  }

  static SubjectName Uri(const std::string& uri) { return {SubjectName::Kind::kUri, uri}; }
};

TEST_F(StolenRelayCaTest, SignsForItsOwnDeployment) {
  EXPECT_EQ(SignAndVerify({Uri("spiffe://prod/relay/r2")}, CertificateUse::kClient), "ok");
}

TEST_F(StolenRelayCaTest, CannotSignForAnotherDeployment) {
  for (const std::string uri :
       {"spiffe://test/relay/r1", "spiffe://prod.evil/relay/r1", "spiffe://x.prod/relay/r1"}) {
    EXPECT_EQ(SignAndVerify({Uri(uri)}, CertificateUse::kClient), "permitted subtree violation")
        << uri;
  }
}

TEST_F(StolenRelayCaTest, CannotMakeAnotherAuthority) {
  EXPECT_EQ(Extension(*First(Load().ca_pem()), NID_basic_constraints), "CA:TRUE, pathlen:0");
}

TEST_F(StolenRelayCaTest, CannotSignAServer) {
  EXPECT_NE(SignAndVerify({*HostName("server.example")}, CertificateUse::kServer), "ok");
}

TEST_F(RelayCaTest, KeepsItsKeyToItself) {
  Load();

  struct stat about {};
  ASSERT_EQ(stat((folder_ / "ca" / "relay-ca.key").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  ASSERT_EQ(stat((folder_ / "ca").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0700U);
}

TEST_F(RelayCaTest, IsTheSameAfterARestart) {
  const std::string before = Load().ca_pem();
  const RelayCertificate relay = Sign(Load(), request_);

  EXPECT_EQ(Load().ca_pem(), before);
  EXPECT_EQ(VerifyClient(relay.certificate_pem, Load().ca_pem()), "ok");
  EXPECT_EQ(*ReadFile(Load().ca_file()), before);
}

TEST_F(RelayCaTest, FinishesAStartThatStoppedAfterTheKey) {
  Load();
  std::filesystem::remove(folder_ / "ca" / "relay-ca.crt");

  const RelayCa ca = Load();

  EXPECT_EQ(VerifyClient(Sign(ca, request_).certificate_pem, ca.ca_pem()), "ok");
}

TEST_F(RelayCaTest, DoesNotReplaceALostKey) {
  Load();
  std::filesystem::remove(folder_ / "ca" / "relay-ca.key");

  EXPECT_EQ(LoadFails(), StatusCode::kFailedPrecondition);
}

TEST_F(RelayCaTest, RefusesAKeyOfAnotherAuthority) {
  Load();
  Load("prod", "other");
  std::filesystem::copy(folder_ / "other" / "relay-ca.key", folder_ / "ca" / "relay-ca.key",
                        std::filesystem::copy_options::overwrite_existing);

  EXPECT_EQ(LoadFails(), StatusCode::kFailedPrecondition);
}

TEST_F(RelayCaTest, RefusesAKeyThatOthersCanRead) {
  Load();
  std::filesystem::permissions(folder_ / "ca" / "relay-ca.key", std::filesystem::perms::group_read,
                               std::filesystem::perm_options::add);

  EXPECT_EQ(LoadFails(), StatusCode::kFailedPrecondition);
}

TEST_F(RelayCaTest, RefusesTheAuthorityOfAnotherDeployment) {
  Load("test");

  EXPECT_EQ(LoadFails(), StatusCode::kFailedPrecondition);
}

TEST_F(RelayCaTest, RefusesAnAuthorityThatHasExpired) {
  Load();
  clock_.Advance(days{3651});

  EXPECT_EQ(LoadFails(), StatusCode::kFailedPrecondition);
}

TEST_F(RelayCaTest, SignsNothingThatOutlivesTheAuthority) {
  Load();
  clock_.Advance(days{3649});

  EXPECT_EQ(Sign(Load(), request_).not_after, clock_.WallNow() + days{1});
}

TEST_F(RelayCaTest, GoesOnTrustingTheAuthorityBeforeIt) {
  const RelayCa old = Load("prod", "old");
  const RelayCertificate relay = Sign(old, request_);
  const RelayCa made = Load();
  folder_.Write("ca/relay-ca.crt", made.ca_pem() + old.ca_pem(), 0644);

  const RelayCa ca = Load();

  EXPECT_EQ(VerifyClient(relay.certificate_pem, ca.ca_pem()), "ok");
  EXPECT_EQ(VerifyClient(Sign(ca, request_).certificate_pem, made.ca_pem()), "ok");
}

TEST_F(RelayCaTest, RefusesADeploymentThatIsNoHost) {
  for (const std::string id : {"", "a.b", "a/b", "A", "a,permitted;URI:b"}) {
    EXPECT_EQ(RelayCa::LoadOrCreate(folder_ / "x", id, clock_).status().code(),
              StatusCode::kInvalidArgument)
        << id;
  }
}

}  // namespace
}  // namespace drawbridge
