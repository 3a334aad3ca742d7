#include "relay/opensearch/dead_letter_box.h"

#include <map>
#include <mutex>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/fakes/fake_clock.h"
#include "tests/relay/opensearch/scripted_engine.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr int64_t kTime = 1'773'480'413'589;  // 2026-03-14T09:26:53.589Z

EngineReply Say(int status, const json& body) {
  return {.status = status, .body = body.dump(), .headers = {}, .hangs_up = false};
}

// An engine with an index of dead letters: it finds, gives, changes and deletes them, and says of
// records what the test says.
class DeadLetterBoxTest : public testing::Test {
 protected:
  DeadLetterBoxTest() {
    engine_.SetScript([this](const EngineRequest& request, size_t) { return Answer(request); });
    Open({});
  }

  void Open(const std::string& cluster_id, std::vector<std::string> others = {}) {
    OpenSearchEndpoint endpoint;
    endpoint.addresses = std::move(others);
    endpoint.addresses.push_back(engine_.address());
    BridgeSpec bridge;
    bridge.name = "logs";
    bridge.target.index = "logs-{topic}-{+yyyy.MM.dd}";
    auto box = DeadLetterBox::Open(
        {.endpoint = {.name = "search", .cluster = endpoint}, .secret = std::nullopt}, cluster_id,
        bridge, "relay-1", clock_);
    box_ = *std::move(box);
  }

  static Route RouteOf() {
    Route route;
    route.source_topic = "audit";
    route.partition = 3;
    route.source_epoch = 2;
    route.source_cluster = 0xabcdef;
    return route;
  }

  static std::string IdOf(int64_t offset) { return DocumentId(RouteOf(), {offset}); }
  static std::string LetterIdOf(int64_t offset) {
    return DeadLetterId("logs", RouteOf(), {offset});
  }

  void AddLetter(int64_t offset, std::string_view value) {
    Record record;
    record.offset = {offset};
    record.timestamp_ms = kTime;
    record.value = value;
    const std::string text = DeadLetterDocument(
        RouteOf(), record,
        {.status = 400, .type = "mapper", .caused_by = {}, .reason = "no", .group = "group"},
        {.bridge = "logs", .index = "old", .attempts = 1, .first_seen = {}, .last_seen = {}},
        "relay-0");
    letters_[LetterIdOf(offset)] = json::parse(text);
  }

  BootTime Soon() const { return clock_.Now() + 12s; }

  EngineReply Answer(const EngineRequest& request) {
    const std::scoped_lock lock(mutex_);
    if (request.path.starts_with("/?")) return Say(200, {{"cluster_uuid", "this"}});
    if (request.path.find("/_search") != std::string::npos)
      return Search(json::parse(request.body));
    if (request.path.find("/_mget") != std::string::npos) return Get(json::parse(request.body));
    if (request.path.ends_with("/_mapping")) {
      return Say(200, {{"dead", {{"mappings", {{"properties", mapping_}}}}}});
    }
    return Bulk(request.body);
  }

  EngineReply Search(const json& asked) {
    searches_.push_back(asked);
    const json& query = asked["query"]["bool"];
    const std::string turn =
        query.contains("must_not") ? query["must_not"]["term"]["drawbridge-error-turn"] : json("");
    json hits = json::array();
    int64_t total = 0;
    for (const auto& [id, letter] : letters_) {
      const bool is_tried = letter.value("drawbridge-error-turn", "") == turn;
      if (knows_turns_ && !turn.empty() && is_tried) continue;
      ++total;
      if (hits.size() >= asked["size"]) continue;
      hits.push_back({{"_id", id},
                      {"_source", {{"drawbridge-error-bytes", letter["drawbridge-error-bytes"]}}},
                      {"fields",
                       {{"drawbridge-error-first-seen", {"1773480413589"}},
                        {"drawbridge-error-last-seen", {"1773480414000"}}}}});
    }
    return Say(200, {{"hits", {{"total", {{"value", total}}}, {"hits", hits}}}});
  }

  EngineReply Get(const json& asked) {
    json docs = json::array();
    for (const std::string id : asked["ids"]) {
      const auto found = letters_.find(id);
      json doc{{"_id", id}, {"found", found != letters_.end()}};
      if (found != letters_.end()) doc["_source"] = found->second;
      docs.push_back(doc);
    }
    return Say(200, {{"docs", docs}});
  }

