#include "server/security/secret_box.h"

#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

constexpr SealedField kField{.credential_id = 7, .version = 3, .name = "password"};
constexpr std::string_view kOldKey =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
constexpr std::string_view kNewKey =
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf\n";
// magic and kinds 6, key id 8, sealed data key 60, nonce 12, tag 16
constexpr size_t kOverheadBytes = 102;

SecretBox BoxWith(std::string_view keys, std::string deployment_id = "prod") {
  StatusOr<Keyring> ring = Keyring::Parse(Secret(std::string(keys)));
  EXPECT_TRUE(ring.ok());
  return {std::move(deployment_id), *std::move(ring)};
}

class SecretBoxTest : public testing::Test {
 protected:
  static std::string Seal(const SecretBox& box, std::string_view text,
                          const SealedField& field = kField) {
    const StatusOr<std::string> sealed = box.Seal(field, Secret(std::string(text)));
    EXPECT_TRUE(sealed.ok()) << sealed.status().ToString();
    return sealed.ok() ? *sealed : std::string();
  }

  // The plaintext, or the error's code.
  static std::string Open(const SecretBox& box, std::string_view sealed,
                          const SealedField& field = kField) {
    const StatusOr<Secret> opened = box.Open(field, sealed);
    if (opened.ok()) return std::string(opened->Reveal());
    EXPECT_EQ(opened.status().reason(), Reason::kSecretUnavailable);
    return opened.status().code() == StatusCode::kDataLoss ? "(data loss)" : "(no key)";
  }

  SecretBox box_ = BoxWith(kOldKey);
};

TEST_F(SecretBoxTest, OpensWhatItSealed) {
  for (const std::string& text : {std::string("hunter2"), std::string(), std::string(1, '\0'),
                                  std::string(SecretBox::kPlaintextBytesMax, 'x')}) {
    const std::string sealed = Seal(box_, text);

    EXPECT_EQ(sealed.size(), text.size() + kOverheadBytes);
    EXPECT_EQ(Open(box_, sealed), text);
  }
}

