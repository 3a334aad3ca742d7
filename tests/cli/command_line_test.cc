#include "cli/command_line.h"

#include <gmock/gmock.h>

#include "drawbridge/v1/bridge.pb.h"
#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CommandLineTest : public VerbTest {};

TEST_F(CommandLineTest, TeachesWithHelp) {
  EXPECT_EQ(RunBare({"--help"}), ExitCode::kOk);
  EXPECT_THAT(out(), AllOf(HasSubstr("Exit codes:"), HasSubstr("Examples:"),
                           HasSubstr("admin.context"), HasSubstr("DRAWBRIDGE_CONTEXT")));
  EXPECT_EQ(err(), "");
}

TEST_F(CommandLineTest, EndsTheHelpOfEachVerbWithExamples) {
  const std::vector<std::vector<std::string>> verbs = {{"apply"},
                                                       {"get"},
                                                       {"describe"},
                                                       {"delete"},
                                                       {"pause"},
                                                       {"resume"},
                                                       {"gaps"},
                                                       {"status"},
                                                       {"endpoint", "test"},
                                                       {"checkpoints"},
                                                       {"relay", "token", "create"},
                                                       {"relay", "revoke"},
                                                       {"credential", "set"}};
  for (std::vector<std::string> verb : verbs) {
    const std::string name = verb.back();
    verb.emplace_back("--help");
    EXPECT_EQ(RunBare(verb), ExitCode::kOk) << name;
    EXPECT_THAT(out(), AllOf(HasSubstr("Examples:"), HasSubstr("-o, --context"))) << name;
  }
}

TEST_F(CommandLineTest, NamesTheVerbThatWasMeant) {
  EXPECT_EQ(RunBare({"staus"}), ExitCode::kUsage);
  EXPECT_EQ(err(),
            "error: FIELD_INVALID: drawbridge has no verb staus; did you mean status?; see "
            "drawbridge --help\n");
  EXPECT_EQ(RunBare({"relay"}), ExitCode::kUsage);
  EXPECT_THAT(err(), HasSubstr("drawbridge relay needs a verb behind it"));
}

TEST_F(CommandLineTest, NamesTheOptionThatWasMeant) {
  EXPECT_EQ(RunBare({"status", "--folow"}), ExitCode::kUsage);

  EXPECT_THAT(err(), AllOf(HasSubstr("FIELD_UNKNOWN"), HasSubstr("did you mean --follow?"),
                           HasSubstr("see drawbridge status --help")));
}

TEST_F(CommandLineTest, RefusesWrongValues) {
  EXPECT_EQ(RunBare({"get", "foo"}), ExitCode::kUsage);
  EXPECT_EQ(RunBare({"get"}), ExitCode::kUsage);
  EXPECT_EQ(RunBare({"get", "bridges", "a", "b"}), ExitCode::kUsage);
  EXPECT_EQ(RunBare({"get", "bridges", "-o", "xml"}), ExitCode::kUsage);
  EXPECT_EQ(RunBare({"status", "--interval", "5"}), ExitCode::kUsage);
  EXPECT_EQ(RunBare({"status", "--timeout", "0s"}), ExitCode::kUsage);
  EXPECT_EQ(RunBare({"apply"}), ExitCode::kUsage);
  EXPECT_EQ(RunBare({}), ExitCode::kUsage);
}

TEST_F(CommandLineTest, SaysEvenThatInJson) {
  EXPECT_EQ(RunBare({"-o", "json", "staus"}), ExitCode::kUsage);

  EXPECT_EQ(ErrJson()["errors"][0]["reason"], "FIELD_INVALID");
}

TEST_F(CommandLineTest, TakesGlobalOptionsBeforeAndBehindTheVerb) {
  EXPECT_EQ(RunBare({"-o", "json", "get", "bridges", "--context", context_file_}), ExitCode::kOk);

  EXPECT_EQ(OutJson()["bridges"], nlohmann::json::array());
}

TEST_F(CommandLineTest, FindsTheContextInTheEnvironment) {
  setenv("DRAWBRIDGE_CONTEXT", context_file_.c_str(), 1);  // NOLINT(concurrency-mt-unsafe)

  EXPECT_EQ(RunBare({"get", "bridges"}), ExitCode::kOk) << err();

  unsetenv("DRAWBRIDGE_CONTEXT");  // NOLINT(concurrency-mt-unsafe)
}

TEST_F(CommandLineTest, NeedsNoServerToTellItsVersion) {
  EXPECT_EQ(RunBare({"version", "--context", "/nonexistent"}), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("drawbridge 0.1.0"));
  EXPECT_EQ(RunBare({"version", "-o", "json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson()["api"], "drawbridge.v1");
}

TEST_F(CommandLineTest, NeverPrintsTheToken) {
  for (const std::vector<std::string>& verb :
       {std::vector<std::string>{"get", "bridges"}, {"status"}, {"gaps"}, {"version"}}) {
    EXPECT_EQ(Run(verb), ExitCode::kOk);
    EXPECT_THAT(out() + err(), Not(HasSubstr(FakeServer::kToken)));
  }
}

}  // namespace
}  // namespace drawbridge::cli
