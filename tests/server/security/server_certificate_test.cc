#include "server/security/server_certificate.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "server/security/relay_ca.h"
#include "tests/fakes/certificates.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/temporary_folder.h"

namespace drawbridge {
namespace {

using std::chrono::days;

class ServerCertificateTest : public testing::Test {
 protected:
  ServerCertificate Load(const std::vector<std::string>& hosts = {"db.example", "10.0.0.3"}) {
    StatusOr<ServerCertificate> certificate =
        ServerCertificate::LoadOrCreate(folder_ / "tls", hosts, clock_);
    EXPECT_TRUE(certificate.ok()) << certificate.status().ToString();
    return *std::move(certificate);
  }

  std::string Chain() const { return *ReadFile(folder_ / "tls" / "current" / "server.crt"); }

  std::string VerifyFor(const std::string& host, std::string_view ca_pem) const {
    return Verify(Chain(), ca_pem, {CertificateUse::kServer, clock_.WallNow(), host});
  }

  static bool IsPublishedPair(const ServerCertificate& certificate) {
    const auto files = certificate.files();
    const auto key = ReadKey(Secret(*ReadFile(files.key)));
    return key.ok() && IsPair(*First(*ReadFile(files.certificate)), **key);
  }

  TemporaryFolder folder_;
  FakeClock clock_;
};

TEST_F(ServerCertificateTest, StandsForItsHostsAndTheMachine) {
  const ServerCertificate certificate = Load();

  for (const std::string host : {"db.example", "10.0.0.3", "localhost", "127.0.0.1", "::1"}) {
    EXPECT_EQ(VerifyFor(host, certificate.ca_pem()), "ok") << host;
  }
  EXPECT_EQ(VerifyFor("evil.example", certificate.ca_pem()), "hostname mismatch");
  EXPECT_TRUE(IsPublishedPair(certificate));
}

TEST_F(ServerCertificateTest, PublishesAKeyForTheOwnerAloneAndAPublicCa) {
  const ServerCertificateFiles files = Load().files();

  struct stat about {};
  ASSERT_EQ(stat(files.key.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  EXPECT_EQ(*ReadFile(files.ca), Load().ca_pem());
}

TEST_F(ServerCertificateTest, ShowsTheCertificateThatThePinNames) {
  const ServerCertificate certificate = Load();

  const auto chain = ReadCertificates(Chain());
  ASSERT_TRUE(chain.ok());
  EXPECT_EQ(*CaPin(*ToPem(*chain->back())), certificate.ca_pin());
  EXPECT_EQ(*CaPin(certificate.ca_pem()), certificate.ca_pin());
}

TEST_F(ServerCertificateTest, IsTheSameAfterARestart) {
  Load();
  const std::string before = Chain();

  Load();

  EXPECT_EQ(Chain(), before);
}

TEST_F(ServerCertificateTest, IsMadeAnewForOtherHosts) {
  const std::string ca_pem = Load().ca_pem();
  const std::string before = Chain();

  Load({"other.example"});

  EXPECT_NE(Chain(), before);
  EXPECT_EQ(VerifyFor("other.example", ca_pem), "ok") << "clients need not learn a new CA";
  EXPECT_EQ(VerifyFor("db.example", ca_pem), "hostname mismatch");
}

TEST_F(ServerCertificateTest, DoesNotMindTheOrderOrSpellingOfHosts) {
  Load({"db.example", "0:0::1", "10.0.0.3"});
  const std::string before = Chain();

  Load({"10.0.0.3", "DB.example", "db.example"});

  EXPECT_EQ(Chain(), before);
}

TEST_F(ServerCertificateTest, IsRenewedWhenLessThanAThirdOfItsLifeIsLeft) {
  ServerCertificate certificate = Load();
  const WallTime not_after = certificate.not_after();
  clock_.Advance(days{59});
  EXPECT_FALSE(*certificate.Renew());

  clock_.Advance(days{2});

  EXPECT_TRUE(*certificate.Renew());
  EXPECT_GT(certificate.not_after(), not_after);
  EXPECT_FALSE(*certificate.Renew());
  EXPECT_TRUE(IsPublishedPair(certificate));
}

TEST_F(ServerCertificateTest, IsRenewedAfterALongTimeOff) {
  Load();
  clock_.Advance(days{400});

  const ServerCertificate certificate = Load();

  EXPECT_EQ(VerifyFor("localhost", certificate.ca_pem()), "ok");
}

TEST_F(ServerCertificateTest, KeepsItsPathsAndNoHeapOfOldPairs) {
  ServerCertificate certificate = Load();
  const ServerCertificateFiles before = certificate.files();
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(days{61});
    ASSERT_TRUE(*certificate.Renew());
  }

  EXPECT_EQ(certificate.files().key, before.key);
  const auto pairs = std::ranges::count_if(
      std::filesystem::directory_iterator(folder_ / "tls"),
      [](const auto& entry) { return entry.path().filename().string().starts_with("pair-"); });
  EXPECT_EQ(pairs, 2) << "the present one, and the one that somebody may just be reading";
}

TEST_F(ServerCertificateTest, IsMadeAnewWhenItIsDamaged) {
  const std::string ca_pem = Load().ca_pem();
  for (const char* name : {"server.crt", "server.key", "ca.crt"}) {
    folder_.Write(std::string("tls/current/") + name, "rubbish");

    const ServerCertificate certificate = Load();

    EXPECT_EQ(VerifyFor("localhost", ca_pem), "ok") << name;
    EXPECT_TRUE(IsPublishedPair(certificate)) << name;
  }
}

TEST_F(ServerCertificateTest, IsMadeAnewWhenTheKeyIsAnothers) {
  ServerCertificate certificate = Load();
  folder_.Write("tls/current/server.key", ToPem(**MakeKey())->Reveal());

  EXPECT_TRUE(*certificate.Renew());
  EXPECT_TRUE(IsPublishedPair(certificate));
}

TEST_F(ServerCertificateTest, DoesNotReplaceTheLostKeyOfItsAuthority) {
  ServerCertificate certificate = Load();
  std::filesystem::remove(folder_ / "tls" / "server-ca.key");

  EXPECT_EQ(certificate.Renew().status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(IsPublishedPair(certificate)) << "the last good one stays";
}

TEST_F(ServerCertificateTest, DoesNotPassForARelay) {
  const ServerCertificate certificate = Load();

  EXPECT_EQ(Verify(Chain(), certificate.ca_pem(), {CertificateUse::kClient, clock_.WallNow(), ""}),
            "unsuitable certificate purpose");
}

TEST_F(ServerCertificateTest, RefusesAHostThatIsNone) {
  for (const std::string host : {"", "a b", "*.example", "10.0.0.300", "a,DNS:b"}) {
    EXPECT_EQ(ServerCertificate::LoadOrCreate(folder_ / "x", {host}, clock_).status().code(),
              StatusCode::kInvalidArgument)
        << host;
  }
}

TEST(CaPinTest, IsTheHashOfThePublicKey) {
  // openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | sha256sum
  constexpr std::string_view kCertificate =
      "-----BEGIN CERTIFICATE-----\n"
      "MIIBcTCCARegAwIBAgIUA7Ui4Mn8S5Sqt8Q8ZSUPWHG7td4wCgYIKoZIzj0EAwIw\n"
      "DjEMMAoGA1UEAwwDcGluMB4XDTI2MTEyMTEyMTQwNVoXDTM2MTExODEyMTQwNVow\n"
      "DjEMMAoGA1UEAwwDcGluMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0lF3J9UG\n"
      "QBjC4raEqSJyrw148nekteqCrpWI80s+N1ORlfWjRYjUAinB4h2TMIiX1NurS+m6\n"
      "8vZrg747J7Hud6NTMFEwHQYDVR0OBBYEFAgFQP12h8r7APOEwLEViGOmYFCnMB8G\n"
      "A1UdIwQYMBaAFAgFQP12h8r7APOEwLEViGOmYFCnMA8GA1UdEwEB/wQFMAMBAf8w\n"
      "CgYIKoZIzj0EAwIDSAAwRQIgKOzOKr7F/NcEW1WsRHYv9bzOMcwmi2sBlHkHVnaO\n"
      "WVcCIQCH3b4AWvlVU5hKNMnsk5UFbz0O35NjpthMU5vL5svkaA==\n"
      "-----END CERTIFICATE-----\n";

  const StatusOr<std::string> pin = CaPin(kCertificate);

  ASSERT_TRUE(pin.ok());
  EXPECT_EQ(*pin, "sha256:0e841f7e64630bebe0f7ff7778a6e841dfd1b5235bd14d5898c8c8429893c146");
  EXPECT_FALSE(CaPin("rubbish").ok());
}

// An operator's own certificate, from an authority of the operator's.
class OperatorCertificateTest : public ServerCertificateTest {
 protected:
  // Signs as the operator's authority does.
  ServerCertificateFiles Issue(CertificateUse use = CertificateUse::kServer,
                               Duration life = days{30}) {
    CertificateText text;
    text.common_name = "Corporate CA";
    text.not_before = clock_.WallNow();
    text.not_after = clock_.WallNow() + days{1000};
    text.is_authority = true;
    text.use = use;
    const StatusOr<CertificateAuthority> authority =
        CertificateAuthority::LoadOrCreate(folder_ / "corporate", "ca", text, clock_.WallNow());
    EXPECT_TRUE(authority.ok());
    text.is_authority = false;
    text.common_name = "db.example";
    text.names = {*HostName("db.example")};
    text.not_before = clock_.WallNow();
    text.not_after = clock_.WallNow() + std::chrono::duration_cast<WallTime::duration>(life);
    const KeyHandle key = *MakeKey();
    folder_.Write("corporate/db.crt", *ToPem(**authority->Sign(text, *key)), 0644);
    folder_.Write("corporate/db.key", ToPem(*key)->Reveal(), 0640);
    return {folder_ / "corporate" / "db.crt", folder_ / "corporate" / "db.key", authority->file()};
  }

  StatusOr<ServerCertificate> Publish(const ServerCertificateFiles& files) {
    return ServerCertificate::Publish(folder_ / "tls", files, clock_);
  }
};

TEST_F(OperatorCertificateTest, IsPublishedWithItsChainUpToTheCa) {
  const ServerCertificateFiles files = Issue();

  const StatusOr<ServerCertificate> certificate = Publish(files);

  ASSERT_TRUE(certificate.ok()) << certificate.status().ToString();
  EXPECT_EQ(VerifyFor("db.example", *ReadFile(files.ca)), "ok");
  EXPECT_TRUE(IsPublishedPair(*certificate));
  EXPECT_EQ(*CaPin(*ReadFile(files.ca)), certificate->ca_pin());
  EXPECT_EQ(ReadCertificates(Chain())->size(), 2U);
}

TEST_F(OperatorCertificateTest, IsTakenOverWhenTheOperatorReplacesIt) {
  StatusOr<ServerCertificate> certificate = Publish(Issue());
  ASSERT_TRUE(certificate.ok());
  EXPECT_FALSE(*certificate->Renew());
  const std::string before = Chain();

  Issue();

  EXPECT_TRUE(*certificate->Renew());
  EXPECT_NE(Chain(), before);
  EXPECT_TRUE(IsPublishedPair(*certificate));
}

TEST_F(OperatorCertificateTest, StaysWhileItsReplacementIsNoPair) {
  StatusOr<ServerCertificate> certificate = Publish(Issue());
  ASSERT_TRUE(certificate.ok());
  const std::string before = Chain();

  folder_.Write("corporate/db.key", ToPem(**MakeKey())->Reveal());

  EXPECT_EQ(certificate->Renew().status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Chain(), before);
  EXPECT_TRUE(IsPublishedPair(*certificate));
}

TEST_F(OperatorCertificateTest, IsRefusedWhenItIsOfNoUse) {
  const ServerCertificateFiles files = Issue();
  Load();  // another authority
  const ServerCertificateFiles foreign{files.certificate, files.key,
                                       folder_ / "tls" / "server-ca.crt"};
  EXPECT_EQ(Publish(foreign).status().code(), StatusCode::kFailedPrecondition);

  clock_.Advance(days{31});
  EXPECT_EQ(Publish(files).status().code(), StatusCode::kFailedPrecondition) << "expired";

  EXPECT_EQ(Publish({files.certificate, files.key, folder_ / "none"}).status().code(),
            StatusCode::kNotFound);
}

TEST_F(OperatorCertificateTest, IsRefusedWhenItIsAClients) {
  EXPECT_EQ(Publish(Issue(CertificateUse::kClient)).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(OperatorCertificateTest, IsRefusedWhenEverybodyCanReadItsKey) {
  const ServerCertificateFiles files = Issue();
  std::filesystem::permissions(files.key, std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);

  EXPECT_EQ(Publish(files).status().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace drawbridge
