#include "cli/context.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kText =
    "server: bridge.example.com:7443\n"
    "ca: |\n"
    "  -----BEGIN CERTIFICATE-----\n"
    "  MIIB\n"
    "  -----END CERTIFICATE-----\n"
    "token: drawbridge_canary\n";

ContextSources Sources(const std::string& file, const std::string& token_file = "") {
  return {file, "", "", token_file};
}

class ContextTest : public testing::Test {
 protected:
  std::string Write(const std::string& text) { return folder_.Write("context.yaml", text); }

  // What is said of a context file with this text; the token must never be in it.
  std::string Complaint(const std::string& text) {
    const Result<Context> context = LoadContext(Sources(Write(text)));
    EXPECT_FALSE(context.ok());
    EXPECT_EQ(context.failure().exit, ExitCode::kUsage);
    std::string all;
    for (const Problem& problem : context.failure().problems) all += ToString(problem) + "\n";
    EXPECT_THAT(all, Not(HasSubstr("canary")));
    return all;
  }

  TestFolder folder_;
};

TEST_F(ContextTest, ReadsTheFileThatTheServerWrites) {
  const Result<Context> context = LoadContext(Sources(Write(kText)));

  ASSERT_TRUE(context.ok());
  EXPECT_EQ(context->server, "bridge.example.com:7443");
  EXPECT_THAT(context->ca_pem, HasSubstr("MIIB\n-----END"));
  EXPECT_EQ(context->token.Reveal(), "drawbridge_canary");
}

TEST_F(ContextTest, LetsFlagsOverrideTheFile) {
  const std::string token = folder_.Write("token", "drawbridge_other\n");

  const Result<Context> context =
      LoadContext({.file = Write(kText), .server = "[::1]:1", .ca_file = "", .token_file = token});

  ASSERT_TRUE(context.ok());
  EXPECT_EQ(context->server, "[::1]:1");
  EXPECT_EQ(context->token.Reveal(), "drawbridge_other");
}

TEST_F(ContextTest, NeedsNoFileWhenTheFlagsSayAll) {
  const std::string ca = folder_.Write("ca.pem", "-----BEGIN CERTIFICATE-----\n");
  const std::string token = folder_.Write("token", "t");

  const Result<Context> context =
      LoadContext({.file = "/nonexistent", .server = "host:1", .ca_file = ca, .token_file = token});

  EXPECT_TRUE(context.ok());
}

TEST_F(ContextTest, SaysWhereToGetAMissingFile) {
  const Result<Context> context = LoadContext(Sources("/nonexistent/context.yaml"));

  ASSERT_FALSE(context.ok());
  EXPECT_EQ(context.failure().exit, ExitCode::kUsage);
  EXPECT_EQ(context.failure().problems[0].reason, "NOT_FOUND");
  EXPECT_THAT(context.failure().problems[0].message, HasSubstr("copy admin.context there"));
}

TEST_F(ContextTest, NamesWhatIsMissing) {
  EXPECT_THAT(Complaint("{}"), HasSubstr("--server host:port (server)"));
  EXPECT_THAT(Complaint("server: host:1"), HasSubstr("--ca FILE (ca)"));
  EXPECT_THAT(Complaint("server: host:1\nca: -----BEGIN CERTIFICATE-----"),
              HasSubstr("--token-file FILE (token)"));
}

TEST_F(ContextTest, RefusesAnAddressWithoutAPort) {
  for (const char* server : {"host", "host:", ":7443", "host:0", "host:70000", "https://host:1"}) {
    EXPECT_THAT(Complaint("server: \"" + std::string(server) + "\"\ntoken: canary"),
                HasSubstr("is not host:port"));
  }
}

TEST_F(ContextTest, NeverRepeatsWhatMayBeTheToken) {
  EXPECT_THAT(Complaint("drawbridge_canary"), HasSubstr("write a mapping"));
  EXPECT_THAT(Complaint("drawbridge_canary: x"), HasSubstr("FIELD_UNKNOWN"));
  EXPECT_THAT(Complaint("tokn: drawbridge_canary"), HasSubstr("did you mean token?"));
  EXPECT_THAT(Complaint("token: [drawbridge_canary]"), HasSubstr("is a list"));
  EXPECT_THAT(Complaint("token: \"drawbridge_canary"), HasSubstr("no YAML"));
  EXPECT_THAT(Complaint("drawbridge_canary: 1\ndrawbridge_canary: 2"), HasSubstr("twice"));
}

TEST_F(ContextTest, RefusesATokenThatNoHeaderCanCarry) {
  const std::string token = folder_.Write("token", "two words");

  const Result<Context> context = LoadContext(Sources(Write(kText), token));

  ASSERT_FALSE(context.ok());
  EXPECT_EQ(context.failure().problems[0].field, "token");
}

TEST_F(ContextTest, LooksInTheHomeFolder) {
  setenv("HOME", "/home/ada", 1);  // NOLINT(concurrency-mt-unsafe): no other thread runs

  EXPECT_EQ(DefaultContextFile(), "/home/ada/.config/drawbridge/context.yaml");
}

}  // namespace
}  // namespace drawbridge::cli
