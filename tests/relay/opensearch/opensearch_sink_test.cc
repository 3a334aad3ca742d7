#include "relay/opensearch/opensearch_sink.h"

#include <atomic>
#include <chrono>
#include <future>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <poll.h>

#include "tests/fakes/fake_clock.h"
#include "tests/relay/letters/log_sink.h"
#include "tests/relay/opensearch/scripted_engine.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::SizeIs;

constexpr const char* kIndex = "logs-audit-2026.03.14";
constexpr const char* kLetters = "dead";
constexpr int64_t kTime = 1'773'480'413'589;  // 2026-03-14T09:26:53.589Z

EngineReply Say(int status, std::string body = {}, std::string headers = {}) {
  return {
      .status = status, .body = std::move(body), .headers = std::move(headers), .hangs_up = false};
}

bool IsFor(const EngineRequest& request, const std::string& index) {
  return !request.documents.empty() &&
         request.documents.front().first.find('"' + index + '"') != std::string::npos;
}

// Answers all items of a request the same way.
EngineReply SayOfAll(const EngineRequest& request, int status, const json& error = {}) {
  json items = json::array();
  for (size_t i = 0; i < request.documents.size(); ++i) {
    json item{{"status", status}};
    if (!error.is_null()) item["error"] = error;
    items.push_back({{"create", item}});
  }
  return Say(200, json{{"errors", status >= 300}, {"items", items}}.dump());
}

class OpenSearchSinkTest : public testing::Test {
 protected:
  OpenSearchSinkTest() { Open({engine_.address()}); }

  void Open(std::vector<std::string> addresses, size_t window_bytes = 1000,
            std::unique_ptr<TopicLetterSink> letters = nullptr) {
    OpenSearchEndpoint endpoint;
    endpoint.addresses = std::move(addresses);
    auto sink = OpenSearchSink::Open(
        {.endpoint = {.name = "search", .cluster = endpoint}, .secret = std::nullopt},
        {.bridge = "logs",
         .relay = "relay-1",
         .dead_letter_index = kLetters,
         .cluster_id = cluster_id_,
         .letters_percent = letters_percent_,
         .window_bytes = window_bytes},
        clock_, std::move(letters));
    ASSERT_TRUE(sink.ok());
    sink_ = *std::move(sink);
    for (const Slot slot : {0U, 1U}) OpenSlot(slot);
  }
  // As a lane does when it begins, and when it replays.
  void OpenSlot(Slot slot) {
    Route route;
    route.key = {.stream = StreamId{1}, .partition = static_cast<PartitionNumber>(slot)};
    route.source_topic = "audit";
    route.target_topic = "logs-audit-{+yyyy.MM.dd}";
    route.partition = static_cast<PartitionNumber>(slot);
    ASSERT_TRUE(sink_->Open(slot, route).ok());
  }

  // Submits records of the slot with these values; returns how many it took.
  size_t Submit(const std::vector<std::string>& values, Slot slot = 0, uint32_t window = 1) {
    Batch batch{.slot = slot,
                .fetch = 1,
                .from = next_[slot],
                .read_to = Offset{next_[slot].value + static_cast<int64_t>(values.size())},
                .records = {}};
    for (const std::string& value : values) {
      auto* const kept = new std::string(value);
      Record record;
      record.offset = Offset{batch.from.value + static_cast<int64_t>(batch.records.size())};
      record.timestamp_ms = kTime;
      record.value = *kept;
      record.weight = value.size();
      record.owner = RecordOwner(kept, [](void* text) { delete static_cast<std::string*>(text); });
      batch.records.push_back(std::move(record));
    }
    const size_t taken = sink_->Submit(batch, 0, window);
    next_[slot] = Offset{batch.from.value + static_cast<int64_t>(taken)};
    return taken;
  }
  std::vector<std::string> Values(int count) {
    std::vector<std::string> values;
    for (int i = 0; i < count; ++i) values.push_back(fmt::format(R"({{"n":{}}})", i));
    return values;
  }

  // Lets the sink work until it holds; time passes a little at each turn.
  template <typename Condition>
  bool Until(Condition holds) {
    const auto deadline = std::chrono::steady_clock::now() + 2min;
    while (std::chrono::steady_clock::now() < deadline) {
      std::vector<Confirmation> news;
      sink_->Poll(news);
      for (Confirmation& one : news) confirmations_.push_back(std::move(one));
      if (holds()) return true;
      pollfd descriptors[2] = {{.fd = sink_->descriptors()[0], .events = POLLIN, .revents = 0},
                               {.fd = sink_->descriptors()[1], .events = POLLIN, .revents = 0}};
      poll(descriptors, 2, 1);
      clock_.Advance(20ms);
    }
    return false;
  }
  int64_t Confirmed() const {
    int64_t records = 0;
    for (const Confirmation& one : confirmations_) records += one.failure ? 0 : one.records;
    return records;
  }
  int64_t GivenBack() const {
    int64_t records = 0;
    for (const Confirmation& one : confirmations_) records += one.failure ? one.records : 0;
    return records;
  }
  std::vector<Confirmation> Failures() const {
    std::vector<Confirmation> failures;
    for (const Confirmation& one : confirmations_) {
      if (one.failure) failures.push_back(one);
    }
    return failures;
  }
  std::vector<DeadLetter> DeadLetters() const {
    std::vector<DeadLetter> letters;
    for (const Confirmation& one : confirmations_) {
      letters.insert(letters.end(), one.dead_letters.begin(), one.dead_letters.end());
    }
    return letters;
  }
  // Answers as an engine whose mapping wants "n" to be a number.
  EngineReply StoreNumbers(const EngineRequest& request) {
    if (IsFor(request, kLetters)) return engine_.Store(request);
    json items = json::array();
    for (const auto& document : request.documents) {
      if (json::parse(document.second)["n"].is_number()) {
        EngineRequest one;
        one.documents = {document};
        items.push_back(json::parse(engine_.Store(one).body)["items"][0]);
      } else {
        items.push_back({{"create",
                          {{"status", 400},
                           {"error",
                            {{"type", "mapper_parsing_exception"},
                             {"reason", "failed to parse field [n] of type [long]"}}}}}});
      }
    }
    return Say(200, json{{"errors", true}, {"items", items}}.dump());
  }

  ScriptedEngine engine_;
  FakeClock clock_;
  std::string cluster_id_;
  int letters_percent_ = 0;
  std::unique_ptr<OpenSearchSink> sink_;
  std::map<Slot, Offset> next_;
  std::vector<Confirmation> confirmations_;
};

// --- What is sent -------------------------------------------------------------------------------

TEST_F(OpenSearchSinkTest, ConfirmsWhatTheEngineHas) {
  ASSERT_EQ(Submit(Values(100)), 100U);

  ASSERT_TRUE(Until([&] { return Confirmed() == 100; }));

  EXPECT_THAT(engine_.stored(kIndex), SizeIs(100));
  EXPECT_THAT(confirmations_, SizeIs(1)) << "adjacent records are one range";
  EXPECT_EQ(confirmations_[0].range, (OffsetRange{{0}, {100}}));
  EXPECT_EQ(sink_->Trouble(), std::nullopt);
}

TEST_F(OpenSearchSinkTest, SendsWhatEnginesAskFor) {
  Submit(Values(3));
  ASSERT_TRUE(Until([&] { return Confirmed() == 3; }));

  const EngineRequest request = engine_.requests().at(0);
  EXPECT_EQ(request.method, "POST");
  EXPECT_THAT(request.path, testing::StartsWith("/_bulk?"));
  EXPECT_EQ(request.headers.at("content-type"), "application/x-ndjson");
  EXPECT_EQ(request.headers.at("content-encoding"), "gzip");
  EXPECT_FALSE(request.headers.contains("transfer-encoding"));
  EXPECT_FALSE(request.headers.contains("expect"));
  EXPECT_THAT(request.headers.at("x-opaque-id"), testing::StartsWith("drawbridge/logs/relay-1/"));
  EXPECT_EQ(request.body.back(), '\n');
  ASSERT_THAT(request.documents, SizeIs(3));
  EXPECT_EQ(json::parse(request.documents[1].first),
            json::parse(fmt::format(
                R"({{"create":{{"_index":"{}","_id":"0000000000000000:1:audit:0:1"}}}})", kIndex)));
  EXPECT_EQ(json::parse(request.documents[1].second)["n"], 1);
}

TEST_F(OpenSearchSinkTest, KeepsAConnection) {
  for (int i = 1; i <= 5; ++i) {
    Submit(Values(10));
    ASSERT_TRUE(Until([&] { return Confirmed() == 10 * i; }));
  }
  EXPECT_THAT(engine_.requests(), SizeIs(5));
}

