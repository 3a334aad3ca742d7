#include "relay/opensearch/presence_check.h"

#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace drawbridge {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using Verdict = PresenceCheck::Verdict;

constexpr int64_t kOldest = 1'773'480'413'589;
constexpr const char* kBehind = R"({"behind": {}})";

HttpAnswer Answer(int status, std::string body = "{}") {
  HttpAnswer answer;
  answer.status = status;
  answer.body = std::move(body);
  return answer;
}

// What a whole search finds.
HttpAnswer Found(const std::vector<std::string>& ids) {
  json hits = json::array();
  for (const std::string& id : ids) hits.push_back({{"_id", id}});
  return Answer(
      200,
      json{{"timed_out", false}, {"_shards", {{"failed", 0}}}, {"hits", {{"hits", hits}}}}.dump());
}

// Until the indexes are refreshed.
void GoToRefresh(PresenceCheck& check, const std::string& behind = kBehind) {
  check.Take(Answer(200, behind));
  check.Take(Answer(200));
  check.Take(Answer(200, behind));
}

TEST(PresenceCheckTest, IsDoneAtOnceWhereNamesAreIndexes) {
  PresenceCheck check("drawbridge/audit/", {"logs-a", "logs-b"}, {"1", "2"}, kOldest);
  EXPECT_THAT(check.Next().path, StartsWith("/logs-a,logs-b/_settings/index.uuid,"));

  EXPECT_EQ(check.Take(Answer(200, R"({"logs-a": {}})")), Verdict::kDone);
  EXPECT_THAT(check.present(), IsEmpty());
  EXPECT_FALSE(check.has_looked());
}

TEST(PresenceCheckTest, SearchesAllThatStandsBehindAName) {
  PresenceCheck check("drawbridge/audit/", {"logs"}, {"1", "2"}, kOldest);
  const HttpAnswer behind = Answer(200, R"({".ds-logs-000001": {}, ".ds-logs-000002": {}})");
  ASSERT_EQ(check.Take(behind), Verdict::kGoOn);
  EXPECT_THAT(check.Next().path, StartsWith("/_tasks?actions=indices:data/write/bulk*"));
  ASSERT_EQ(check.Take(Answer(200)), Verdict::kGoOn);
  EXPECT_THAT(check.Next().path, StartsWith("/logs/_settings/")) << "it may have rolled over";
  ASSERT_EQ(check.Take(behind), Verdict::kGoOn);
  EXPECT_EQ(check.Next().path, "/.ds-logs-000001,.ds-logs-000002/_refresh");
  ASSERT_EQ(check.Take(Answer(200)), Verdict::kGoOn);
  const HttpRequest search = check.Next();
  EXPECT_THAT(search.path, StartsWith("/.ds-logs-000001,.ds-logs-000002/_search?"));
  EXPECT_THAT(json::parse(search.body)["query"]["ids"]["values"], ElementsAre("1", "2"));

  EXPECT_EQ(check.Take(Found({"2"})), Verdict::kDone);

  EXPECT_THAT(check.present(), ElementsAre("2"));
  EXPECT_TRUE(check.has_looked());
}

TEST(PresenceCheckTest, IsUnclearWhileNotAllWasSearched) {
  for (const char* body : {R"({"timed_out": true, "_shards": {"failed": 0}})",
                           R"({"timed_out": false, "_shards": {"failed": 1}})",
                           R"({"message": "from a gateway"})", "no JSON"}) {
    PresenceCheck check("drawbridge/audit/", {"logs"}, {"1"}, kOldest);
    GoToRefresh(check);
    check.Take(Answer(200));

    EXPECT_EQ(check.Take(Answer(200, body)), Verdict::kUnclear) << body;
    EXPECT_FALSE(check.status().ok());
  }
}

// A list of tasks of these numbers, each under the name of its request.
HttpAnswer Tasks(const std::map<int, std::string>& tasks) {
  json listed = json::object();
  for (const auto& [number, name] : tasks) {
    listed[fmt::format("n:{}", number)] = {{"headers", {{"X-Opaque-Id", name}}}};
  }
  return Answer(200, json{{"nodes", {{"n", {{"tasks", listed}}}}}}.dump());
}

class TasksTest : public testing::Test {
 protected:
  TasksTest() { check_.Take(Answer(200, kBehind)); }

  PresenceCheck check_{"drawbridge/audit/", {"logs"}, {"1"}, kOldest};
};

