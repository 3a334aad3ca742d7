#include "relay/control/relay_identity.h"

#include <chrono>
#include <string>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include "server/security/relay_ca.h"
#include "server/security/server_certificate.h"
#include "tests/fakes/certificates.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/temporary_folder.h"

namespace drawbridge {
namespace {

using std::chrono::days;
using std::chrono::hours;

// A relay's state folder, and the server's authorities, for real.
class RelayIdentityTest : public testing::Test {
 protected:
  std::string Ask() {
    StatusOr<std::string> request = RelayIdentity::Request(folder_.path());
    EXPECT_TRUE(request.ok()) << request.status().ToString();
    return *std::move(request);
  }

  std::string Sign(const std::string& request, const std::string& name = "r1") {
    const StatusOr<RelayCertificate> relay = relay_ca_.SignRelay(request, name);
    EXPECT_TRUE(relay.ok()) << relay.status().ToString();
    return relay->certificate_pem + relay_ca_.ca_pem();
  }

  StatusOr<RelayIdentity> Accept(const std::string& certificate_pem) {
    return RelayIdentity::Accept(folder_.path(), certificate_pem, server_.ca_pem());
  }

  StatusOr<RelayIdentity> Load() { return RelayIdentity::Load(folder_.path()); }

  std::string KeyInRequest(const std::string& request) {
    const CertificateHandle certificate = First(Sign(request));
    return *CaPin(*ToPem(*certificate));
  }