TEST_F(OpenSearchSinkTest, CountsWhatIsThereAsDelivered) {
  engine_.SetScript([](const auto& request, size_t) {
    return SayOfAll(request, 409, {{"type", "version_conflict_engine_exception"}});
  });
  Submit(Values(10));

  EXPECT_TRUE(Until([&] { return Confirmed() == 10; }));
  EXPECT_THAT(DeadLetters(), testing::IsEmpty());
}

// --- What fails in passing ----------------------------------------------------------------------

TEST_F(OpenSearchSinkTest, SendsOnlyThoseItemsAgainThatWerePushedBack) {
  engine_.SetScript([&](const EngineRequest& request, size_t number) {
    if (number > 0) return engine_.Store(request);
    EngineRequest first;
    first.documents.assign(request.documents.begin(), request.documents.begin() + 6);
    json answer = json::parse(engine_.Store(first).body);
    for (int i = 0; i < 4; ++i) {
      answer["items"].push_back(
          {{"create",
            {{"status", 429}, {"error", {{"type", "es_rejected_execution_exception"}}}}}});
    }
    answer["errors"] = false;  // some say so
    return Say(200, answer.dump());
  });
  Submit(Values(10));

  ASSERT_TRUE(Until([&] { return Confirmed() == 10; }));

  EXPECT_THAT(engine_.stored(kIndex), SizeIs(10));
  EXPECT_THAT(engine_.requests().at(1).documents, SizeIs(4));
  EXPECT_THAT(Failures(), testing::IsEmpty());
}

TEST_F(OpenSearchSinkTest, SendsAgainWhatGotNoClearAnswer) {
  const std::vector<EngineReply> unclear = {
      Say(200),
      Say(200, "<html>Sign in</html>"),
      Say(200, R"({"errors":false,"items":[]})"),
      Say(200, R"({"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]})"),
      Say(200, R"({"errors":false,"items":[{"create":{"status":2)"),
      Say(503, "busy"),
      Say(429, "", "Retry-After: 1\r\n"),
      {.status = 0, .body = {}, .headers = {}, .hangs_up = true}};
  engine_.SetScript([&](const EngineRequest& request, size_t number) {
    if (number < unclear.size()) {
      if (number % 2 == 0) engine_.Store(request);  // done all the same
      return unclear[number];
    }
    return engine_.Store(request);
  });
  Submit(Values(1));

  ASSERT_TRUE(Until([&] { return Confirmed() == 1; }));

  EXPECT_THAT(engine_.stored(kIndex), SizeIs(1));
  EXPECT_EQ(engine_.requests().size(), unclear.size() + 1);
  EXPECT_THAT(Failures(), testing::IsEmpty());
  EXPECT_THAT(DeadLetters(), testing::IsEmpty());
}

TEST_F(OpenSearchSinkTest, GoesToAnotherAddressWhenOneIsDown) {
  Open({"http://127.0.0.1:1", engine_.address()});
  Submit(Values(5));

  EXPECT_TRUE(Until([&] { return Confirmed() == 5; }));
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(5));
}

TEST_F(OpenSearchSinkTest, LeavesAnAddressAloneThatStaysAwayWhileOthersAnswer) {
  ScriptedEngine away;
  away.SetScript([](const EngineRequest&, size_t) {
    return EngineReply{.status = 0, .body = {}, .headers = {}, .hangs_up = true};
  });
  Open({away.address(), engine_.address()}, 0);
  for (int64_t minute = 0; minute < 600; ++minute) {
    Submit(Values(1));
    ASSERT_TRUE(Until([&] { return Confirmed() == minute + 1; }));
    clock_.Advance(1min);
  }

  EXPECT_THAT(engine_.stored(kIndex), SizeIs(600));
  EXPECT_LT(away.requests().size(), 40U) << "in ten hours";
}

class AnotherClusterTest : public OpenSearchSinkTest {
 protected:
  AnotherClusterTest() {
    cluster_id_ = "meant";
    Open({engine_.address()});
    Answer(engine_, "other");
  }
  // Which cluster the engine says that it is.
  static void Answer(ScriptedEngine& engine, const std::string& cluster) {
    engine.SetScript([&engine, cluster](const EngineRequest& request, size_t) {
      if (!request.path.starts_with("/?")) return engine.Store(request);
      return Say(200, json{{"cluster_uuid", cluster}}.dump());
    });
  }
};

TEST_F(AnotherClusterTest, GetsNoRecordUntilTheRightOneAnswers) {
  Submit(Values(5));

  ASSERT_TRUE(Until([&] { return sink_->Trouble().has_value(); }));
  EXPECT_EQ(sink_->Trouble()->reason, Reason::kSourceChanged);
  EXPECT_TRUE(sink_->Trouble()->blocks);
  EXPECT_THAT(sink_->Trouble()->text, HasSubstr("cluster other answers where cluster meant"));
  const BootTime since = clock_.Now();
  Until([&] { return clock_.Now() - since > 60s; });
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(0));

  Answer(engine_, "meant");
  ASSERT_TRUE(Until([&] { return Confirmed() == 5; }));
  EXPECT_EQ(sink_->Trouble(), std::nullopt);
}

TEST_F(AnotherClusterTest, IsLeftAloneAmongAddressesOfTheRightOne) {
  ScriptedEngine right;
  Answer(right, "meant");
  Open({engine_.address(), right.address()});
  for (int i = 0; i < 20; ++i) Submit(Values(5));

  ASSERT_TRUE(Until([&] { return Confirmed() == 100; }));

  EXPECT_THAT(engine_.stored(kIndex), SizeIs(0));
  EXPECT_THAT(right.stored(kIndex), SizeIs(100));
  sink_.reset();
}

TEST_F(AnotherClusterTest, IsSeenBehindAnAddressThatWasRight) {
  Answer(engine_, "meant");
  Submit(Values(5));
  ASSERT_TRUE(Until([&] { return Confirmed() == 5; }));
  Answer(engine_, "other");
  clock_.Advance(60s);

  Submit(Values(5));

  ASSERT_TRUE(Until([&] { return sink_->Trouble().has_value(); }));
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(5));
}

TEST_F(OpenSearchSinkTest, WaitsAsLongAsTheEngineAsksFor) {
  engine_.SetScript([&](const EngineRequest& request, size_t number) {
    return number == 0 ? Say(429, "{}", "Retry-After: 7\r\n") : engine_.Store(request);
  });
  const BootTime begun = clock_.Now();
  Submit(Values(3));

  ASSERT_TRUE(Until([&] { return Confirmed() == 3; }));

  EXPECT_GE(clock_.Now() - begun, Duration(7s));
}

TEST_F(OpenSearchSinkTest, GoesToAnotherAddressWhenOneIsNoEngine) {
  ScriptedEngine proxy;
  proxy.SetScript([](const auto&, size_t) { return Say(404, "<html>no such page</html>"); });
  Open({proxy.address(), engine_.address()}, 0);  // nothing is looked for first
  for (int i = 1; i <= 5; ++i) {
    Submit(Values(10));
    ASSERT_TRUE(Until([&] { return Confirmed() == 10 * i; }));
    EXPECT_EQ(sink_->Trouble(), std::nullopt) << "the other one takes records";
  }

  EXPECT_LT(proxy.requests().size(), engine_.requests().size());
  EXPECT_TRUE(Failures().empty());
}

TEST_F(OpenSearchSinkTest, LooksForAnItemThatFailedAtTheEngineBeforeItSendsItAgain) {
  engine_.RollOver("logs-audit-2026.03.14", "behind-1");
  engine_.SetScript([&](const EngineRequest& request, size_t number) {
    EngineReply reply = engine_.Store(request);
    if (number > 0) return reply;
    // It has written it, and says that it has not.
    engine_.RollOver("logs-audit-2026.03.14", "behind-2");
    return SayOfAll(request, 503, {{"type", "unavailable_shards_exception"}});
  });
  Submit(Values(1));

  ASSERT_TRUE(Until([&] { return Confirmed() == 1; }));

  EXPECT_THAT(engine_.stored("behind-1"), SizeIs(1));
  EXPECT_THAT(engine_.stored("behind-2"), testing::IsEmpty());
}

TEST_F(OpenSearchSinkTest, FindsAnAddressSoonThatComesBackWhenNoneAnswered) {
  engine_.SetScript([](const EngineRequest&, size_t) {
    return EngineReply{.status = 0, .body = {}, .headers = {}, .hangs_up = true};
  });
  Submit(Values(1));
  for (size_t tries = 1; tries < 10; ++tries) {
    clock_.Advance(1h);
    ASSERT_TRUE(Until([&] { return engine_.requests().size() > tries; }));
  }

  engine_.SetScript(nullptr);
  const BootTime back = clock_.Now();

  ASSERT_TRUE(Until([&] { return Confirmed() == 1; }));
  EXPECT_LT(clock_.Now() - back, 20s);
}