TEST_F(TasksTest, OfTheBridgeAreWaitedForUntilTheyAreGone) {
  EXPECT_EQ(check_.Take(Tasks({{1, "drawbridge/audit/relay/7"}, {2, "drawbridge/audit/old/3"}})),
            Verdict::kWait);
  EXPECT_EQ(check_.Take(Tasks({{2, "drawbridge/audit/old/3"}})), Verdict::kWait);
  EXPECT_THAT(check_.status().message(), HasSubstr("not carried out yet"));
  EXPECT_EQ(check_.Take(Tasks({})), Verdict::kGoOn);
  EXPECT_THAT(check_.Next().path, StartsWith("/logs/_settings/"));
}

TEST_F(TasksTest, ThatCameLaterAreNot) {
  EXPECT_EQ(check_.Take(Tasks({{1, "drawbridge/audit/old/3"}})), Verdict::kWait);

  EXPECT_EQ(check_.Take(Tasks({{9, "drawbridge/audit/relay/8"}})), Verdict::kGoOn);
}

TEST_F(TasksTest, OfOthersAreNot) {
  EXPECT_EQ(check_.Take(Tasks({{1, "drawbridge/audit-2/relay/7"}, {2, "kibana"}})), Verdict::kGoOn);
}

TEST_F(TasksTest, AreUnknownWhileANodeDoesNotSay) {
  const HttpAnswer answer = Answer(200, R"({"node_failures": [{"type": "node_not_connected"}]})");
  EXPECT_EQ(check_.Take(answer), Verdict::kUnclear);
  EXPECT_FALSE(check_.status().ok());
}

TEST_F(TasksTest, AreNotNeededWhereTheyMayNotBeSeen) {
  const std::string typed = R"({"error": {"type": "api_not_available_exception"}})";
  for (const int status : {400, 401, 403, 404, 405, 410, 501}) {
    PresenceCheck check = check_;
    EXPECT_EQ(check.Take(Answer(status, typed)), Verdict::kGoOn) << status;
    EXPECT_THAT(check.Next().path, StartsWith("/logs/_settings/")) << status;
    EXPECT_FALSE(check.status().ok()) << "whoever cares is told";
  }
  for (const int status : {408, 429, 500, 503}) {
    PresenceCheck check = check_;
    EXPECT_EQ(check.Take(Answer(status)), Verdict::kUnclear) << status;
  }
}

TEST(PresenceCheckTest, IsUnclearWhileACopyIsNotRefreshed) {
  PresenceCheck check("drawbridge/audit/", {"logs"}, {"1"}, kOldest);
  GoToRefresh(check);

  EXPECT_EQ(check.Take(Answer(200, R"({"_shards": {"total": 2, "failed": 1}})")),
            Verdict::kUnclear);
}

TEST(PresenceCheckTest, SearchesWhereRecordsAreSeenFirst) {
  for (const bool is_copied_late : {false, true}) {
    PresenceCheck check("drawbridge/audit/", {"logs"}, {"1"}, kOldest);
    const json settings = {
        {"index", {{"replication", {{"type", is_copied_late ? "SEGMENT" : "DOCUMENT"}}}}}};
    GoToRefresh(check, json{{"behind", {{"settings", settings}}}}.dump());
    check.Take(Answer(200));
    EXPECT_EQ(check.Next().path.find("preference=_primary") != std::string::npos, is_copied_late);
  }
}

TEST(PresenceCheckTest, StandsWhateverIsAnswered) {
  for (const char* body : {"", "[]", "7", R"({"nodes": 1})", R"({"nodes": [{"tasks": "none"}]})",
                           R"({"nodes": {"n": {"tasks": {"t": [1]}}}})", R"({"hits": {"hits": 3}})",
                           R"({"hits": [{"_id": 1}], "_shards": [], "timed_out": "no"})"}) {
    PresenceCheck check("drawbridge/audit/", {"logs"}, {"1"}, kOldest);
    for (int turn = 0; turn < 5; ++turn) check.Take(Answer(200, body));
  }
}

TEST(PresenceCheckTest, IsUnclearWhileNobodyAnswers) {
  for (const int status : {0, 429, 500, 503}) {
    PresenceCheck check("drawbridge/audit/", {"logs"}, {"1"}, kOldest);

    EXPECT_EQ(check.Take(Answer(status)), Verdict::kUnclear) << status;
  }
}

TEST(PresenceCheckTest, GivesUpWhereItMayNotLook) {
  PresenceCheck check("drawbridge/audit/", {"logs"}, {"1"}, kOldest);

  EXPECT_EQ(check.Take(Answer(403)), Verdict::kDone);

  EXPECT_TRUE(check.has_looked()) << "it would have";
  EXPECT_FALSE(check.status().ok());
  EXPECT_EQ(PresenceCheck("drawbridge/audit/", {"logs"}, {"1"}, kOldest).Take(Answer(405)),
            Verdict::kDone);
  for (const int status : {301, 401, 404, 408, 429, 500}) {
    EXPECT_EQ(PresenceCheck("drawbridge/audit/", {"logs"}, {"1"}, kOldest).Take(Answer(status)),
              Verdict::kUnclear)
        << status;
  }
}

