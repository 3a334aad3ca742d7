#include <gmock/gmock.h>

#include "drawbridge/v1/stream.pb.h"
#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::HasSubstr;

class DeadLettersTest : public VerbTest {};

TEST_F(DeadLettersTest, AreListedByWhatFor) {
  v1::ListDeadLettersResponse list;
  v1::DeadLetterGroup& group = *list.add_groups();
  group.set_bridge("oci-search");
  group.set_topic("audit");
  group.set_error("mapper_parsing_exception: failed to parse field [n] of type [long]");
  group.set_records(1234);
  group.set_retried(34);
  group.mutable_first_at()->set_seconds(1'773'478'800);
  group.mutable_last_at()->set_seconds(1'773'478'860);
  server_.WillAnswer(v1::ListDeadLettersRequest{}, list);

  EXPECT_EQ(Run({"dead-letters", "list", "oci-search/audit"}), ExitCode::kOk) << err();

  EXPECT_EQ(server_.Requests<v1::ListDeadLettersRequest>().at(0).topic(), "audit");
  EXPECT_THAT(out(), HasSubstr("oci-search  audit    1,200       34  2026-03-14T09:00:00Z  "
                               "2026-03-14T09:01:00Z  mapper_parsing_exception: failed"));
  EXPECT_EQ(Run({"dead-letters", "list", "-o", "json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson()["groups"][0]["records"], 1234);
}

TEST_F(DeadLettersTest, AreNone) {
  server_.WillAnswer(v1::ListDeadLettersRequest{}, v1::ListDeadLettersResponse{});

  EXPECT_EQ(Run({"dead-letters", "list"}), ExitCode::kOk);

  EXPECT_EQ(out(), "no dead letters: no target has refused a record\n");
}

TEST_F(DeadLettersTest, AreShownWithTheirRecordsAndWhy) {
  v1::ReadDeadLettersResponse page;
  v1::DeadLetter& letter = *page.add_letters();
  letter.set_topic("audit");
  letter.set_partition(2);
  letter.set_offset(41);
  letter.set_value("{\"n\":\"\x1b[2J\"}");
  letter.set_attempts(2);
  letter.set_reason("mapper_parsing_exception: failed to parse");
  letter.mutable_last_refused_at()->set_seconds(1'773'478'800);
  page.set_total(7);
  server_.WillAnswer(v1::ReadDeadLettersRequest{}, page);

  EXPECT_EQ(Run({"dead-letters", "show", "oci-search/audit", "--reason", "r", "--limit", "1"}),
            ExitCode::kOk)
      << err();

  const auto request = server_.Requests<v1::ReadDeadLettersRequest>().at(0);
  EXPECT_EQ(request.bridge(), "oci-search");
  EXPECT_EQ(request.topic(), "audit");
  EXPECT_EQ(request.error(), "r");
  EXPECT_EQ(request.limit(), 1);
  EXPECT_THAT(out(), HasSubstr("audit          2      41  2026-03-14T09:00:00Z      2  "
                               "{\"n\":\"\\x1b[2J\"}  mapper_parsing_exception: failed to parse"));
  EXPECT_THAT(out(), HasSubstr("the last 1 of 7"));
}

TEST_F(DeadLettersTest, AreRetriedUntilAllHaveBeenTried) {
  v1::RetryDeadLettersResponse answer;
  answer.set_retried(1200);
  server_.WillAnswer(v1::RetryDeadLettersRequest{}, answer);

  EXPECT_EQ(Run({"dead-letters", "retry", "oci-search", "--reason", "r"}), ExitCode::kOk) << err();

  const auto request = server_.Requests<v1::RetryDeadLettersRequest>().at(0);
  EXPECT_EQ(request.bridge(), "oci-search");
  EXPECT_EQ(request.error(), "r");
  EXPECT_FALSE(request.request_id().empty());
  EXPECT_EQ(out(), "1,200 brought in\n");
}

TEST_F(DeadLettersTest, SayWhenSomeAreRefusedAgain) {
  v1::RetryDeadLettersResponse answer;
  answer.set_retried(3);
  answer.set_refused(2);
  server_.WillAnswer(v1::RetryDeadLettersRequest{}, answer);

  EXPECT_EQ(Run({"dead-letters", "retry", "oci-search"}), ExitCode::kRefused);

  EXPECT_EQ(out(),
            "3 brought in, 2 refused again: drawbridge dead-letters show oci-search says why\n");
}

TEST_F(DeadLettersTest, AreRetriedOfANamedBridgeOnly) {
  EXPECT_EQ(Run({"dead-letters", "retry"}), ExitCode::kUsage);
  EXPECT_EQ(Run({"dead-letters", "show", "b", "--limit", "1000"}), ExitCode::kUsage);
}

// Not of all bridges, as without an argument: a script's variable may be empty.
TEST_F(DeadLettersTest, AreOfABridgeThatTheArgumentNames) {
  for (const std::string verb : {"list", "show", "retry"}) {
    for (const std::string argument : {"", "/", "/audit"}) {
      EXPECT_EQ(Run({"dead-letters", verb, argument, "-o", "json"}), ExitCode::kUsage)
          << verb << " '" << argument << "'";
      EXPECT_EQ(ErrJson()["errors"][0]["reason"], "FIELD_INVALID");
      EXPECT_THAT(ErrJson()["errors"][0]["message"], HasSubstr("BRIDGE/TOPIC"));
    }
  }
  EXPECT_TRUE(server_.Requests<v1::ListDeadLettersRequest>().empty());
  EXPECT_TRUE(server_.Requests<v1::ReadDeadLettersRequest>().empty());
  EXPECT_TRUE(server_.Requests<v1::RetryDeadLettersRequest>().empty());
}

}  // namespace
}  // namespace drawbridge::cli
