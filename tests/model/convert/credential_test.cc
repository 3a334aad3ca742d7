#include "model/convert/credential.h"

#include <random>

#include <google/protobuf/stubs/logging.h>

#include "tests/model/convert/messages.h"

namespace drawbridge {
namespace {

class CredentialSecretTest : public testing::Test {
 protected:
  v1::CredentialSecret login_ = FromText<v1::CredentialSecret>(R"(
      kind: CREDENTIAL_KIND_SASL_SCRAM_SHA_512 username: "drawbridge" password: "hunter2")");
  v1::CredentialSecret key_ = FromText<v1::CredentialSecret>(R"(
      kind: CREDENTIAL_KIND_MTLS
      certificate_pem: "-----BEGIN CERTIFICATE-----"
      key_pem: "-----BEGIN PRIVATE KEY-----"
      key_password: "opensesame")");
};

TEST_F(CredentialSecretTest, KeepsWhatItsKindHas) {
  ExpectKeepsAll(login_, {"certificate_pem", "key_pem", "key_password"});
  ExpectKeepsAll(key_, {"username", "password"});
}

TEST_F(CredentialSecretTest, NeedsNoPasswordForAKey) {
  key_.clear_key_password();

  EXPECT_TRUE(ThereAndBack(key_).ok());
}

TEST_F(CredentialSecretTest, BlamesWhatItsKindRequires) {
  ExpectBlamed(login_, "username", [](auto& it) { it.clear_username(); });
  ExpectBlamed(login_, "password", [](auto& it) { it.clear_password(); });
  ExpectBlamed(key_, "certificate_pem", [](auto& it) { it.clear_certificate_pem(); });
  ExpectBlamed(key_, "key_pem", [](auto& it) { it.clear_key_pem(); });
}

TEST_F(CredentialSecretTest, BlamesWhatItsKindHasNoUseFor) {
  ExpectBlamed(login_, "certificate_pem", [](auto& it) { it.set_certificate_pem("x"); });
  ExpectBlamed(login_, "key_pem", [](auto& it) { it.set_key_pem("x"); });
  ExpectBlamed(login_, "key_password", [](auto& it) { it.set_key_password("x"); });
  ExpectBlamed(key_, "username", [](auto& it) { it.set_username("x"); });
  ExpectBlamed(key_, "password", [](auto& it) { it.set_password("x"); });
}

TEST_F(CredentialSecretTest, RefusesOrKeepsWhateverComes) {
  ExpectRefusesOrKeeps<v1::CredentialSecret>(login_);
  ExpectRefusesOrKeeps<v1::CredentialSecret>(key_);
}

TEST_F(CredentialSecretTest, IsInNoError) {
  for (const v1::CredentialSecret& message : {login_, key_}) {
    ForEachSpoiled(message, [](const google::protobuf::Message& spoiled, const std::string&) {
      const Status status = FromProto(dynamic_cast<const v1::CredentialSecret&>(spoiled)).status();
      for (const char* const secret : {"hunter2", "PRIVATE", "opensesame"}) {
        EXPECT_EQ(status.ToString().find(secret), std::string::npos);
      }
    });
  }
}

TEST_F(CredentialSecretTest, IsGoneFromAWipedMessage) {
  Wipe(login_);
  Wipe(key_);

  EXPECT_EQ(login_.password(), "");
  EXPECT_EQ(key_.key_pem(), "");
  EXPECT_EQ(key_.key_password(), "");
  EXPECT_EQ(login_.username(), "drawbridge");
}

class SealedSecretTest : public CredentialSecretTest {
 protected:
  static bool Parses(const std::string& bytes) {
    const StatusOr<CredentialSecret> secret = ParseCredentialSecret(Secret(bytes));
    if (!secret.ok()) {
      EXPECT_EQ(secret.status().code(), StatusCode::kDataLoss);
      EXPECT_EQ(secret.status().reason(), Reason::kSecretUnavailable);
    }
    return secret.ok();
  }
};

TEST_F(SealedSecretTest, ComesBackFromItsBytes) {
  for (const v1::CredentialSecret& message : {login_, key_}) {
    const StatusOr<CredentialSecret> kept = ParseCredentialSecret(Serialize(*FromProto(message)));

    ASSERT_TRUE(kept.ok()) << kept.status().ToString();
    EXPECT_THAT(ToProto(*kept), EqualsMessage(message));
  }
}

TEST_F(SealedSecretTest, IsLostInBytesThatAreNone) {
  EXPECT_FALSE(Parses(""));
  EXPECT_FALSE(Parses("hunter2"));
  EXPECT_FALSE(Parses(std::string(1'000'000, '\xFF')));
}

TEST_F(SealedSecretTest, IsLostWhenItsBytesAreCut) {
  const std::string bytes(Serialize(*FromProto(login_)).Reveal());

  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(Parses(bytes.substr(0, size)));
}

TEST_F(SealedSecretTest, SurvivesAnyBytes) {
  const google::protobuf::LogSilencer silence;  // of complaints about each
  std::mt19937 random(7);
  const std::string sound(Serialize(*FromProto(key_)).Reveal());
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = sound;
    for (int overwritten = 0; overwritten < 3; ++overwritten) {
      bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
    }

    Parses(bytes);
  }
}

TEST(SecretRefTest, KeepsIdAndVersion) {
  const auto message = FromText<v1::SecretRef>("credential_id: 3 version: 9");

  ExpectKeepsAll(message);
  ExpectRefusesOrKeeps<v1::SecretRef>(message);
  ExpectBlamed(message, "credential_id", [](auto& it) { it.set_credential_id(0); });
  ExpectBlamed(message, "version", [](auto& it) { it.set_version(-1); });
}

}  // namespace
}  // namespace drawbridge