  EngineReply Bulk(const std::string& body) {
    std::istringstream lines(body);
    json items = json::array();
    std::string line;
    size_t creates = 0;
    while (std::getline(lines, line)) {
      const json action = json::parse(line);
      const std::string verb = action.begin().key();
      const std::string id = action.begin().value()["_id"];
      int status = 200;
      json error;
      if (verb == "delete") {
        if (gives_letters_up_) {
          status = letters_.erase(id) == 1 && !are_taken_by_others_ ? 200 : 404;
        } else {
          status = 403;
          error = {{"type", "cluster_block_exception"}, {"reason", "read-only"}};
        }
      } else {
        std::getline(lines, line);
        if (verb == "update") {
          letters_[id].update(json::parse(line)["doc"]);
        } else {
          ++creates;
          sent_.emplace_back(action["create"]["_index"], id);
          status = verdicts_.contains(id) ? verdicts_[id].first : 201;
          if (verdicts_.contains(id)) error = verdicts_[id].second;
        }
      }
      json item{{"status", status}};
      if (!error.is_null()) item["error"] = error;
      if (verb == "create" && is_diverting_) item["failure_store"] = "used";
      items.push_back({{verb, item}});
    }
    if (body.starts_with(R"({"delete")") && answers_lost_ > 0) {
      --answers_lost_;
      return {.status = 0, .body = {}, .headers = {}, .hangs_up = true};
    }
    if (creates > creates_max_) return Say(413, {{"error", "too large"}, {"status", 413}});
    return Say(200, {{"errors", false}, {"items", items}});
  }

  FakeClock clock_;
  std::mutex mutex_;
  std::map<std::string, json> letters_;                    // by id
  std::map<std::string, std::pair<int, json>> verdicts_;   // by id: what is not taken
  std::vector<std::pair<std::string, std::string>> sent_;  // index and id
  std::vector<json> searches_;
  size_t creates_max_ = 1'000'000;
  int answers_lost_ = 0;  // to requests that take letters out
  bool are_taken_by_others_ = false;
  bool gives_letters_up_ = true;
  bool is_diverting_ = false;
  bool knows_turns_ = true;
  json mapping_ = {{"drawbridge-error-bridge", {{"type", "keyword"}}}};
  ScriptedEngine engine_;
  std::unique_ptr<DeadLetterBox> box_;
};

TEST_F(DeadLetterBoxTest, ReadsLettersAsTheyWereRefused) {
  AddLetter(7, std::string("\xff\0", 2));

  const auto page = box_->Read({.topic = "audit", .error = "group"}, 10, Soon());

  ASSERT_TRUE(page.ok()) << page.status().ToString();
  EXPECT_EQ(page->total, 1);
  ASSERT_THAT(page->letters, SizeIs(1));
  const DeadLetterRecord& letter = page->letters[0];
  EXPECT_EQ(letter.value, std::string("\xff\0", 2));
  EXPECT_EQ(letter.offset, Offset{7});
  EXPECT_EQ(letter.error, "group");
  EXPECT_EQ(ToMicros(letter.first_refused), kTime * 1000);
  EXPECT_EQ(searches_[0]["query"]["bool"]["filter"], json::parse(R"([
      {"term": {"drawbridge-error-bridge": "logs"}},
      {"term": {"drawbridge-error-topic": "audit"}},
      {"term": {"drawbridge-error-group": "group"}}])"));
}

