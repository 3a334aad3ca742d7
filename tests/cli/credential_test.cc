#include <filesystem>

#include <gmock/gmock.h>

#include "drawbridge/v1/credential.pb.h"
#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CredentialTest : public VerbTest {
 protected:
  ExitCode Set(std::vector<std::string> options) {
    options.insert(options.begin(), {"credential", "set", "c"});
    return Run(options);
  }

  // With all that a SASL credential needs; the password file holds `content`.
  ExitCode SetPassword(const std::string& content) {
    return Set({"--kind", "sasl-plain", "--username", "ada", "--password-file",
                folder_.Write("password", content)});
  }

  v1::SetCredentialRequest Sent() const {
    return server_.Requests<v1::SetCredentialRequest>().at(0);
  }
};

TEST_F(CredentialTest, ReadsThePasswordFromAFile) {
  v1::Credential stored;
  stored.set_name("c");
  stored.set_version(2);
  server_.WillAnswer(v1::SetCredentialRequest{}, stored);

  EXPECT_EQ(SetPassword("canary\n"), ExitCode::kOk) << err();

  EXPECT_EQ(out(), "credential c stored as version 2\n");
  EXPECT_EQ(Sent().name(), "c");
  EXPECT_EQ(Sent().secret().kind(), v1::CREDENTIAL_KIND_SASL_PLAIN);
  EXPECT_EQ(Sent().secret().username(), "ada");
  EXPECT_EQ(Sent().secret().password(), "canary");
  EXPECT_FALSE(Sent().request_id().empty());
}

TEST_F(CredentialTest, WarnsOfAPasswordThatEverybodyCanRead) {
  using std::filesystem::perms;
  const std::string file = folder_.Write("password", "canary\n");
  const auto set_with = [&](perms mode) {
    std::filesystem::permissions(file, mode);
    return Set({"--kind", "sasl-plain", "--username", "ada", "--password-file", file});
  };

  EXPECT_EQ(set_with(perms::owner_read | perms::group_read), ExitCode::kOk);
  EXPECT_EQ(err(), "");
  EXPECT_EQ(set_with(perms::owner_read | perms::others_read), ExitCode::kOk);
  EXPECT_THAT(err(), HasSubstr("chmod 600"));
  EXPECT_THAT(err(), Not(HasSubstr("canary")));
}

TEST_F(CredentialTest, DropsOneLineEndOnly) {
  EXPECT_EQ(SetPassword(" a b \r\n"), ExitCode::kOk);
  EXPECT_EQ(Sent().secret().password(), " a b ");
}

TEST_F(CredentialTest, ReadsThePasswordFromStandardInput) {
  in_.str("canary\n\n");

  EXPECT_EQ(Set({"--kind", "sasl-scram-sha-512", "--username", "ada", "--password-file", "-"}),
            ExitCode::kOk);

  EXPECT_EQ(Sent().secret().kind(), v1::CREDENTIAL_KIND_SASL_SCRAM_SHA_512);
  EXPECT_EQ(Sent().secret().password(), "canary\n");
}

TEST_F(CredentialTest, ReadsACertificateAndItsKey) {
  EXPECT_EQ(Set({"--kind", "mtls", "--certificate", folder_.Write("c.pem", "C\n"), "--key",
                 folder_.Write("k.pem", "K\n"), "--key-password-file", folder_.Write("p", "P\n")}),
            ExitCode::kOk)
      << err();

  EXPECT_EQ(Sent().secret().certificate_pem(), "C\n");
  EXPECT_EQ(Sent().secret().key_pem(), "K\n");
  EXPECT_EQ(Sent().secret().key_password(), "P");
}

TEST_F(CredentialTest, NamesEveryOptionThatDoesNotFitTheKind) {
  EXPECT_EQ(Set({"--kind", "sasl-plain", "--key", "k.pem"}), ExitCode::kUsage);
  EXPECT_THAT(err(), AllOf(HasSubstr("sasl-plain needs --username (username)"),
                           HasSubstr("sasl-plain needs --password-file"),
                           HasSubstr("sasl-plain does not take --key (key)")));

  EXPECT_EQ(Set({"--kind", "mtls", "--username", "ada"}), ExitCode::kUsage);
  EXPECT_THAT(err(), AllOf(HasSubstr("mtls does not take --username"),
                           HasSubstr("mtls needs --certificate"), HasSubstr("mtls needs --key (")));
}

TEST_F(CredentialTest, RefusesTwoSecretsFromStandardInput) {
  EXPECT_EQ(Set({"--kind", "mtls", "--certificate", "-", "--key", "-"}), ExitCode::kUsage);

  EXPECT_THAT(err(), HasSubstr("only one secret"));
}

TEST_F(CredentialTest, RefusesSecretsThatAreEmptyMissingOrNoText) {
  EXPECT_EQ(SetPassword(""), ExitCode::kUsage);
  EXPECT_EQ(SetPassword("\n"), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("is empty (password-file)"));
  EXPECT_EQ(SetPassword("canary\xFF"), ExitCode::kUsage);
  EXPECT_THAT(err(), AllOf(HasSubstr("no UTF-8"), Not(HasSubstr("canary"))));
  EXPECT_EQ(Set({"--kind", "sasl-plain", "--username", "a", "--password-file", "/nonexistent"}),
            ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("No such file"));
  EXPECT_TRUE(server_.Requests<v1::SetCredentialRequest>().empty());
}

TEST_F(CredentialTest, TakesNoSecretAsAnArgument) {
  EXPECT_EQ(Set({"--kind", "sasl-plain", "--username", "a", "--password", "canary"}),
            ExitCode::kUsage);

  EXPECT_THAT(err(), HasSubstr("--password"));
}

TEST_F(CredentialTest, KnowsItsKinds) {
  EXPECT_EQ(Set({"--kind", "sasl-plane"}), ExitCode::kUsage);

  EXPECT_THAT(err(), HasSubstr("did you mean sasl-plain?"));
}

}  // namespace
}  // namespace drawbridge::cli