TEST(PresenceCheckTest, TellsABlockedIndexFromAMissingRight) {
  const auto after = [](int steps, const std::string& type) {
    PresenceCheck check("drawbridge/audit/", {"logs"}, {"1"}, kOldest);
    if (steps > 0) check.Take(Answer(200, kBehind));
    if (steps > 1) check.Take(Answer(200));
    if (steps > 2) check.Take(Answer(200, kBehind));
    if (steps > 3) check.Take(Answer(200));
    const HttpAnswer refusal = Answer(403, json{{"error", {{"type", type}}}}.dump());
    const Verdict verdict = check.Take(refusal);
    return verdict == Verdict::kGoOn ? check.Take(refusal) : verdict;  // by the name as well
  };
  for (const int steps :
       {0, 2, 3, 4}) {  // behind the first tasks are asked for, which are not needed
    EXPECT_EQ(after(steps, "cluster_block_exception"), Verdict::kUnclear) << steps;
    EXPECT_EQ(after(steps, "security_exception"), Verdict::kDone) << steps;
  }
}

TEST(PresenceCheckTest, LooksByTheNameWhereItMayNotLookIntoTheIndexes) {
  PresenceCheck check("drawbridge/audit/", {"logs"}, {"1"}, kOldest);
  GoToRefresh(check);
  const std::string refused = R"({"error": {"type": "security_exception"}})";

  ASSERT_EQ(check.Take(Answer(403, refused)), Verdict::kGoOn);

  EXPECT_EQ(check.Next().path, "/logs/_refresh");
  ASSERT_EQ(check.Take(Answer(200)), Verdict::kGoOn);
  EXPECT_EQ(check.Take(Found({"1"})), Verdict::kDone);
  EXPECT_TRUE(check.status().ok());
  EXPECT_THAT(check.present(), ElementsAre("1"));
}

