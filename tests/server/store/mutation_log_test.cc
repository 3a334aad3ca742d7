#include "server/store/mutation_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

// What every change of desired state has in common, tried on one of them.
class MutationLogTest : public StoreTest {
 protected:
  MutationLogTest() { DefineBridge(); }

  StatusOr<Receipt> Pause(const Mutation& mutation) {
    return definitions().SetBridgePaused("logs", true, mutation);
  }
  StatusOr<Receipt> Resume(const Mutation& mutation) {
    return definitions().SetBridgePaused("logs", false, mutation);
  }
  int64_t AuditRows() { return Number("SELECT count(*) FROM audit"); }
};

TEST_F(MutationLogTest, AnswersARepeatedRequestAsTheFirstAndChangesNothing) {
  const auto first = Pause(Request("request-1"));
  ASSERT_TRUE(Resume(Request("request-2")).ok());
  const int64_t revision = State().revision;
  const int64_t audit_rows = AuditRows();
  Mutation repeated = Request("request-1");
  repeated.response = "a response that the first call did not get";

  const auto second = Pause(repeated);

  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(first->is_replayed);
  EXPECT_TRUE(second->is_replayed);
  EXPECT_EQ(second->response, first->response);
  EXPECT_FALSE(BridgeNamed("logs").is_paused);
  EXPECT_EQ(State().revision, revision);
  EXPECT_EQ(AuditRows(), audit_rows);
}

TEST_F(MutationLogTest, AnswersARepeatedRequestAfterARestart) {
  ASSERT_TRUE(Pause(Request("request-1")).ok());
  Restart();

  EXPECT_TRUE(Pause(Request("request-1"))->is_replayed);
}

TEST_F(MutationLogTest, AnswersARepeatedApplyAlthoughTheWorldMoved) {
  const int64_t decided_at = State().revision;
  const std::vector<DefinitionStep> steps = {PutEndpoint{Endpoint("gcp")}};
  ASSERT_TRUE(definitions().Apply(steps, decided_at, Request("request-1")).ok());

  const auto again = definitions().Apply(steps, decided_at, Request("request-1"));

  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_TRUE(again->is_replayed);
}

TEST_F(MutationLogTest, RefusesARequestIdThatWasUsedForAnother) {
  ASSERT_TRUE(Pause(Request("request-1", "pause logs")).ok());

  const auto other = Resume(Request("request-1", "resume logs"));

  EXPECT_EQ(WhyNot(other), "REQUEST_ID_REUSED");
  EXPECT_EQ(other.status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(other.status().field(), "request_id");
  EXPECT_TRUE(BridgeNamed("logs").is_paused);
}

TEST_F(MutationLogTest, RecordsNothingOfAChangeThatFailed) {
  const int64_t revision = State().revision;
  const int64_t audit_rows = AuditRows();

  ASSERT_FALSE(definitions().SetBridgePaused("nothing", true, Request("request-1")).ok());

  EXPECT_EQ(State().revision, revision);
  EXPECT_EQ(AuditRows(), audit_rows);
  EXPECT_FALSE(Pause(Request("request-1"))->is_replayed) << "the request_id is free";
}

TEST_F(MutationLogTest, ForgetsRequestsAfterAWeek) {
  ASSERT_TRUE(Pause(Request("request-1")).ok());
  clock_.Advance(24h * 7);
  ASSERT_TRUE(Resume(Request("request-2")).ok());
  EXPECT_TRUE(Pause(Request("request-1"))->is_replayed);

  clock_.Advance(1us);
  ASSERT_TRUE(Resume(Request("request-3")).ok());

  EXPECT_FALSE(Pause(Request("request-1"))->is_replayed);
}

TEST_F(MutationLogTest, TellsWhoDidWhatAndWhy) {
  ASSERT_TRUE(Pause(Request("request-1")).ok());

  EXPECT_EQ(Text("SELECT actor || ', ' || action || ', ' || object || ', ' || reason || ', ' || "
                 "request_id FROM audit ORDER BY id DESC LIMIT 1"),
            "alice, pause, bridge logs, because, request-1");
  EXPECT_EQ(Number("SELECT at_us FROM audit ORDER BY id DESC LIMIT 1"), ToMicros(clock_.WallNow()));
}

TEST_F(MutationLogTest, NeverChangesOrDeletesAnAuditRow) {
  const int64_t rows = AuditRows();
  ASSERT_GT(rows, 0);

  for (const std::string sql :
       {"UPDATE audit SET actor = 'mallory'", "DELETE FROM audit", "DELETE FROM audit WHERE id = 1",
        "INSERT OR REPLACE INTO audit SELECT id, at_us, 'mallory', action, "
        "object, reason, request_id FROM audit"}) {
    EXPECT_FALSE(writer().Run([&](Database& database) { return database.Prepare(sql).Run(); }).ok())
        << sql;
  }

  EXPECT_EQ(AuditRows(), rows);
  EXPECT_EQ(Number("SELECT count(*) FROM audit WHERE actor = 'mallory'"), 0);
}

TEST_F(MutationLogTest, RaisesTheRevisionWithEveryChange) {
  const int64_t before = State().revision;
  ASSERT_TRUE(Pause(Request("request-1")).ok());
  ASSERT_TRUE(Pause(Request("request-2")).ok());

  EXPECT_EQ(State().revision, before + 2);
}

}  // namespace
}  // namespace drawbridge