TEST_F(DeadLetterBoxTest, TellsTheBeginningOfALargeValueAndHowLongItIs) {
  AddLetter(7, std::string(100'000, 'x'));

  const auto page = box_->Read({}, 10, Soon());

  ASSERT_TRUE(page.ok());
  EXPECT_LT(page->letters.at(0).value->size(), 20'000U);
  EXPECT_EQ(page->letters.at(0).value_bytes, 100'000);
}

TEST_F(DeadLetterBoxTest, HasNoLettersBeforeTheFirstWasRefused) {
  engine_.SetScript([](const EngineRequest&, size_t) {
    return Say(404, {{"error", {{"type", "index_not_found_exception"}}}, {"status", 404}});
  });

  EXPECT_EQ(box_->Read({}, 10, Soon())->total, 0);
  EXPECT_EQ(box_->Retry({}, {}, Soon())->left, 0);
}

TEST_F(DeadLetterBoxTest, AsksNoOtherClusterThanTheOneThatIsMeant) {
  AddLetter(7, "{}");
  Open("another");

  EXPECT_EQ(box_->Read({}, 10, Soon()).status().reason(), Reason::kSourceChanged);
  EXPECT_EQ(box_->Retry({}, {}, Soon()).status().reason(), Reason::kSourceChanged);
  EXPECT_THAT(letters_, SizeIs(1));

  Open("this");
  EXPECT_EQ(box_->Read({}, 10, Soon())->total, 1);
}

TEST_F(DeadLetterBoxTest, DoesNotTakeAProxysPageForNone) {
  engine_.SetScript([](const EngineRequest&, size_t) {
    return EngineReply{.status = 404, .body = "<html>Not found</html>", .headers = {}};
  });

  EXPECT_FALSE(box_->Read({}, 10, Soon()).ok());
  EXPECT_FALSE(box_->Retry({}, {}, Soon()).ok());
}

TEST_F(DeadLetterBoxTest, DoesNotSayNoneOfAnIndexThatHidesThem) {
  EXPECT_EQ(box_->Read({}, 10, Soon())->total, 0);

  mapping_ = {{"drawbridge-error-bridge", {{"type", "text"}}}};

  EXPECT_THAT(box_->Read({}, 10, Soon()).status().message(), HasSubstr("_reindex"));
  EXPECT_THAT(box_->Retry({}, {}, Soon()).status().message(), HasSubstr("_reindex"));
}

TEST_F(DeadLetterBoxTest, SendsEachUnderItsOwnIdToTheIndexOfToday) {
  AddLetter(7, R"({"n":1})");
  AddLetter(8, R"({"n":2})");
  verdicts_[IdOf(8)] = {409, {{"type", "version_conflict_engine_exception"}}};

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok()) << done.status().ToString();
  EXPECT_THAT(sent_, ElementsAre(std::pair("logs-audit-2026.03.14", IdOf(7)),
                                 std::pair("logs-audit-2026.03.14", IdOf(8))));
  EXPECT_THAT(letters_, IsEmpty());
  ASSERT_THAT(done->groups, SizeIs(1));
  EXPECT_EQ(done->groups[0].records, 2);
  EXPECT_EQ(done->groups[0].topic, "audit");
  EXPECT_EQ(done->groups[0].partition, 3);
  EXPECT_EQ(done->groups[0].error, "group");
  EXPECT_EQ(done->left, 0);
}

TEST_F(DeadLetterBoxTest, KeepsWhatIsRefusedAgainWithTheReasonOfToday) {
  AddLetter(7, R"({"n":"x"})");
  verdicts_[IdOf(7)] = {400, {{"type", "mapper_parsing_exception"}, {"reason", "still no"}}};

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok()) << done.status().ToString();
  EXPECT_EQ(done->refused, 1);
  EXPECT_EQ(done->left, 0) << "not tried twice in one turn";
  EXPECT_THAT(done->groups, IsEmpty());
  const json& letter = letters_.at(LetterIdOf(7));
  EXPECT_EQ(letter["value"], R"({"n":"x"})");
  EXPECT_EQ(letter["drawbridge-error-reason"], "mapper_parsing_exception: still no");
  EXPECT_EQ(letter["drawbridge-error-attempts"], 2);
  EXPECT_EQ(letter["drawbridge-error-group"], "group") << "it is counted under this";

  verdicts_.clear();
  EXPECT_THAT(box_->Retry({}, {}, Soon())->groups, SizeIs(1)) << "in another turn it is";
}

TEST_F(DeadLetterBoxTest, KeepsWhatTheEngineDoesNotTakeAtPresent) {
  AddLetter(7, "{}");
  verdicts_[IdOf(7)] = {429, {{"type", "es_rejected_execution_exception"}, {"reason", "full"}}};

  const auto done = box_->Retry({}, {}, Soon());

  EXPECT_THAT(done.status().message(), HasSubstr("full"));
  EXPECT_THAT(letters_, SizeIs(1));
}

TEST_F(DeadLetterBoxTest, TellsWhatWasDoneBeforeTheEngineTookNoMore) {
  AddLetter(7, "{}");
  AddLetter(8, "{}");
  verdicts_[IdOf(8)] = {429, {{"type", "cluster_block_exception"}, {"reason", "full"}}};

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->groups.at(0).records, 1);
  EXPECT_EQ(done->left, 1);
  EXPECT_FALSE(box_->Retry({}, done->turn, Soon()).ok()) << "the next call says why";
}

TEST_F(DeadLetterBoxTest, SendsFewerAtATimeWhereARequestIsTooLarge) {
  for (int64_t offset = 0; offset < 10; ++offset) AddLetter(offset, "{}");
  creates_max_ = 3;

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok()) << done.status().ToString();
  EXPECT_THAT(letters_, IsEmpty());
}

TEST_F(DeadLetterBoxTest, FindsTheOneRecordThatNoRequestMayHave) {
  AddLetter(7, "{}");
  creates_max_ = 0;

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok()) << done.status().ToString();
  EXPECT_EQ(done->refused, 1);
  EXPECT_EQ(letters_.at(LetterIdOf(7))["drawbridge-error-status"], 413);
}

