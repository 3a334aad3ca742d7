#include "server/security/keyring.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/fakes/temporary_folder.h"

namespace drawbridge {
namespace {

constexpr std::string_view kHex =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
constexpr std::string_view kBase64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr std::string_view kOtherHex =
    "A0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBF";
// The first 8 bytes of SHA-256 of the bytes 0 to 31.
constexpr std::string_view kId = "630dcd2966c43366";

class KeyringTest : public testing::Test {
 protected:
  static StatusOr<Keyring> Parse(std::string_view text) {
    return Keyring::Parse(Secret(std::string(text)));
  }
  static std::string ActiveId(const StatusOr<Keyring>& ring) {
    return ring.ok() ? ToHex(ring->active().id()) : ring.status().ToString();
  }

  TemporaryFolder folder_;
};

TEST_F(KeyringTest, ReadsAKeyAsHexBase64OrRawBytes) {
  std::string raw(32, '\0');
  for (size_t i = 0; i < raw.size(); ++i) raw[i] = static_cast<char>(i);

  EXPECT_EQ(ActiveId(Parse(kHex)), kId);
  EXPECT_EQ(ActiveId(Parse(kBase64)), kId);
  EXPECT_EQ(ActiveId(Parse(raw)), kId);
}

TEST_F(KeyringTest, SealsWithTheFirstKeyAndFindsAll) {
  const StatusOr<Keyring> ring =
      Parse("# new\n\n  " + std::string(kOtherHex) + " \r\n" + std::string(kHex) + "\n");

  ASSERT_TRUE(ring.ok());
  ASSERT_EQ(ring->keys().size(), 2U);
  EXPECT_NE(ActiveId(ring), kId);
  EXPECT_EQ(ToHex(ring->keys().back().id()), kId);
  EXPECT_EQ(ring->Find(ring->keys().back().id()), &ring->keys().back());
  EXPECT_EQ(ring->Find(KeyId{}), nullptr);
}

TEST_F(KeyringTest, RefusesWhatIsNoKey) {
  for (const std::string& text :
       {std::string(), std::string("# nothing\n"), std::string(kHex.substr(1)),
        std::string(kHex) + "0", "g" + std::string(kHex.substr(1)), std::string(kBase64.substr(4)),
        std::string(43, 'A') + "!", std::string(31, '\x01') + '\x02' + '\x03',
        std::string(kHex) + "\nrubbish\n"}) {
    const StatusOr<Keyring> ring = Parse(text);
    EXPECT_EQ(ring.status().code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST_F(KeyringTest, RefusesAKeyThatIsNotRandom) {
  EXPECT_FALSE(Parse(std::string(32, '\0')).ok());
  EXPECT_FALSE(Parse(std::string(64, '0')).ok());
  EXPECT_FALSE(Parse(kHex.substr(0, 32)).ok()) << "a hex key that was cut off";
}

TEST_F(KeyringTest, SaysNothingOfAKeyItRefuses) {
  const StatusOr<Keyring> ring = Parse("hunter2");

  EXPECT_EQ(ring.status().message().find("hunter2"), std::string::npos);
}

TEST_F(KeyringTest, MakesAKeyAtTheFirstStartAndKeepsIt) {
  const std::filesystem::path file = folder_ / "state" / "keyring";

  const StatusOr<Keyring> made = Keyring::LoadOrCreate(file);
  const StatusOr<Keyring> again = Keyring::LoadOrCreate(file);

  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_EQ(ActiveId(made), ActiveId(again));
  struct stat about {};
  ASSERT_EQ(stat(file.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
}

TEST_F(KeyringTest, MakesAnotherKeyEachTime) {
  EXPECT_NE(ActiveId(Keyring::LoadOrCreate(folder_ / "a")),
            ActiveId(Keyring::LoadOrCreate(folder_ / "b")));
}

TEST_F(KeyringTest, KeepsADamagedFileAsItIs) {
  folder_.Write("keyring", "rubbish");

  EXPECT_EQ(Keyring::LoadOrCreate(folder_ / "keyring").status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(*ReadFile(folder_ / "keyring"), "rubbish");
}

TEST_F(KeyringTest, RefusesAFileThatOthersCanRead) {
  folder_.Write("keyring", kHex, 0640);

  EXPECT_EQ(Keyring::Load(folder_ / "keyring").status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(KeyringTest, TakesTheCredentialOfTheServiceManager) {
  folder_.Write("drawbridge-keyring", kHex, 0440);
  ASSERT_EQ(setenv("CREDENTIALS_DIRECTORY", folder_.path().c_str(), 1), 0);

  EXPECT_EQ(ActiveId(Keyring::LoadCredential("drawbridge-keyring")), kId);
  EXPECT_EQ(Keyring::LoadCredential("none").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Keyring::LoadCredential("../x").status().code(), StatusCode::kInvalidArgument);

  unsetenv("CREDENTIALS_DIRECTORY");
  EXPECT_EQ(Keyring::LoadCredential("drawbridge-keyring").status().code(),
            StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace drawbridge