  FakeClock clock_;
  TemporaryFolder folder_;
  TemporaryFolder server_folder_;
  RelayCa relay_ca_ = *RelayCa::LoadOrCreate(server_folder_.path(), "prod", clock_);
  ServerCertificate server_ = *ServerCertificate::LoadOrCreate(server_folder_.path(), {}, clock_);
};

TEST_F(RelayIdentityTest, BecomesARelayByTheServersAnswer) {
  const StatusOr<RelayIdentity> accepted = Accept(Sign(Ask()));
  ASSERT_TRUE(accepted.ok()) << accepted.status().ToString();

  const StatusOr<RelayIdentity> identity = Load();

  ASSERT_TRUE(identity.ok()) << identity.status().ToString();
  EXPECT_EQ(identity->relay_name(), "r1");
  EXPECT_EQ(identity->deployment_id(), "prod");
  EXPECT_EQ(identity->ca_pem(), server_.ca_pem());
  EXPECT_EQ(identity->not_after(), clock_.WallNow() + days{7});
  EXPECT_EQ(identity->certificate_pem(), accepted->certificate_pem());
  EXPECT_EQ(Verify(identity->certificate_pem(), relay_ca_.ca_pem(),
                   {CertificateUse::kClient, clock_.WallNow(), ""}),
            "ok");
  EXPECT_TRUE(IsPair(*First(identity->certificate_pem()), **ReadKey(identity->key_pem())));
}

TEST_F(RelayIdentityTest, IsNobodyBeforeItHasEnrolled) {
  EXPECT_EQ(Load().status().code(), StatusCode::kNotFound);
  Ask();
  EXPECT_EQ(Load().status().code(), StatusCode::kNotFound);
}

TEST_F(RelayIdentityTest, KeepsItsKeysToItself) {
  const std::string request = Ask();
  struct stat about {};
  ASSERT_EQ(stat((folder_ / "next-key.pem").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  EXPECT_EQ(request.find("PRIVATE"), std::string::npos);

  ASSERT_TRUE(Accept(Sign(request)).ok());

  ASSERT_EQ(stat((folder_ / "identity.pem").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "next-key.pem"));
}

TEST_F(RelayIdentityTest, RefusesAKeyThatOthersCanRead) {
  ASSERT_TRUE(Accept(Sign(Ask())).ok());
  std::filesystem::permissions(folder_ / "identity.pem", std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);

  EXPECT_EQ(Load().status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(RelayIdentityTest, AsksForTheSameKeyUntilItIsAnswered) {
  const std::string first = KeyInRequest(Ask());
  EXPECT_EQ(KeyInRequest(Ask()), first);

  ASSERT_TRUE(Accept(Sign(Ask())).ok());

  EXPECT_NE(KeyInRequest(Ask()), first) << "each certificate has a key of its own";
}

TEST_F(RelayIdentityTest, RefusesACertificateForAnotherKey) {
  ASSERT_TRUE(Accept(Sign(Ask())).ok());
  const std::string before = Load()->certificate_pem();
  Ask();

  const KeyHandle other = KeyOfKind("P-256");
  const StatusOr<RelayIdentity> accepted = Accept(Sign(MakeRequest(*other)));

  EXPECT_EQ(accepted.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Load()->certificate_pem(), before) << "the identity that was there stays";
}

TEST_F(RelayIdentityTest, RefusesAnswersThatAreOfNoUse) {
  const std::string certificate = Sign(Ask());

  EXPECT_FALSE(Accept("").ok());
  EXPECT_FALSE(Accept("rubbish").ok());
  EXPECT_FALSE(Accept(certificate.substr(0, 300)).ok());
  EXPECT_FALSE(Accept(server_.ca_pem()).ok());
  EXPECT_FALSE(RelayIdentity::Accept(folder_.path(), certificate, "rubbish").ok());
  EXPECT_EQ(Load().status().code(), StatusCode::kNotFound);

  EXPECT_TRUE(Accept(certificate).ok()) << "the request still waits for its answer";
}

TEST_F(RelayIdentityTest, RefusesACertificateThatNamesNoRelay) {
  const std::string request = Ask();
  CertificateText text;
  text.common_name = "r1";
  text.names = {{SubjectName::Kind::kUri, "spiffe://prod/server/r1"}};
  text.not_after = clock_.WallNow() + days{1};
  const KeyHandle key = *ReadKey(Secret(*ReadFile(folder_ / "next-key.pem")));

  const StatusOr<RelayIdentity> accepted = Accept(*ToPem(**SignCertificate(text, *key, nullptr)));

  EXPECT_EQ(accepted.status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(RelayIdentityTest, RefusesAnAnswerThatItDidNotAskFor) {
  const KeyHandle key = KeyOfKind("P-256");

  EXPECT_EQ(Accept(Sign(MakeRequest(*key))).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(RelayIdentityTest, RefusesADamagedIdentity) {
  ASSERT_TRUE(Accept(Sign(Ask())).ok());
  const std::string whole = *ReadFile(folder_ / "identity.pem");

  for (const size_t size : {size_t{1}, size_t{100}, whole.size() / 3, whole.size() - 60}) {
    folder_.Write("identity.pem", whole.substr(0, size));
    EXPECT_EQ(Load().status().code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(ERR_peek_error(), 0U) << "an error left behind would be taken for one of TLS";
}

TEST_F(RelayIdentityTest, LoadsThoughItHasExpired) {
  ASSERT_TRUE(Accept(Sign(Ask())).ok());
  clock_.Advance(days{30});

  const StatusOr<RelayIdentity> identity = Load();

  ASSERT_TRUE(identity.ok());
  EXPECT_LT(identity->not_after(), clock_.WallNow());
}

TEST_F(RelayIdentityTest, RenewsBetweenHalfAndTwoThirdsOfItsLife) {
  const WallTime begin = clock_.WallNow();
  const WallTime end = begin + hours{100};

  EXPECT_EQ(RenewAt(begin, end, 0.50), begin + hours{50});
  EXPECT_EQ(RenewAt(begin, end, 0.66), begin + hours{66});
  EXPECT_EQ(RenewAt(begin, end, 0.0), begin + hours{50});
  EXPECT_EQ(RenewAt(begin, end, 1.0), begin + hours{66});
}

TEST_F(RelayIdentityTest, FindsTheCaThatThePinNames) {
  const std::string shown = *ReadFile(server_.files().certificate);

  const StatusOr<std::string> ca = FindPinned(shown, server_.ca_pin());

  ASSERT_TRUE(ca.ok()) << ca.status().ToString();
  EXPECT_EQ(*ca, server_.ca_pem());
}

TEST_F(RelayIdentityTest, DoesNotTrustAnotherCa) {
  const TemporaryFolder other;
  const ServerCertificate impostor = *ServerCertificate::LoadOrCreate(other.path(), {}, clock_);

  const StatusOr<std::string> ca =
      FindPinned(*ReadFile(impostor.files().certificate), server_.ca_pin());

  EXPECT_EQ(ca.status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(ca.status().reason(), Reason::kTlsUntrusted);
  EXPECT_FALSE(FindPinned("", server_.ca_pin()).ok());
}

TEST_F(RelayIdentityTest, RefusesAPinThatIsNone) {
  const std::string pin = server_.ca_pin();
  for (const std::string& text :
       {std::string(), std::string("sha256:"), pin.substr(7), pin.substr(0, pin.size() - 1),
        pin + "0", "sha1" + pin.substr(6), pin.substr(0, pin.size() - 1) + "G"}) {
    EXPECT_EQ(FindPinned(server_.ca_pem(), text).status().code(), StatusCode::kInvalidArgument)
        << text;
  }
}

}  // namespace
}  // namespace drawbridge