TEST_F(OpenSearchSinkTest, RestsWhileOnlyAnAnswerHelps) {
  std::promise<void> answers;
  const std::shared_future<void> answered = answers.get_future().share();
  engine_.SetScript([this, answered](const EngineRequest& request, size_t) {
    answered.wait();
    return engine_.Store(request);
  });
  Submit(Values(5));  // at first one request is sent at a time
  ASSERT_TRUE(Until([&] { return engine_.requests().size() == 1; }));

  Submit(Values(5));
  clock_.Advance(2s);
  Until([] { return true; });

  pollfd timer = {.fd = sink_->descriptors()[1], .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&timer, 1, 200), 0) << "the second request is due, and cannot be sent";
  answers.set_value();
  EXPECT_TRUE(Until([&] { return Confirmed() == 10; }));
}

TEST_F(OpenSearchSinkTest, SaysWhatIsWrongWhileNothingPasses) {
  engine_.SetScript([](const auto&, size_t) { return Say(503, "busy"); });
  Submit(Values(5));

  ASSERT_TRUE(Until([&] { return sink_->Trouble().has_value(); }));
  EXPECT_EQ(sink_->Trouble()->side, Side::kTarget);
  EXPECT_THAT(sink_->Trouble()->text, HasSubstr("busy"));

  engine_.SetScript(nullptr);
  ASSERT_TRUE(Until([&] { return Confirmed() == 5; }));
  EXPECT_EQ(sink_->Trouble(), std::nullopt);
}

TEST_F(OpenSearchSinkTest, AsksSeldomWhileNothingCanPassAndSaysWhatToDo) {
  for (const auto& [status, reason] : {std::pair(401, Reason::kAuthenticationFailed),
                                       {403, Reason::kAuthorizationFailed},
                                       {404, Reason::kBrokerError},
                                       {302, Reason::kBrokerError},
                                       {501, Reason::kBrokerError}}) {
    Open({engine_.address()});
    const int64_t confirmed = Confirmed();
    engine_.SetScript([status = status](const auto&, size_t) { return Say(status, "no"); });
    const size_t before = engine_.requests().size();
    Submit(Values(5));
    ASSERT_TRUE(Until([&] { return sink_->Trouble().has_value(); })) << status;
    EXPECT_EQ(sink_->Trouble()->reason, reason) << status;

    const BootTime since = clock_.Now();
    ASSERT_TRUE(Until([&] { return clock_.Now() - since > 10s; }));
    EXPECT_LE(engine_.requests().size() - before, 20U) << status;
    EXPECT_THAT(DeadLetters(), testing::IsEmpty());

    engine_.SetScript(nullptr);
    ASSERT_TRUE(Until([&] { return Confirmed() == confirmed + 5; })) << status;
    EXPECT_EQ(sink_->Trouble(), std::nullopt) << status;
  }
}

TEST_F(OpenSearchSinkTest, ForgetsThatItWasNotKnownOnceItIs) {
  engine_.SetScript([](const auto&, size_t) { return Say(401, "no"); });
  Submit(Values(5));
  ASSERT_TRUE(Until([&] { return sink_->Trouble().has_value(); }));

  engine_.SetScript([](const EngineRequest& request, size_t) {
    return SayOfAll(request, 400, {{"type", "index_closed_exception"}});
  });

  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));
  EXPECT_THAT(Failures()[0].status.message(), HasSubstr("index_closed_exception"));
  EXPECT_EQ(sink_->Trouble(), std::nullopt);
}

TEST_F(OpenSearchSinkTest, SendsARecordAgainAsItsOwnThoughItsSlotIsAnotherPartitions) {
  engine_.SetScript([](const auto&, size_t) { return Say(503, "busy"); });
  Submit(Values(5));
  ASSERT_TRUE(Until([&] { return !engine_.requests().empty(); }));
  Route other;
  other.key = {.stream = StreamId{2}, .partition = 7};
  other.source_topic = "another";
  other.target_topic = "logs-another";
  other.partition = 7;
  ASSERT_TRUE(sink_->Open(0, other).ok());
  engine_.SetScript(nullptr);

  ASSERT_TRUE(Until([&] { return Confirmed() == 5; }));

  EXPECT_THAT(engine_.stored("logs-another"), SizeIs(0));
  ASSERT_THAT(engine_.stored(kIndex), SizeIs(5));
  EXPECT_TRUE(engine_.stored(kIndex).contains("0000000000000000:1:audit:0:4"));
}

// --- Several indexes behind a name --------------------------------------------------------------

TEST_F(OpenSearchSinkTest, FindsWhatWasWrittenBeforeARollover) {
  engine_.RollOver(kIndex, "first");
  engine_.SetScript([&](const EngineRequest& request, size_t number) {
    EngineReply reply = engine_.Store(request);
    if (number == 0) {
      engine_.RollOver(kIndex, "second");
      reply.hangs_up = true;
    }
    return reply;
  });
  Submit(Values(100));

  ASSERT_TRUE(Until([&] { return Confirmed() == 100; }));

  EXPECT_THAT(engine_.stored("first"), SizeIs(100));
  EXPECT_THAT(engine_.stored("second"), SizeIs(0));
  EXPECT_EQ(sink_->Trouble(), std::nullopt);
}

TEST_F(OpenSearchSinkTest, WritesOnlyWhatWasNotWrittenBeforeARollover) {
  engine_.RollOver(kIndex, "first");
  Submit(Values(60));
  ASSERT_TRUE(Until([&] { return Confirmed() == 60; }));
  engine_.RollOver(kIndex, "second");

  Open({engine_.address()});  // as a relay does that takes the partition over
  next_.clear();
  Submit(Values(100));

  ASSERT_TRUE(Until([&] { return Confirmed() == 160; }));
  EXPECT_THAT(engine_.stored("first"), SizeIs(60));
  EXPECT_THAT(engine_.stored("second"), SizeIs(40));
}

TEST_F(OpenSearchSinkTest, FindsWhatWasWrittenBeforeItHoweverLongTheSourceIsSilent) {
  engine_.RollOver(kIndex, "first");
  Submit(Values(60));
  ASSERT_TRUE(Until([&] { return Confirmed() == 60; }));
  engine_.RollOver(kIndex, "second");
  Open({engine_.address()});  // as a relay does that takes the partition over
  next_.clear();

  clock_.Advance(1h);
  Submit(Values(60));

  ASSERT_TRUE(Until([&] { return Confirmed() == 120; }));
  EXPECT_THAT(engine_.stored("second"), SizeIs(0));
}

TEST_F(OpenSearchSinkTest, LooksForWhatItSendsAgainThoughItSentItItself) {
  Open({engine_.address()}, 0);
  engine_.RollOver(kIndex, "first");
  Submit(Values(10));
  ASSERT_TRUE(Until([&] { return Confirmed() == 10; }));
  EXPECT_EQ(engine_.looks(), 0U) << "what is sent for the first time cannot be there";
  engine_.RollOver(kIndex, "second");

  next_.clear();
  Submit(Values(10), 0, 2);

  ASSERT_TRUE(Until([&] { return Confirmed() == 20; }));
  EXPECT_THAT(engine_.stored("second"), SizeIs(0));
}

TEST_F(OpenSearchSinkTest, WaitsForWhatTheEngineStillWorksOn) {
  engine_.RollOver(kIndex, "first");
  engine_.SetScript([&](const EngineRequest& request, size_t number) {
    if (number > 0) return engine_.Store(request);
    engine_.WorkOn(request);
    EngineReply none;
    none.hangs_up = true;
    return none;
  });
  Submit(Values(60));
  ASSERT_TRUE(Until([&] { return engine_.requests().size() == 1; }));

  Open({engine_.address()});  // as a relay does that takes the partition over
  next_.clear();
  Submit(Values(60));
  ASSERT_TRUE(Until([&] { return sink_->Trouble().has_value(); }));
  EXPECT_GT(engine_.task_looks(), 3U);
  EXPECT_THAT(sink_->Trouble()->text, HasSubstr("not carried out yet"));
  engine_.RollOver(kIndex, "second");
  engine_.CarryOut();

  ASSERT_TRUE(Until([&] { return Confirmed() == 60; }));
  EXPECT_THAT(engine_.stored("first"), SizeIs(60));
  EXPECT_THAT(engine_.stored("second"), SizeIs(0));
  EXPECT_EQ(sink_->Trouble(), std::nullopt);
}