TEST_F(DeadLetterBoxTest, DoesNotCountWhatSomebodyElseHasBroughtIn) {
  AddLetter(7, "{}");
  are_taken_by_others_ = true;

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok());
  EXPECT_THAT(done->groups, IsEmpty());
}

TEST_F(DeadLetterBoxTest, CountsWhatItHasTakenOutThoughTheAnswerWasLost) {
  AddLetter(7, "{}");
  AddLetter(8, "{}");
  answers_lost_ = 1;

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok());
  EXPECT_THAT(letters_, IsEmpty());
  ASSERT_THAT(done->groups, SizeIs(1));
  EXPECT_EQ(done->groups[0].records, 2);
}

TEST_F(DeadLetterBoxTest, CountsWhatItHasTakenOutByAnAddressThatWasLostThen) {
  ScriptedEngine another;
  another.SetScript([this](const EngineRequest& request, size_t) { return Answer(request); });
  Open({}, {another.address()});
  AddLetter(7, "{}");
  answers_lost_ = 1;

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok());
  ASSERT_THAT(done->groups, SizeIs(1));
  EXPECT_EQ(done->groups[0].records, 1);
}

TEST_F(DeadLetterBoxTest, DoesNotCountALetterThatItsIndexDoesNotGiveUp) {
  AddLetter(7, "{}");
  gives_letters_up_ = false;

  const auto done = box_->Retry({}, {}, Soon());

  EXPECT_THAT(done.status().message(), HasSubstr("read-only"));
  gives_letters_up_ = true;
  verdicts_[IdOf(7)] = {409, {{"type", "version_conflict_engine_exception"}}};
  EXPECT_EQ(box_->Retry({}, {}, Soon())->groups.at(0).records, 1) << "the next one does";
}

TEST_F(DeadLetterBoxTest, LeavesAForeignDocumentAsItIsAndGoesOn) {
  AddLetter(7, "{}");
  AddLetter(8, "{}");
  letters_[LetterIdOf(7)].erase("drawbridge");

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok()) << done.status().ToString();
  EXPECT_THAT(sent_, SizeIs(1));
  EXPECT_THAT(letters_, SizeIs(1));
  EXPECT_EQ(done->left, 0);
  EXPECT_EQ(done->refused, 0);
  EXPECT_THAT(box_->Read({}, 10, Soon())->letters, IsEmpty());
}

TEST_F(DeadLetterBoxTest, IsNotHeldUpByOneIndexThatTakesNothing) {
  AddLetter(7, "{}");
  AddLetter(8, "{}");
  verdicts_[IdOf(7)] = {400, {{"type", "index_closed_exception"}, {"reason", "closed"}}};

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok()) << done.status().ToString();
  EXPECT_EQ(done->refused, 1);
  EXPECT_EQ(done->left, 0);
  EXPECT_THAT(letters_, SizeIs(1));
}

TEST_F(DeadLetterBoxTest, KeepsWhatTheEngineDivertsAgain) {
  AddLetter(7, "{}");
  is_diverting_ = true;

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok()) << done.status().ToString();
  EXPECT_EQ(done->refused, 1);
  EXPECT_THAT(letters_, SizeIs(1));
}

TEST_F(DeadLetterBoxTest, SaysSoWhereNothingCanTellWhatHasBeenTried) {
  AddLetter(7, "{}");
  verdicts_[IdOf(7)] = {400, {{"type", "mapper_parsing_exception"}, {"reason", "no"}}};
  knows_turns_ = false;

  EXPECT_THAT(box_->Retry({}, {}, Soon()).status().message(), HasSubstr("drawbridge-error-turn"));
}

TEST_F(DeadLetterBoxTest, TellsWhatItHasTakenBeforeItSaysSo) {
  AddLetter(7, "{}");
  AddLetter(8, "{}");
  verdicts_[IdOf(7)] = {400, {{"type", "mapper_parsing_exception"}, {"reason", "no"}}};
  knows_turns_ = false;

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok()) << done.status().ToString();
  EXPECT_EQ(done->groups.at(0).records, 1);
  EXPECT_THAT(box_->Retry({}, done->turn, Soon()).status().message(),
              HasSubstr("drawbridge-error-turn"));
}

TEST_F(DeadLetterBoxTest, CountsInOneGroupWhatTookManyRounds) {
  for (int64_t offset = 0; offset < 40; ++offset) AddLetter(offset, "{}");
  creates_max_ = 5;

  const auto done = box_->Retry({}, {}, Soon());

  ASSERT_TRUE(done.ok()) << done.status().ToString();
  ASSERT_THAT(done->groups, SizeIs(1));
  EXPECT_EQ(done->groups[0].records, 40);
}

}  // namespace
}  // namespace drawbridge