TEST(PresenceCheckTest, BelievesNoClockThatIsFarAhead) {
  constexpr int64_t kNowMs = 1'000'000'000'000;
  const auto oldest = [](const std::vector<int64_t>& timestamps_ms) {
    return PresenceCheck::OldestOf(timestamps_ms, FromMicros(kNowMs * 1000));
  };
  EXPECT_EQ(oldest({kNowMs - 5, kNowMs - 7, kNowMs}), kNowMs - 7);
  EXPECT_EQ(oldest({kNowMs - 5, kNowMs + 60'000}), kNowMs - 5);
  EXPECT_LE(oldest({kNowMs - 5, kNowMs + 3'600'000}), 0) << "it may have been made at any time";
  EXPECT_LE(oldest({kNowMs - 5, -1}), 0);
}

TEST(PresenceCheckTest, LooksAnewWhereAnIndexIsDeletedInBetween) {
  PresenceCheck check("drawbridge/audit/", {"logs"}, {"1"}, kOldest);
  GoToRefresh(check, R"({"behind-1": {}, "behind-2": {}})");
  const std::string gone = R"({"error": {"type": "index_not_found_exception"}})";

  ASSERT_EQ(check.Take(Answer(404, gone)), Verdict::kWait);
  EXPECT_THAT(check.status().message(), HasSubstr("deleted"));

  EXPECT_THAT(check.Next().path, StartsWith("/logs/_settings/"));
  ASSERT_EQ(check.Take(Answer(200, R"({"behind-2": {}})")), Verdict::kGoOn);
  EXPECT_EQ(check.Next().path, "/behind-2/_refresh");
}

TEST(PresenceCheckTest, ForgetsWhatWasUnclearOnceItIsNot) {
  PresenceCheck check("drawbridge/audit/", {"logs"}, {"1"}, kOldest);
  GoToRefresh(check);
  ASSERT_EQ(check.Take(Answer(429)), Verdict::kUnclear);
  check.Take(Answer(200));

  EXPECT_EQ(check.Take(Found({})), Verdict::kDone);
  EXPECT_TRUE(check.status().ok());
}

TEST(PresenceCheckTest, FindsNothingWhereNoIndexIs) {
  const std::string body = R"({"error": {"type": "index_not_found_exception"}, "status": 404})";
  EXPECT_EQ(PresenceCheck("drawbridge/audit/", {"logs"}, {"1"}, kOldest).Take(Answer(404, body)),
            Verdict::kDone);
}

TEST(PresenceCheckTest, HasNoMoreNamesThanARequestTakes) {
  std::set<std::string> names;
  for (int i = 0; i < 100; ++i) names.insert(fmt::format("logs-{:04}", i));
  EXPECT_TRUE(PresenceCheck::Fits(names));

  for (int i = 100; i < 1000; ++i) names.insert(fmt::format("logs-{:04}", i));

  EXPECT_FALSE(PresenceCheck::Fits(names));
}

TEST(PresenceCheckTest, SearchesForSomeIdsAtATime) {
  std::vector<std::string> ids;
  for (int i = 0; i < 1200; ++i) ids.push_back(std::to_string(i));
  PresenceCheck check("drawbridge/audit/", {"logs"}, ids, kOldest);
  GoToRefresh(check);
  check.Take(Answer(200));
  std::vector<std::string> searched;
  for (int searches = 1;; ++searches) {
    const json asked = json::parse(check.Next().body);
    for (const std::string id : asked["query"]["ids"]["values"]) searched.push_back(id);
    if (check.Take(Found({searched.back()})) == Verdict::kDone) {
      EXPECT_EQ(searches, 3);
      break;
    }
    ASSERT_LT(searches, 10);
  }

  EXPECT_EQ(searched, ids);
  EXPECT_THAT(check.present(), ElementsAre("1199", "499", "999"));
}

TEST(PresenceCheckTest, SearchesInAsManyIndexesAtATimeAsARequestTakes) {
  json behind = json::object();
  for (int i = 0; i < 300; ++i) behind[fmt::format(".ds-logs-{:06}", i)] = json::object();
  PresenceCheck check("drawbridge/audit/", {"logs"}, {"1"}, kOldest);
  GoToRefresh(check, behind.dump());
  std::string searched;
  Verdict verdict = Verdict::kGoOn;
  for (int requests = 0; verdict == Verdict::kGoOn && requests < 20; ++requests) {
    const HttpRequest request = check.Next();
    EXPECT_LT(request.path.size(), 4000U);
    const bool is_search = request.path.find("/_search?") != std::string::npos;
    if (is_search) searched += request.path;
    verdict = check.Take(is_search ? Found({}) : Answer(200));
  }

  EXPECT_EQ(verdict, Verdict::kDone);
  for (const auto& [name, its] : behind.items()) EXPECT_THAT(searched, HasSubstr(name));
}

// Behind `logs` there is an index that is closed, and others, made at these times.
class ClosedIndexTest : public testing::Test {
 protected:
  Verdict Look(int64_t closed_at, int64_t next_at, const std::set<std::string>& names = {"logs"}) {
    check_.emplace("drawbridge/audit/", names, std::vector<std::string>{"1"}, kOldest);
    const auto index = [](int64_t created, bool is_closed) {
      json its{{"creation_date", std::to_string(created)}};
      if (is_closed) its["verified_before_close"] = "true";
      return json{{"settings", {{"index", its}}}};
    };
    const std::string behind = json{
        {"behind-1", index(closed_at, true)},
        {"behind-2", index(next_at, false)},
        {"behind-3",
         index(kOldest, false)}}.dump();
    check_->Take(Answer(200, behind));
    check_->Take(Answer(200));
    return check_->Take(Answer(200, behind));
  }

  static constexpr int64_t kHour = 3'600'000;
  std::optional<PresenceCheck> check_;
};

TEST_F(ClosedIndexTest, IsWaitedForWhereTheRecordsMayBeInIt) {
  EXPECT_EQ(Look(kOldest - 2 * kHour, kOldest + 1), Verdict::kUnclear);

  EXPECT_THAT(check_->status().message(), AllOf(HasSubstr("behind-1"), HasSubstr("open it")));
  EXPECT_FALSE(check_->is_for_fewer());
  EXPECT_EQ(Look(kOldest + 2 * kHour, kOldest + kHour), Verdict::kUnclear) << "it was the last one";
}

TEST_F(ClosedIndexTest, DoesNotMatterWhereAllRecordsCameLater) {
  ASSERT_EQ(Look(kOldest - 2 * kHour, kOldest - kHour), Verdict::kGoOn);

  EXPECT_EQ(check_->Next().path, "/behind-2,behind-3/_refresh");
}

TEST_F(ClosedIndexTest, IsAskedAboutForOneNameAtATime) {
  EXPECT_EQ(Look(kOldest - 2 * kHour, kOldest - kHour, {"logs", "others"}), Verdict::kUnclear);

  EXPECT_TRUE(check_->is_for_fewer()) << "whose the next one is is not told";
}

}  // namespace
}  // namespace drawbridge