TEST_F(OpenSearchSinkTest, SendsOnceWhatIsLeftOfARequestThatWaits) {
  Open({engine_.address()}, 0);
  engine_.RollOver(kIndex, "first");
  Submit(Values(10));
  ASSERT_TRUE(Until([&] { return Confirmed() == 10; }));
  EngineRequest old;
  old.headers["x-opaque-id"] = "drawbridge/logs/relay-0/1";
  engine_.WorkOn(old);
  next_.clear();
  Submit(Values(10), 0, 2);  // these may be there
  Submit(Values(5), 1);      // these may not
  ASSERT_TRUE(Until([&] { return engine_.task_looks() > 2; }));

  sink_->Close(0);
  engine_.CarryOut();

  ASSERT_TRUE(Until([&] { return engine_.stored("first").size() == 15; }));
  EXPECT_THAT(engine_.requests(), SizeIs(2));
}

TEST_F(OpenSearchSinkTest, TakesAProxysTimeOutForOne) {
  Open({engine_.address()}, 0);  // nothing is looked for first
  engine_.RollOver(kIndex, "first");
  engine_.SetScript([&](const EngineRequest& request, size_t number) {
    EngineReply reply = engine_.Store(request);
    if (number > 0) return reply;
    engine_.RollOver(kIndex, "second");
    return Say(408, "time-out");
  });
  Submit(Values(10));

  ASSERT_TRUE(Until([&] { return Confirmed() == 10; }));

  EXPECT_THAT(engine_.stored("second"), SizeIs(0));
}

TEST_F(OpenSearchSinkTest, LooksForRecordsWhereItMayNotSeeTasks) {
  engine_.SetTasksStatus(403);
  engine_.RollOver(kIndex, "first");
  Submit(Values(60));
  ASSERT_TRUE(Until([&] { return Confirmed() == 60; }));
  engine_.RollOver(kIndex, "second");

  Open({engine_.address()});
  next_.clear();
  Submit(Values(60));

  ASSERT_TRUE(Until([&] { return Confirmed() == 120; }));
  EXPECT_THAT(engine_.stored("second"), SizeIs(0));
}

TEST_F(OpenSearchSinkTest, LooksNoMoreOnceARelayBeforeCanHaveWrittenNoMore) {
  Open({engine_.address()}, 100);
  engine_.RollOver(kIndex, "first");
  Submit(Values(100));
  ASSERT_TRUE(Until([&] { return Confirmed() == 100; }));
  const size_t looks = engine_.looks();
  EXPECT_GT(looks, 0U);

  Submit(Values(10));

  ASSERT_TRUE(Until([&] { return Confirmed() == 110; }));
  EXPECT_EQ(engine_.looks(), looks);
}

TEST_F(OpenSearchSinkTest, WritesAllTheSameWhereItMayNotLook) {
  engine_.SetLookStatus(403);
  Submit(Values(10));

  ASSERT_TRUE(Until([&] { return Confirmed() == 10; }));

  EXPECT_THAT(engine_.stored(kIndex), SizeIs(10));
  ASSERT_TRUE(sink_->Trouble().has_value());
  EXPECT_EQ(sink_->Trouble()->reason, Reason::kAuthorizationFailed);
  EXPECT_THAT(sink_->Trouble()->text, HasSubstr("may be there twice"));
  EXPECT_FALSE(sink_->Trouble()->blocks);
}

TEST_F(OpenSearchSinkTest, NamesNoMissingRightOnceItMayLook) {
  engine_.RollOver(kIndex, "first");
  engine_.SetLookStatus(403);
  Submit(Values(10));
  ASSERT_TRUE(Until([&] { return Confirmed() == 10; }));
  engine_.SetLookStatus(200);

  OpenSlot(0);
  next_.clear();
  Submit(Values(10));

  ASSERT_TRUE(Until([&] { return Confirmed() == 20; }));
  EXPECT_EQ(sink_->Trouble(), std::nullopt);
}

TEST_F(OpenSearchSinkTest, WaitsWhileTheEngineDoesNotSayWhatIsThere) {
  engine_.SetLookStatus(503);
  Submit(Values(10));
  ASSERT_TRUE(Until([&] { return engine_.looks() > 3; }));
  EXPECT_EQ(Confirmed(), 0);
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(0));

  engine_.SetLookStatus(200);

  ASSERT_TRUE(Until([&] { return Confirmed() == 10; }));
}

TEST_F(OpenSearchSinkTest, WaitsWhileAnIndexIsBlockedForReading) {
  engine_.SetLookStatus(403, R"({"error":{"type":"cluster_block_exception","reason":"read"}})");
  Submit(Values(10));

  ASSERT_TRUE(Until([&] { return sink_->Trouble().has_value(); }));

  EXPECT_EQ(sink_->Trouble()->reason, Reason::kBrokerError) << "it is no right that is missing";
  EXPECT_THAT(sink_->Trouble()->text, HasSubstr("cluster_block_exception"));
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(0));

  engine_.SetLookStatus(200);

  EXPECT_TRUE(Until([&] { return Confirmed() == 10; }));
}

TEST_F(OpenSearchSinkTest, SaysWhatToDoWhereItIsNotLetInToLook) {
  engine_.SetLookStatus(401);
  Submit(Values(10));

  ASSERT_TRUE(Until([&] { return sink_->Trouble().has_value(); }));

  EXPECT_EQ(sink_->Trouble()->reason, Reason::kAuthenticationFailed);
  EXPECT_TRUE(sink_->Trouble()->blocks);
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(0));
  engine_.SetLookStatus(200);
  EXPECT_TRUE(Until([&] { return Confirmed() == 10; }));
}

TEST_F(OpenSearchSinkTest, IsBlockedByWhateverAnswersALookInPlaceOfTheEngine) {
  for (const int status : {404, 302}) {
    Open({engine_.address()});
    engine_.SetLookStatus(status);
    next_.clear();
    Submit(Values(10));

    ASSERT_TRUE(Until([&] { return sink_->Trouble().has_value(); })) << status;
    EXPECT_TRUE(sink_->Trouble()->blocks) << status;
    EXPECT_THAT(sink_->Trouble()->text, HasSubstr("check the endpoint's address")) << status;
  }
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(0));
}

// --- What is refused ----------------------------------------------------------------------------

TEST_F(OpenSearchSinkTest, ConfirmsARefusedRecordWhenItsDeadLetterIsKept) {
  engine_.SetScript([&](const EngineRequest& request, size_t) { return StoreNumbers(request); });
  std::vector<std::string> values = Values(100);
  values[40] = R"({"n":"forty"})";
  Submit(values);

  ASSERT_TRUE(Until([&] { return Confirmed() == 100; }));

  EXPECT_THAT(engine_.stored(kIndex), SizeIs(99));
  const auto letters = engine_.stored(kLetters);
  ASSERT_THAT(letters, SizeIs(1));
  EXPECT_EQ(letters.begin()->first, "logs:0000000000000000:1:audit:0:40");
  const json letter = json::parse(letters.begin()->second);
  EXPECT_EQ(letter["value"], values[40]);
  EXPECT_EQ(letter["drawbridge-error-type"], "mapper_parsing_exception");
  EXPECT_EQ(letter["drawbridge-error-bridge"], "logs");
  EXPECT_EQ(letter["drawbridge-error-index"], kIndex);
  ASSERT_THAT(DeadLetters(), SizeIs(1));
  EXPECT_EQ(DeadLetters()[0].offset, Offset{40});
  EXPECT_EQ(DeadLetters()[0].error, letter["drawbridge-error-group"]);
}

TEST_F(OpenSearchSinkTest, CountsWhatTheEngineKeepsAmongItsFailures) {
  engine_.SetScript([](const EngineRequest& request, size_t) {
    json items = json::array();
    for (size_t i = 0; i < request.documents.size(); ++i) {
      json item{{"status", 201}};
      if (i == 1) item["failure_store"] = "used";
      items.push_back({{"create", item}});
    }
    return Say(200, json{{"errors", false}, {"items", items}}.dump());
  });
  Submit(Values(3));

  ASSERT_TRUE(Until([&] { return Confirmed() == 3; }));

  ASSERT_THAT(DeadLetters(), SizeIs(1));
  EXPECT_EQ(DeadLetters()[0].offset, Offset{1});
  EXPECT_THAT(DeadLetters()[0].error, HasSubstr("failure_store"));
}

TEST_F(OpenSearchSinkTest, CountsWhatAPipelineThrowsAway) {
  engine_.SetScript([](const EngineRequest& request, size_t) {
    json items = json::array();
    for (size_t i = 0; i < request.documents.size(); ++i) {
      items.push_back(
          {{"create", {{"status", i == 1 ? 200 : 201}, {"result", i == 1 ? "noop" : "created"}}}});
    }
    return Say(200, json{{"errors", false}, {"items", items}}.dump());
  });
  Submit(Values(3));

  ASSERT_TRUE(Until([&] { return Confirmed() == 3; }));

  ASSERT_THAT(DeadLetters(), SizeIs(1));
  EXPECT_EQ(DeadLetters()[0].offset, Offset{1});
  EXPECT_THAT(DeadLetters()[0].error, HasSubstr("pipeline"));
}