TEST_F(SecretBoxTest, RefusesToSealWhatIsTooLong) {
  const Secret text(std::string(SecretBox::kPlaintextBytesMax + 1, 'x'));

  EXPECT_EQ(box_.Seal(kField, text).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(SecretBoxTest, ShowsNothingOfThePlaintext) {
  const std::string sealed = Seal(box_, "correct horse battery staple");

  EXPECT_EQ(sealed.find("correct"), std::string::npos);
  EXPECT_EQ(sealed.find("staple"), std::string::npos);
}

TEST_F(SecretBoxTest, SealsTheSameTextDifferentlyEachTime) {
  std::set<std::string> wrapped_keys;
  std::set<std::string> data;
  for (int i = 0; i < 100; ++i) {
    const std::string sealed = Seal(box_, "hunter2");
    wrapped_keys.insert(sealed.substr(14, 60));
    data.insert(sealed.substr(74));
  }

  EXPECT_EQ(wrapped_keys.size(), 100U);
  EXPECT_EQ(data.size(), 100U);
}

TEST_F(SecretBoxTest, DoesNotOpenForAnythingElse) {
  const std::string sealed = Seal(box_, "hunter2");

  EXPECT_EQ(Open(box_, sealed, {8, 3, "password"}), "(data loss)") << "another credential";
  EXPECT_EQ(Open(box_, sealed, {7, 4, "password"}), "(data loss)") << "an older version put back";
  EXPECT_EQ(Open(box_, sealed, {7, 2, "password"}), "(data loss)");
  EXPECT_EQ(Open(box_, sealed, {3, 7, "password"}), "(data loss)");
  EXPECT_EQ(Open(box_, sealed, {7, 3, "key"}), "(data loss)") << "another field";
  EXPECT_EQ(Open(box_, sealed, {7, 3, ""}), "(data loss)");
  EXPECT_EQ(Open(BoxWith(kOldKey, "test"), sealed), "(data loss)") << "another deployment";
}

TEST_F(SecretBoxTest, DoesNotOpenWithAnotherKey) {
  const std::string sealed = Seal(box_, "hunter2");

  EXPECT_EQ(Open(BoxWith(kNewKey), sealed), "(no key)");
}

TEST_F(SecretBoxTest, DoesNotOpenWithAnotherKeyThatClaimsItsName) {
  const SecretBox other = BoxWith(kNewKey);
  std::string sealed = Seal(box_, "hunter2");

  sealed.replace(6, 8, reinterpret_cast<const char*>(other.active().data()), 8);

  EXPECT_EQ(Open(other, sealed), "(data loss)");
}

TEST_F(SecretBoxTest, DoesNotOpenWhenCutAnywhere) {
  const std::string sealed = Seal(box_, "hunter2");

  for (size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_EQ(Open(box_, sealed.substr(0, size)), "(data loss)") << size;
    EXPECT_EQ(Open(box_, sealed.substr(sealed.size() - size)), "(data loss)") << size;
  }
  EXPECT_EQ(Open(box_, sealed + '\0'), "(data loss)");
}

TEST_F(SecretBoxTest, DoesNotOpenWhenAnyBitIsFlipped) {
  const std::string sealed = Seal(box_, "hunter2");

  for (size_t i = 0; i < sealed.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string changed = sealed;
      changed[i] = static_cast<char>(static_cast<unsigned char>(changed[i]) ^ (1U << bit));
      EXPECT_FALSE(box_.Open(kField, changed).ok()) << "byte " << i << " bit " << bit;
      EXPECT_FALSE(box_.Rewrap(kField, changed).ok() && i < 74) << "byte " << i << " bit " << bit;
    }
  }
}

TEST_F(SecretBoxTest, DoesNotOpenRubbish) {
  std::mt19937 random(42);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same rubbish each time
  for (int i = 0; i < 10'000; ++i) {
    std::string rubbish(random() % 300, '\0');
    for (char& byte : rubbish) byte = static_cast<char>(random());
    if (i % 2 == 0) rubbish.insert(0, "DBSB\x01\x01");
    EXPECT_FALSE(box_.Open(kField, rubbish).ok());
    EXPECT_FALSE(box_.VerifyKeyCheck(rubbish).ok());
  }
}

TEST_F(SecretBoxTest, DoesNotOpenPartsOfTwoSecretsPutTogether) {
  const std::string one = Seal(box_, "hunter2");
  const std::string two = Seal(box_, "hunter3");

  EXPECT_EQ(Open(box_, one.substr(0, 74) + two.substr(74)), "(data loss)");
}

TEST_F(SecretBoxTest, ReplacesAKeyWhileOldRowsExist) {
  const SecretBox both = BoxWith(std::string(kNewKey) + std::string(kOldKey));
  const std::string old = Seal(box_, "hunter2");
  EXPECT_EQ(Open(both, old), "hunter2");
  EXPECT_EQ(*both.SealedBy(old), box_.active());

  const StatusOr<std::string> rewrapped = both.Rewrap(kField, old);

  ASSERT_TRUE(rewrapped.ok());
  EXPECT_EQ(*both.SealedBy(*rewrapped), both.active());
  EXPECT_EQ(rewrapped->substr(74), old.substr(74)) << "the ciphertext is not touched";
  EXPECT_EQ(Open(BoxWith(kNewKey), *rewrapped), "hunter2");
  EXPECT_EQ(Open(box_, *rewrapped), "(no key)");
}

TEST_F(SecretBoxTest, RewrapsForTheSameCredentialOnly) {
  const std::string sealed = Seal(box_, "hunter2");

  EXPECT_FALSE(box_.Rewrap({8, 3, "password"}, sealed).ok());
  EXPECT_FALSE(box_.Rewrap({7, 4, "password"}, sealed).ok());
}

TEST_F(SecretBoxTest, KnowsTheRightKeyRingByItsKeyCheck) {
  const StatusOr<std::string> check = box_.MakeKeyCheck();
  ASSERT_TRUE(check.ok());

  EXPECT_TRUE(box_.VerifyKeyCheck(*check).ok());
  EXPECT_TRUE(BoxWith(std::string(kNewKey) + std::string(kOldKey)).VerifyKeyCheck(*check).ok());
  EXPECT_EQ(BoxWith(kNewKey).VerifyKeyCheck(*check).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(BoxWith(kOldKey, "test").VerifyKeyCheck(*check).code(), StatusCode::kDataLoss);
  EXPECT_EQ(box_.VerifyKeyCheck("").code(), StatusCode::kDataLoss);
}

TEST_F(SecretBoxTest, TakesNoSecretForAKeyCheck) {
  const std::string sealed = Seal(box_, "the key ring is the right one", {0, 0, ""});

  EXPECT_FALSE(box_.VerifyKeyCheck(sealed).ok());
}

}  // namespace
}  // namespace drawbridge
