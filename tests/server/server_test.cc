#include "server/server.h"

#include <cstdlib>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/temporary_folder.h"

namespace drawbridge {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kKey =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
constexpr std::string_view kOtherKey =
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf\n";

// Starts the whole server, on free ports, with a folder in the place of the service manager's.
class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    std::filesystem::create_directory(folder_ / "credentials");
    setenv("CREDENTIALS_DIRECTORY", (folder_ / "credentials").c_str(), 1);
  }
  ~ServerTest() override { unsetenv("CREDENTIALS_DIRECTORY"); }

  ServerSettings Settings() const {
    ServerSettings settings;
    settings.state = folder_ / "state";
    settings.api_listen = "127.0.0.1:0";
    settings.relay_listen = "127.0.0.1:0";
    return settings;
  }
  ServerSettings WithCredential(const std::string& name) const {
    ServerSettings settings = Settings();
    settings.master_key_credential = name;
    return settings;
  }
  void GiveCredential(const std::string& name, std::string_view content) const {
    folder_.Write("credentials/" + name, content, 0400);
  }

  // "OK", or why the server did not start. It has ended when this returns.
  static std::string Start(const ServerSettings& settings) {
    const auto server = Server::Start(settings, Clock::System());
    return server.ok() ? "OK" : server.status().ToString();
  }
  // The same, and what it logged meanwhile.
  static std::string StartAndLog(const ServerSettings& settings) {
    testing::internal::CaptureStderr();
    const std::string started = Start(settings);
    return started + "\n" + testing::internal::GetCapturedStderr();
  }
  bool HasOwnKey() const { return std::filesystem::exists(folder_ / "state" / "master.key"); }

  TemporaryFolder folder_;
};

TEST_F(ServerTest, LeavesTheStateFolderOfARelayAlone) {
  std::filesystem::create_directory(folder_ / "state");
  folder_.Write("state/identity.pem", "a relay's key and certificate");

  EXPECT_THAT(Start(Settings()), AllOf(HasSubstr("IN_USE"), HasSubstr("state folder of a relay")));

  EXPECT_FALSE(HasOwnKey());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "state" / "control.db"));
}

TEST_F(ServerTest, TakesTheMasterKeyFromACredentialAndMakesNoFile) {
  GiveCredential("master-key", kKey);

  EXPECT_EQ(Start(WithCredential("master-key")), "OK");
  EXPECT_FALSE(HasOwnKey());
}

TEST_F(ServerTest, KnowsTheKeyOfACredentialAgainWhateverItComesFrom) {
  GiveCredential("master-key", kKey);
  ASSERT_EQ(Start(WithCredential("master-key")), "OK");
  ServerSettings from_file = Settings();
  from_file.master_key = folder_.Write("moved.key", kKey);

  for (const ServerSettings& again : {WithCredential("master-key"), from_file}) {
    EXPECT_THAT(StartAndLog(again), AllOf(HasSubstr("OK\n"), Not(HasSubstr("cannot be opened"))));
  }
}

TEST_F(ServerTest, ServesAllButSecretsWithTheWrongCredential) {
  GiveCredential("master-key", kKey);
  GiveCredential("another", kOtherKey);
  ASSERT_EQ(Start(WithCredential("master-key")), "OK");

  EXPECT_THAT(StartAndLog(WithCredential("another")),
              AllOf(HasSubstr("OK\n"), HasSubstr("secrets cannot be opened"),
                    HasSubstr("credential another")));
}

TEST_F(ServerTest, SaysWhichCredentialIsMissingAndMakesNoKeyInItsPlace) {
  EXPECT_THAT(Start(WithCredential("master-key")), HasSubstr("LoadCredential=master-key:FILE"));
  EXPECT_FALSE(HasOwnKey());

  unsetenv("CREDENTIALS_DIRECTORY");
  EXPECT_THAT(Start(WithCredential("master-key")), HasSubstr("LoadCredential=master-key:FILE"));
  EXPECT_FALSE(HasOwnKey());
}

TEST_F(ServerTest, SaysWhichCredentialIsNoKey) {
  GiveCredential("master-key", "0123456789abcdef");

  EXPECT_THAT(Start(WithCredential("master-key")),
              AllOf(HasSubstr("credential master-key: "), HasSubstr("openssl rand -base64 32"),
                    Not(HasSubstr("0123456789abcdef"))));
}

TEST_F(ServerTest, RefusesTwoPlacesForOneKey) {
  GiveCredential("master-key", kKey);
  ServerSettings both = WithCredential("master-key");
  both.master_key = folder_.Write("master.key", kKey);

  EXPECT_THAT(Start(both), AllOf(HasSubstr("--master-key"), HasSubstr("not both")));
}

TEST_F(ServerTest, TakesNoOtherKeyThanTheOneThatTheSettingsName) {
  ASSERT_EQ(Start(Settings()), "OK");
  ASSERT_TRUE(HasOwnKey());

  // The file of the first start still lies there, and would fit.
  EXPECT_THAT(StartAndLog(WithCredential("master-key")),
              AllOf(HasSubstr("OK\n"), HasSubstr("secrets cannot be opened"),
                    HasSubstr("LoadCredential=master-key:FILE")));
}

}  // namespace
}  // namespace drawbridge