TEST_F(OpenSearchSinkTest, IsBlockedWhereAPipelineThrowsDeadLettersAway) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    if (!IsFor(request, kLetters)) return StoreNumbers(request);
    return Say(200, R"({"errors":false,"items":[{"create":{"status":200,"result":"noop"}}]})");
  });
  Submit({R"({"n":"one"})"});

  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));

  EXPECT_EQ(Failures()[0].failure, Disposition::kBlock);
  EXPECT_THAT(Failures()[0].status.message(),
              testing::AllOf(HasSubstr("its dead letter is not kept"), HasSubstr(kLetters)));
  EXPECT_EQ(Confirmed(), 0);
}

TEST_F(OpenSearchSinkTest, DoesNotConfirmARefusedRecordBeforeItsDeadLetterIsKept) {
  std::atomic<bool> keeps = false;
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    if (IsFor(request, kLetters) && !keeps) return Say(503, "busy");
    return StoreNumbers(request);
  });
  Submit({R"({"n":"one"})", R"({"n":2})"});

  ASSERT_TRUE(Until([&] { return engine_.requests().size() > 4; }));
  EXPECT_EQ(Confirmed(), 1);

  keeps = true;
  EXPECT_TRUE(Until([&] { return Confirmed() == 2; }));
}

// Dead letters in a topic.
class LettersInATopicTest : public OpenSearchSinkTest {
 protected:
  LettersInATopicTest() {
    engine_.SetScript([&](const auto& request, size_t) { return StoreNumbers(request); });
    auto topic = std::make_unique<LogSink>(topic_log_);
    topic_ = topic.get();
    Open({engine_.address()}, 1000, *TopicLetterSink::Open(std::move(topic), "dead"));
  }

  FakeLog topic_log_;
  LogSink* topic_ = nullptr;
};

TEST_F(LettersInATopicTest, ConfirmARefusedRecordWhenTheyAreThere) {
  std::vector<std::string> values = Values(10);
  values[5] = R"({"n":"five"})";
  topic_->SetCapacity(0);
  Submit(values);
  ASSERT_TRUE(Until([&] { return Confirmed() == 9; }));
  for (int i = 0; i < 20; ++i) Until([] { return true; });
  EXPECT_EQ(Confirmed(), 9) << "not before its letter is kept";

  topic_->SetCapacity(10);

  ASSERT_TRUE(Until([&] { return Confirmed() == 10; }));
  ASSERT_THAT(topic_log_.records(), SizeIs(1));
  const FakeRecord& letter = *topic_log_.records().at({0});
  EXPECT_EQ(letter.value, values[5]);
  EXPECT_EQ(letter.timestamp_ms, kTime);
  EXPECT_THAT(letter.headers,
              testing::Contains(testing::Pair("drawbridge-error-offset", std::optional("5"))));
  ASSERT_THAT(DeadLetters(), SizeIs(1));
  EXPECT_EQ(DeadLetters()[0].offset, Offset{5});
  EXPECT_THAT(engine_.stored(kLetters), testing::IsEmpty()) << "and nowhere else";
  EXPECT_EQ(topic_->opened().at(0).target_topic, "dead");
  EXPECT_EQ(topic_->opened().at(0).partition, 0) << "the topic may have only one";
}

TEST_F(LettersInATopicTest, BlockTheirPartitionWhereTheTopicRefusesThem) {
  std::vector<std::string> values = Values(10);
  values[5] = R"({"n":"five"})";
  topic_->Refuse(Disposition::kRefuse,
                 {StatusCode::kInvalidArgument, Reason::kRecordTooLarge, "raise its limit"});
  Submit(values);

  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));

  EXPECT_EQ(Failures()[0].range, (OffsetRange{{5}, {6}}));
  EXPECT_EQ(Failures()[0].failure, Disposition::kBlock);
  EXPECT_EQ(Failures()[0].status.reason(), Reason::kRecordTooLarge);
  EXPECT_THAT(Failures()[0].status.message(),
              AllOf(HasSubstr("mend the topic dead"), HasSubstr("raise its limit")));
  EXPECT_EQ(Confirmed(), 9);
}

TEST_F(LettersInATopicTest, BlockNobodyWhoHasTheirSlotByThen) {
  topic_->Refuse(Disposition::kBlock,
                 {StatusCode::kFailedPrecondition, Reason::kAuthorizationFailed, "not allowed"});
  topic_->FallSilent();
  Submit({R"({"n":"five"})"});
  ASSERT_TRUE(Until([&] { return topic_->taken() == 1; }));
  OpenSlot(0);

  topic_->Speak();

  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));
  EXPECT_EQ(Failures()[0].failure, Disposition::kRetry);
}

TEST_F(LettersInATopicTest, AreWrittenAgainWhereTheTopicDoesNotAnswer) {
  topic_->Refuse(Disposition::kRetry,
                 {StatusCode::kUnavailable, Reason::kBrokerError, "no leader"});
  std::vector<std::string> values = Values(10);
  values[5] = R"({"n":"five"})";
  Submit(values);

  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));

  EXPECT_EQ(Failures()[0].failure, Disposition::kRetry);
  EXPECT_EQ(Failures()[0].range, (OffsetRange{{5}, {6}}));
}

TEST_F(LettersInATopicTest, AllComeBackThatFailTogetherInWhateverOrderTheyWerePosted) {
  topic_->Refuse(Disposition::kRetry,
                 {StatusCode::kUnavailable, Reason::kBrokerError, "the producer was made anew"});
  topic_->FallSilent();
  std::vector<std::string> values = Values(10);
  for (const size_t bad : {2U, 5U, 8U}) values[bad] = R"({"n":"text"})";
  // Of three requests the last is answered first.
  engine_.SetScript([&](const EngineRequest& request, size_t number) {
    EngineReply reply = StoreNumbers(request);
    if (number == 0) {
      json answer = json::parse(reply.body);
      answer["items"][5] = {
          {"create", {{"status", 429}, {"error", {{"type", "es_rejected_execution_exception"}}}}}};
      reply.body = answer.dump();
    }
    return reply;
  });
  Submit(values);
  ASSERT_TRUE(Until([&] { return topic_->taken() == 3; }));

  topic_->Speak();

  ASSERT_TRUE(Until([&] { return GivenBack() == 3; })) << "2, 8 and then 5 were posted";
}

TEST_F(OpenSearchSinkTest, FindsTheOneForWhichARequestIsRefused) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    const bool has_culprit = request.body.find("culprit") != std::string::npos;
    if (!IsFor(request, kLetters) && has_culprit) {
      return Say(400, R"({"error":{"type":"parse_exception","reason":"malformed"}})");
    }
    return engine_.Store(request);
  });
  std::vector<std::string> values = Values(64);
  values[21] = R"({"n":"culprit"})";
  Submit(values);

  ASSERT_TRUE(Until([&] { return Confirmed() == 64; }));
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(63));
  ASSERT_THAT(DeadLetters(), SizeIs(1));
  EXPECT_EQ(DeadLetters()[0].offset, Offset{21});
}

TEST_F(OpenSearchSinkTest, WritesNothingOffForWhatIsSaidOfEveryRequest) {
  engine_.SetScript([](const auto&, size_t) { return Say(400, "blocked by a rule"); });
  Submit(Values(64));

  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));

  EXPECT_EQ(Failures()[0].failure, Disposition::kBlock);
  EXPECT_THAT(Failures()[0].status.message(), HasSubstr("blocked by a rule"));
  EXPECT_THAT(DeadLetters(), testing::IsEmpty());
}

TEST_F(OpenSearchSinkTest, WritesNoRecordOffForWhatAProxySaysOfIt) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    const bool is_refused = request.body.find("culprit") != std::string::npos;
    const bool is_letter = IsFor(request, kLetters);
    return is_refused && !is_letter ? Say(400, "<html>Blocked") : engine_.Store(request);
  });
  std::vector<std::string> values = Values(64);
  values[21] = R"({"n":"culprit"})";
  Submit(values);

  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));

  EXPECT_EQ(Failures()[0].failure, Disposition::kBlock);
  EXPECT_EQ(Failures()[0].range.first, Offset{21});
  EXPECT_THAT(Failures()[0].status.message(), HasSubstr("<html>Blocked"));
  EXPECT_THAT(engine_.stored(kLetters), SizeIs(0));
}

TEST_F(OpenSearchSinkTest, SendsLessAtATimeToAnEngineThatTakesLess) {
  constexpr size_t kMost = 20'000;
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    if (request.body.size() > kMost && request.documents.size() > 1) return Say(413);
    return engine_.Store(request);
  });
  Submit(Values(1000));

  ASSERT_TRUE(Until([&] { return Confirmed() == 1000; }));
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(1000));
  EXPECT_THAT(DeadLetters(), testing::IsEmpty());
}

TEST_F(OpenSearchSinkTest, NamesARecordWhoseDeadLetterIsTooLargeAsWell) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    return request.body.find("huge") != std::string::npos ? Say(413) : engine_.Store(request);
  });
  Submit({R"({"n":"huge"})"});

  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));
  EXPECT_EQ(Failures()[0].failure, Disposition::kBlock);
  EXPECT_EQ(Failures()[0].status.reason(), Reason::kRecordTooLarge);
  EXPECT_THAT(Failures()[0].status.message(), HasSubstr("max_content_length"));
}

TEST_F(OpenSearchSinkTest, GivesNoEngineADocumentThatKillsIt) {
  std::string deep;
  for (int i = 0; i < 2000; ++i) deep += "{\"a\":";
  Submit({deep + "1" + std::string(2000, '}'), R"({"n":2})"});

  ASSERT_TRUE(Until([&] { return Confirmed() == 2; }));
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(1));
  EXPECT_THAT(engine_.stored(kLetters), SizeIs(1));
}

// --- What no record passes ----------------------------------------------------------------------

TEST_F(OpenSearchSinkTest, WritesNothingOffForWhatIsTheIndexsFault) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    return SayOfAll(request, 400,
                    {{"type", "validation_exception"},
                     {"reason",
                      "this action would add [2] total shards, but this cluster currently has "
                      "[1000]/[1000] maximum shards open"}});
  });
  Submit(Values(50));

  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));

  ASSERT_THAT(Failures(), SizeIs(1));
  EXPECT_EQ(Failures()[0].records, 50);
  EXPECT_EQ(Failures()[0].failure, Disposition::kBlock);
  EXPECT_THAT(Failures()[0].status.message(), HasSubstr("maximum shards open"));
  EXPECT_THAT(engine_.stored(kLetters), testing::IsEmpty());
}

TEST_F(OpenSearchSinkTest, TriesOneRecordAtATimeUntilOnePasses) {
  std::atomic<bool> is_closed = true;
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    return is_closed ? SayOfAll(request, 400, {{"type", "index_closed_exception"}})
                     : engine_.Store(request);
  });
  Submit(Values(50));
  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));

  next_[0] = Offset{0};
  OpenSlot(0);
  EXPECT_EQ(Submit(Values(50), 0, 2), 1U);
  EXPECT_EQ(Submit(Values(50), 0, 2), 0U);
  EXPECT_EQ(Submit(Values(50), 1, 3), 50U) << "its neighbour is another stream's perhaps";
  ASSERT_TRUE(Until([&] { return Failures().size() == 3; }));

  is_closed = false;
  next_[0] = Offset{0};
  OpenSlot(0);
  ASSERT_EQ(Submit(Values(50), 0, 4), 1U);
  ASSERT_TRUE(Until([&] { return Confirmed() == 1; }));
  EXPECT_EQ(Submit(Values(49), 0, 4), 49U);
  EXPECT_TRUE(Until([&] { return Confirmed() == 50; }));
}

TEST_F(OpenSearchSinkTest, WritesNoneOffAtTheNextReplayOfAStorm) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    if (IsFor(request, kLetters)) return engine_.Store(request);
    return SayOfAll(request, 400, {{"type", "mapper_parsing_exception"}, {"reason", "n"}});
  });
  for (int replay = 0; replay < 30; ++replay) {
    const size_t before = Failures().size();
    OpenSlot(0);
    next_[0] = Offset{static_cast<int64_t>(DeadLetters().size())};
    Submit(Values(1), 0, static_cast<uint32_t>(replay + 1));
    const size_t letters = DeadLetters().size();
    ASSERT_TRUE(
        Until([&] { return Failures().size() > before || DeadLetters().size() > letters; }));
  }

  EXPECT_LT(DeadLetters().size(), 20U);
}

TEST_F(OpenSearchSinkTest, TakesUpAgainWhatWasBlockedWhenItIsFoundToBeThere) {
  engine_.RollOver(kIndex, "first");
  std::atomic<bool> is_closed = false;
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    return is_closed ? SayOfAll(request, 400, {{"type", "index_closed_exception"}})
                     : engine_.Store(request);
  });
  Submit(Values(50));
  ASSERT_TRUE(Until([&] { return Confirmed() == 50; }));
  is_closed = true;
  Submit(Values(1));
  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));
  is_closed = false;

  next_[0] = Offset{0};
  OpenSlot(0);
  ASSERT_EQ(Submit(Values(51), 0, 2), 1U);
  ASSERT_TRUE(Until([&] { return Confirmed() == 51; }));

  EXPECT_EQ(Submit(Values(50), 0, 2), 50U);
  EXPECT_TRUE(Until([&] { return Confirmed() == 101; }));
  EXPECT_THAT(engine_.stored("first"), SizeIs(51));
}

TEST_F(OpenSearchSinkTest, WritesNotHalfOfAllRecordsOff) {
  engine_.SetScript([&](const EngineRequest& request, size_t) { return StoreNumbers(request); });
  std::vector<std::string> values = Values(400);
  for (size_t i = 0; i < values.size(); i += 2) values[i] = R"({"n":"text"})";
  Submit(values);

  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));
  EXPECT_THAT(Failures()[0].status.message(), HasSubstr("none is written off"));
  EXPECT_LT(engine_.stored(kLetters).size(), 200U);
}

TEST_F(OpenSearchSinkTest, WritesNoMoreOffThanTheBridgeLets) {
  letters_percent_ = 5;
  Open({engine_.address()});
  engine_.SetScript([&](const EngineRequest& request, size_t) { return StoreNumbers(request); });
  std::vector<std::string> values = Values(200);  // of which 10 would be few
  for (size_t i = 0; i < values.size(); i += 5) values[i] = R"({"n":"text"})";
  Submit(values);

  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));

  EXPECT_EQ(Failures()[0].failure, Disposition::kBlock);
  EXPECT_EQ(Failures()[0].range.first, Offset{100}) << "the 21st";
  EXPECT_THAT(Failures()[0].status.message(),
              AllOf(HasSubstr("more than 5 %"), HasSubstr("dead_letter_max_percent"),
                    HasSubstr("mapper_parsing")));
  EXPECT_THAT(engine_.stored(kLetters), SizeIs(20));
  EXPECT_THAT(DeadLetters(), SizeIs(20)) << "they are confirmed before";
}

TEST_F(OpenSearchSinkTest, WritesBadRecordsOffThatLieSideBySide) {
  engine_.SetScript([&](const EngineRequest& request, size_t) { return StoreNumbers(request); });
  std::vector<std::string> values = Values(400);
  for (size_t i = 0; i < 100; ++i) values[i] = R"({"n":"text"})";
  Submit(values);
  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));

  OpenSlot(0);
  next_[0] = Offset{0};
  confirmations_.clear();
  ASSERT_EQ(Submit(values, 0, 2), 400U);

  ASSERT_TRUE(Until([&] { return Confirmed() == 400; }));
  EXPECT_THAT(Failures(), testing::IsEmpty());
  EXPECT_THAT(DeadLetters(), SizeIs(100));
  EXPECT_THAT(engine_.stored(kLetters), SizeIs(100));
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(300));
}

// Records of which a request holds ten: so many are bad, and the rest are good.
std::vector<std::string> LargeValues(int bad, int count) {
  const std::string text(size_t{512} << 10, 'x');
  std::vector<std::string> values;
  for (int i = 0; i < count; ++i) {
    values.push_back(fmt::format(R"({{"n":{},"text":"{}"}})", i < bad ? R"("text")" : "1", text));
  }
  return values;
}

TEST_F(OpenSearchSinkTest, WritesBadRecordsOffOfWhichARequestHoldsFew) {
  engine_.SetScript([&](const EngineRequest& request, size_t) { return StoreNumbers(request); });
  const std::vector<std::string> values = LargeValues(25, 60);
  Submit(values);
  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));

  OpenSlot(0);
  next_[0] = Offset{0};
  confirmations_.clear();
  ASSERT_EQ(Submit(values, 0, 2), 60U);

  ASSERT_TRUE(Until([&] { return Confirmed() == 60; }));
  EXPECT_THAT(Failures(), testing::IsEmpty());
  EXPECT_THAT(engine_.stored(kLetters), SizeIs(25));
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(35));
}

TEST_F(OpenSearchSinkTest, GivesBackWhatIsOnTrialWhenItsPartitionIsReadAgain) {
  engine_.SetScript([&](const EngineRequest& request, size_t) { return StoreNumbers(request); });
  const std::vector<std::string> values = LargeValues(40, 40);
  Submit(values);
  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));
  OpenSlot(0);
  next_[0] = Offset{0};
  confirmations_.clear();
  ASSERT_EQ(Submit(values, 0, 2), 40U);
  const size_t before = engine_.requests().size();
  ASSERT_TRUE(Until([&] { return engine_.requests().size() == before + 2; })) << "one is answered";
  ASSERT_THAT(Failures(), testing::IsEmpty());

  OpenSlot(0);
  next_[0] = Offset{0};
  Submit({values[0]}, 0, 3);

  ASSERT_TRUE(Until([&] {
    int64_t back = 0;
    for (const Confirmation& failure : Failures())
      back += failure.window == 2 ? failure.records : 0;
    return back == 40;
  }));
}

TEST_F(OpenSearchSinkTest, GivesARecordBackThatTheEngineFailsAtWhileOthersPass) {
  std::atomic<bool> is_broken = true;
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    json items = json::array();
    for (const auto& document : request.documents) {
      EngineRequest one;
      one.documents = {document};
      const bool fails = is_broken && document.second.find("poison") != std::string::npos;
      items.push_back(
          fails ? json{{"create",
                        {{"status", 500},
                         {"error", {{"type", "fail_processor_exception"}, {"reason", "no"}}}}}}
                : json::parse(engine_.Store(one).body)["items"][0]);
    }
    return Say(200, json{{"errors", true}, {"items", items}}.dump());
  });
  Submit({R"({"n":"poison"})"}, 0);
  int64_t sent = 0;
  const auto neighbour_sends = [&] {
    if (Confirmed() == sent) sent += static_cast<int64_t>(Submit(Values(1), 1));
  };
  ASSERT_TRUE(Until([&] {
    neighbour_sends();
    return !Failures().empty();
  }));
  EXPECT_GT(sent, 40) << "its neighbour does not wait for it";
  ASSERT_THAT(Failures(), SizeIs(1));
  EXPECT_EQ(Failures()[0].slot, 0U);
  EXPECT_EQ(Failures()[0].failure, Disposition::kBlock);
  EXPECT_THAT(Failures()[0].status.message(), HasSubstr("fail_processor_exception"));

  const auto replay = [&](uint32_t window) {
    OpenSlot(0);
    next_[0] = Offset{0};
    return Submit({R"({"n":"poison"})", R"({"n":1})"}, 0, window);
  };
  EXPECT_EQ(replay(2), 1U);
  const BootTime since = clock_.Now();
  ASSERT_TRUE(Until([&] { return Failures().size() == 2; }));
  EXPECT_LT(clock_.Now() - since, 5s) << "it is known to fail";

  ASSERT_TRUE(Until([&] { return Confirmed() == sent; }));
  is_broken = false;
  ASSERT_EQ(replay(3), 1U);
  ASSERT_TRUE(Until([&] { return Confirmed() == sent + 1; }));
  EXPECT_EQ(Submit(Values(10), 0, 3), 10U);
}

TEST_F(OpenSearchSinkTest, LetsNobodyWaitForEverForARecordThatIsPushedBack) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    json items = json::array();
    for (const auto& document : request.documents) {
      EngineRequest one;
      one.documents = {document};
      const bool is_hot = document.second.find("hot") != std::string::npos;
      items.push_back(
          is_hot ? json{{"create",
                         {{"status", 429}, {"error", {{"type", "circuit_breaking_exception"}}}}}}
                 : json::parse(engine_.Store(one).body)["items"][0]);
    }
    return Say(200, json{{"errors", true}, {"items", items}}.dump());
  });
  Submit({R"({"n":"hot"})"}, 1);
  const BootTime since = clock_.Now();
  int64_t sent = 0;

  ASSERT_TRUE(Until([&] {
    if (Confirmed() == sent) sent += static_cast<int64_t>(Submit(Values(1), 0));
    return !Failures().empty();
  }));

  EXPECT_GT(clock_.Now() - since, 30s) << "others wait for an engine that has too much to do";
  EXPECT_GT(sent, 40);
  EXPECT_EQ(Failures()[0].slot, 1U);
  EXPECT_THAT(Failures()[0].status.message(), HasSubstr("circuit_breaking_exception"));
}

TEST_F(OpenSearchSinkTest, TriesNoRecordForEverThatNobodyWaitsFor) {
  engine_.SetScript([](const EngineRequest& request, size_t) {
    return SayOfAll(request, 503, {{"type", "unavailable_shards_exception"}});
  });
  Submit(Values(5));
  ASSERT_TRUE(Until([&] { return engine_.requests().size() == 2; }));

  OpenSlot(0);

  ASSERT_TRUE(Until([&] { return GivenBack() == 5; }));
  EXPECT_EQ(Failures()[0].failure, Disposition::kRetry);
}

TEST_F(OpenSearchSinkTest, FindsTheRecordForWhichARequestFailsWhateverIsSaidOfIt) {
  EngineReply hang_up;
  hang_up.hangs_up = true;
  for (const EngineReply& reply : {Say(429, "too much"), Say(503, "busy"), Say(500, "no"),
                                   Say(403, "WAF"), Say(406, "no"), hang_up}) {
    Open({engine_.address()});
    next_.clear();
    confirmations_.clear();
    engine_.SetScript([&](const EngineRequest& request, size_t) {
      return request.body.find("culprit") == std::string::npos ? engine_.Store(request) : reply;
    });
    std::vector<std::string> values = Values(64);
    values[21] = R"({"n":"culprit"})";
    Submit(values, 1);

    // The others go on to write meanwhile.
    ASSERT_TRUE(Until([&] {
      if (sink_->IsReady() && next_[0].value < 4'000) Submit(Values(1), 0);
      return !Failures().empty();
    })) << reply.status;

    EXPECT_EQ(Failures()[0].failure, Disposition::kBlock) << reply.status;
    EXPECT_EQ(Failures()[0].slot, 1U);
    // What waited of its partition is given back as well, and may lie before it.
    EXPECT_THAT(Failures()[0].status.message(), HasSubstr("the record at offset 21:"))
        << reply.status;
    const int64_t written = next_[0].value;
    EXPECT_GT(written, 0) << reply.status;
    EXPECT_THAT(DeadLetters(), testing::IsEmpty());
  }
}

TEST_F(OpenSearchSinkTest, FindsTheRecordForWhichARequestFailsThoughThereIsNoOther) {
  for (const int status : {429, 503, 403}) {
    Open({engine_.address()});
    next_.clear();
    confirmations_.clear();
    engine_.SetScript([&](const EngineRequest& request, size_t) {
      const bool has_none = request.body.find("culprit") == std::string::npos;
      return has_none ? engine_.Store(request) : Say(status, "no");
    });
    std::vector<std::string> values = Values(64);
    // One in each eighth but for the last.
    for (size_t k = 0; k < 7; ++k) values[8 * k + 5] = R"({"n":"culprit"})";
    Submit(values, 1);

    ASSERT_TRUE(Until([&] { return !Failures().empty(); })) << status;

    EXPECT_EQ(Failures()[0].failure, Disposition::kBlock) << status;
    EXPECT_THAT(Failures()[0].status.message(),
                testing::ContainsRegex("the record at offset (5|13|21|29|37|45|53):"))
        << status;
    EXPECT_GT(Confirmed(), 0) << status;
  }
}

TEST_F(OpenSearchSinkTest, TakesAllForTheEnginesFaultWhileNobodyPasses) {
  for (const int status : {429, 403}) {
    Open({engine_.address()});
    next_.clear();
    confirmations_.clear();
    engine_.SetScript([status](const auto&, size_t) { return Say(status, "no"); });
    Submit(Values(64));
    const BootTime since = clock_.Now();
    ASSERT_TRUE(Until([&] { return clock_.Now() - since > 30s; }));
    EXPECT_THAT(confirmations_, testing::IsEmpty()) << status;

    engine_.SetScript(nullptr);

    ASSERT_TRUE(Until([&] { return Confirmed() == 64; })) << status;
    EXPECT_THAT(Failures(), testing::IsEmpty()) << status;
  }
}

TEST_F(OpenSearchSinkTest, TakesNoAnswerThatWasOnlyLateForOneThatPasses) {
  for (int i = 0; i < 20; ++i) {  // until it sends two requests at once
    Submit(Values(1));
    ASSERT_TRUE(Until([&] { return Confirmed() == i + 1; }));
  }
  std::promise<void> answers;
  const std::shared_future<void> may_answer = answers.get_future().share();
  std::atomic<bool> is_refusing = true;
  engine_.SetScript([&, may_answer](const EngineRequest& request, size_t) {
    if (request.body.find("late") != std::string::npos) {
      may_answer.wait();
      return engine_.Store(request);
    }
    return is_refusing ? Say(401, "no") : engine_.Store(request);
  });
  const size_t before = engine_.requests().size();
  Submit({R"({"m":"late"})"}, 0);
  ASSERT_TRUE(Until([&] { return engine_.requests().size() == before + 1; }));
  Submit(Values(8), 1);
  ASSERT_TRUE(Until([&] { return engine_.requests().size() == before + 2; }));
  ASSERT_TRUE(Until([&] { return sink_->Trouble().has_value(); }));

  answers.set_value();

  ASSERT_TRUE(Until([&] { return Confirmed() == 21; }));
  const BootTime since = clock_.Now();
  ASSERT_TRUE(Until([&] { return clock_.Now() - since > 60s; }));
  EXPECT_THAT(Failures(), testing::IsEmpty()) << "no record is at fault";
  is_refusing = false;
  EXPECT_TRUE(Until([&] { return Confirmed() == 29; }));
}

TEST_F(OpenSearchSinkTest, LetsNobodyWaitForTheTrialOfABlockedPartition) {
  std::promise<void> answers;
  const std::shared_future<void> answered = answers.get_future().share();
  std::atomic<bool> is_slow = false;
  engine_.SetScript([&, answered](const EngineRequest& request, size_t) {
    if (request.body.find("sick") == std::string::npos) return engine_.Store(request);
    if (is_slow) answered.wait();
    return SayOfAll(request, 400, {{"type", "index_closed_exception"}});
  });
  Submit({R"({"n":"sick"})"}, 0);
  ASSERT_TRUE(Until([&] { return Failures().size() == 1; }));
  is_slow = true;
  OpenSlot(0);
  next_[0] = Offset{0};
  Submit({R"({"n":"sick"})"}, 0, 2);
  Submit(Values(5), 1, 2);

  EXPECT_TRUE(Until([&] { return Confirmed() == 5; }));
  answers.set_value();
  EXPECT_TRUE(Until([&] { return Failures().size() == 2; }));
}

TEST_F(OpenSearchSinkTest, LetsNobodyWaitForWhatTheEngineFailsAt) {
  std::promise<void> answers;
  const std::shared_future<void> answered = answers.get_future().share();
  std::atomic<size_t> failed = 0;
  engine_.SetScript([&, answered](const EngineRequest& request, size_t) {
    if (request.body.find("sick") == std::string::npos) return engine_.Store(request);
    if (failed++ > 1) answered.wait();
    return SayOfAll(request, 503, {{"type", "unavailable_shards_exception"}});
  });
  // As many as there are requests at once by then.
  Submit({R"({"n":"sick"})"}, 0);
  ASSERT_TRUE(Until([&] { return failed == 1; }));
  Submit({R"({"n":"sick"})"}, 1);
  ASSERT_TRUE(Until([&] { return failed >= 3; }));

  OpenSlot(2);
  Submit(Values(5), 2);

  EXPECT_TRUE(Until([&] { return Confirmed() == 5; }));
  answers.set_value();
  engine_.SetScript(nullptr);
  EXPECT_TRUE(Until([&] { return Confirmed() == 7; }));
}

TEST_F(OpenSearchSinkTest, TakesAFewRefusalsOfEachPartitionForTheStreamsFault) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    if (IsFor(request, kLetters)) return engine_.Store(request);
    return SayOfAll(request, 400, {{"type", "mapper_parsing_exception"}, {"reason", "n"}});
  });
  // Too few in each to be a storm.
  for (Slot slot = 0; slot < 12; ++slot) OpenSlot(slot);
  for (int round = 0; round < 8; ++round) {
    for (Slot slot = 0; slot < 12; ++slot) Submit(Values(1), slot);
  }
  ASSERT_TRUE(Until([&] { return !Failures().empty() || DeadLetters().size() == 96; }));

  ASSERT_FALSE(Failures().empty());
  EXPECT_THAT(Failures()[0].status.message(), HasSubstr("none is written off"));
  EXPECT_LT(DeadLetters().size(), 20U);
}

TEST_F(OpenSearchSinkTest, LetsNoPartitionSufferForASickNeighbour) {
  engine_.SetScript([&](const EngineRequest& request, size_t) { return StoreNumbers(request); });
  for (Slot slot = 0; slot < 4; ++slot) OpenSlot(slot);
  Submit(std::vector<std::string>(400, R"({"n":"text"})"), 0);
  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));
  const size_t letters = DeadLetters().size();

  std::vector<std::string> values = Values(100);
  values[10] = R"({"n":"text"})";
  Submit(values, 1, 2);

  ASSERT_TRUE(Until([&] { return DeadLetters().size() > letters; }));
  for (const Confirmation& failure : Failures()) EXPECT_EQ(failure.slot, 0U);
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(99));
}

TEST_F(OpenSearchSinkTest, GoesOnWithAStreamWhenARecordOfItPasses) {
  std::atomic<bool> is_broken = true;
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    if (IsFor(request, kLetters) || !is_broken) return engine_.Store(request);
    return SayOfAll(request, 400, {{"type", "mapper_parsing_exception"}, {"reason", "n"}});
  });
  for (Slot slot = 0; slot < 12; ++slot) OpenSlot(slot);
  for (int round = 0; round < 8; ++round) {
    for (Slot slot = 0; slot < 12; ++slot) Submit(Values(1), slot);
  }
  ASSERT_TRUE(Until([&] {
    int64_t back = 0;
    for (const Confirmation& failure : Failures()) back += failure.records;
    return back + static_cast<int64_t>(DeadLetters().size()) == 96;
  }));
  is_broken = false;
  const size_t letters = DeadLetters().size();

  for (Slot slot = 0; slot < 12; ++slot) {
    OpenSlot(slot);
    Submit(Values(1), slot, 2);
  }
  ASSERT_TRUE(Until([&] { return Confirmed() == static_cast<int64_t>(letters) + 12; }));

  EXPECT_EQ(Submit(Values(50), 5, 2), 50U) << "at full speed";
  EXPECT_TRUE(Until([&] { return Confirmed() == static_cast<int64_t>(letters) + 62; }));
  EXPECT_EQ(DeadLetters().size(), letters);
}

TEST_F(OpenSearchSinkTest, GivesBackWhatWaitsOfAPartitionThatLeaves) {
  engine_.SetScript([](const auto&, size_t) { return Say(401); });
  Submit(Values(10), 0);
  ASSERT_TRUE(Until([&] { return sink_->Trouble().has_value(); }));

  sink_->Close(0);
  engine_.SetScript(nullptr);
  Submit(Values(5), 1, 2);
  ASSERT_TRUE(Until([&] { return Confirmed() == 5; }));

  EXPECT_THAT(Failures(), SizeIs(1));
  EXPECT_EQ(Failures()[0].records, 10);
  EXPECT_EQ(Failures()[0].failure, Disposition::kRetry);
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(5)) << "another relay writes them";
}

TEST_F(OpenSearchSinkTest, WritesNoDeadLetterOfAPartitionThatHasLeft) {
  engine_.SetScript([&](const EngineRequest& request, size_t) { return StoreNumbers(request); });
  Submit({R"({"n":"text"})"}, 0);
  std::vector<Confirmation> none;
  sink_->Poll(none);  // it is on its way

  sink_->Close(0);
  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));
  Submit(Values(1), 1, 2);
  ASSERT_TRUE(Until([&] { return Confirmed() == 1; }));

  EXPECT_THAT(engine_.stored(kLetters), SizeIs(0)) << "whoever has it now writes it";
}

TEST_F(OpenSearchSinkTest, NamesAFullDisk) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    return SayOfAll(request, 429,
                    {{"type", "cluster_block_exception"},
                     {"reason",
                      "blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage "
                      "watermark, index has read-only-allow-delete block];"}});
  });
  Submit(Values(10));

  ASSERT_TRUE(Until([&] { return !Failures().empty(); }));
  EXPECT_THAT(Failures()[0].status.message(), HasSubstr("disk is full"));
}

// --- Room ---------------------------------------------------------------------------------------

TEST_F(OpenSearchSinkTest, TakesNoMoreThanItCanSend) {
  engine_.SetScript([](const auto&, size_t) { return Say(503, "busy"); });
  const std::vector<std::string> large(100, "{\"n\":\"" + std::string(100'000, 'x') + "\"}");
  size_t taken = 0;
  ASSERT_TRUE(Until([&] {
    taken += Submit(large);
    return !sink_->IsReady();
  }));
  EXPECT_LT(taken, 500U) << "a few requests of 5 MiB";
  EXPECT_EQ(Submit(large), 0U);

  engine_.SetScript(nullptr);
  EXPECT_TRUE(Until([&] { return Confirmed() == static_cast<int64_t>(taken); }));
  EXPECT_TRUE(sink_->IsReady());
}

}  // namespace
}  // namespace drawbridge
