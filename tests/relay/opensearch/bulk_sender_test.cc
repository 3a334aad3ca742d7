#include "relay/opensearch/bulk_sender.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <set>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <poll.h>

#include "relay/opensearch/bulk_request.h"
#include "tests/fakes/fake_clock.h"
#include "tests/relay/opensearch/scripted_engine.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using testing::UnorderedElementsAre;

constexpr const char* kIndex = "logs";

EngineReply Say(int status, std::string body = {}) {
  return {.status = status, .body = std::move(body), .headers = {}, .hangs_up = false};
}

// Whether the request has the document of record `n`.
bool Has(const EngineRequest& request, int64_t n) {
  return request.body.find(fmt::format("{{\"n\":{}}}\n", n)) != std::string::npos;
}

// Owns records that are known by their offsets, and writes down what it is told of them.
class FakeOwner final : public BulkOwner {
 public:
  void Frame(Bulk& bulk, std::string& body, BootTime /*now*/) override {
    std::vector<Pending> left_out;
    ExtractIf(
        bulk.entries,
        [&](const Pending& entry) { return unwanted.contains(entry.record.offset.value); },
        left_out);
    for (const Pending& entry : bulk.entries) {
      AppendCreate(entry.to->IndexOf(entry.record),
                   DocumentId(entry.to->route, entry.record.offset), body);
      body += fmt::format("{{\"n\":{}}}\n", entry.record.offset.value);
    }
    if (!bulk.entries.empty()) Tell("sends", bulk.entries);
  }
  bool TakeItems(Bulk bulk, const std::vector<BulkItem>& items, BootTime /*now*/) override {
    bool has_passed = false;
    for (size_t i = 0; i < items.size(); ++i) {
      const Pending& entry = bulk.entries.at(i);
      Tell(fmt::format("{} for", items[i].error.status), {&entry, 1});
      if (items[i].error.status != 201) continue;
      passed.insert(entry.record.offset.value);
      has_passed = true;
    }
    return has_passed;
  }
  void TakeFound(std::vector<Pending> entries) override { Tell("found", entries); }
  void TakeRefused(Pending entry, const EngineError& error, BootTime /*now*/) override {
    Tell(fmt::format("refused with {}", error.status), {&entry, 1});
  }
  void TakeFailed(Pending entry, const Status& why, BootTime /*now*/) override {
    Tell(fmt::format("failed for {}", Name(why.reason())), {&entry, 1});
  }

  std::set<int64_t> unwanted;     // what no engine must get
  std::set<int64_t> passed;       // what an engine has made
  std::vector<std::string> told;  // "sends 0 1", "201 for 0"

 private:
  void Tell(const std::string& what, std::span<const Pending> entries) {
    std::vector<int64_t> numbers;
    for (const Pending& entry : entries) numbers.push_back(entry.record.offset.value);
    told.push_back(fmt::format("{} {}", what, fmt::join(numbers, " ")));
  }
};

class BulkSenderTest : public testing::Test {
 protected:
  BulkSenderTest() { Open({engine_.address()}); }

  void Open(std::vector<std::string> addresses, std::string cluster_id = {}) {
    OpenSearchEndpoint endpoint;
    endpoint.addresses = std::move(addresses);
    auto sender = BulkSender::Open(
        {.endpoint = {.name = "search", .cluster = endpoint}, .secret = std::nullopt},
        {.bridge = "logs", .relay = "relay-1", .cluster_id = std::move(cluster_id)}, owner_,
        trouble_, clock_);
    ASSERT_TRUE(sender.ok());
    sender_ = *std::move(sender);
  }

  Pending Entry(int64_t n, Slot slot = 0) const {
    Pending entry;
    entry.slot = slot;
    entry.to = to_;
    entry.record.offset = Offset{n};
    return entry;
  }
  void Add(int64_t from, int64_t to) {
    for (int64_t n = from; n < to; ++n) sender_->Add(Entry(n), clock_.Now());
  }

  // As a sink's Poll; then time passes.
  void Turn(Duration by) {
    sender_->TakeAnswers(clock_.Now());
    sender_->SendDue(clock_.Now());
    clock_.Advance(by);
  }
  // Lets the sender work until it holds.
  template <typename Condition>
  bool Until(Condition holds, Duration turn = 20ms) {
    const auto deadline = std::chrono::steady_clock::now() + 2min;
    while (std::chrono::steady_clock::now() < deadline) {
      Turn(turn);
      if (holds()) return true;
      pollfd descriptors[2] = {{.fd = sender_->descriptors()[0], .events = POLLIN, .revents = 0},
                               {.fd = sender_->descriptors()[1], .events = POLLIN, .revents = 0}};
      poll(descriptors, 2, 1);
    }
    return false;
  }
  // Record 0 passes, and its connection ends; then the address leads to another cluster, unless it
  // is the one that is meant, and record 1 is added.
  void MoveAfterTheFirst(std::atomic<bool>& is_meant, std::function<EngineReply()> elsewhere) {
    engine_.SetScript([this, &is_meant, elsewhere](const EngineRequest& request, size_t) {
      if (request.documents.empty()) {
        return Say(200, is_meant ? R"({"cluster_uuid":"meant"})" : R"({"cluster_uuid":"other"})");
      }
      if (!is_meant) return elsewhere();
      EngineReply stored = engine_.Store(request);
      stored.headers = "Connection: close\r\n";
      return stored;
    });
    Open({engine_.address()}, "meant");
    Add(0, 1);
    ASSERT_TRUE(Until([&] { return owner_.passed.contains(0) && sender_->is_idle(); }, 0ms));
    is_meant = false;
    Add(1, 2);
  }
  // What the owner was told that begins so.
  std::vector<std::string> Told(const std::string& what) const {
    std::vector<std::string> told;
    for (const std::string& one : owner_.told) {
      if (one.starts_with(what)) told.push_back(one);
    }
    return told;
  }

  const std::shared_ptr<const Destination> to_ =
      std::make_shared<const Destination>(Destination{{}, *IndexTemplate::Create(kIndex)});
  ScriptedEngine engine_;
  FakeClock clock_;
  EngineTrouble trouble_{"search"};
  FakeOwner owner_;
  std::unique_ptr<BulkSender> sender_;
};

TEST_F(BulkSenderTest, HandsOverTheOutcomesOfARequestThatWasCarriedOut) {
  engine_.SetScript([](const EngineRequest&, size_t) {
    json items = json::array();
    for (const int status : {201, 429, 400}) items.push_back({{"create", {{"status", status}}}});
    return Say(200, json{{"items", items}}.dump());
  });
  Add(0, 3);

  ASSERT_TRUE(Until([&] { return sender_->is_idle(); }));

  EXPECT_THAT(owner_.told, ElementsAre("sends 0 1 2", "201 for 0", "429 for 1", "400 for 2"));
}

TEST_F(BulkSenderTest, SendsNothingOfARequestWhoseEntriesTheOwnerTookOut) {
  owner_.unwanted = {0, 1};
  Add(0, 2);

  Turn(1s);
  EXPECT_TRUE(sender_->is_idle());

  Add(2, 3);
  ASSERT_TRUE(Until([&] { return owner_.passed.contains(2); }));
  EXPECT_THAT(engine_.requests(), SizeIs(1));
}

TEST_F(BulkSenderTest, MakesNoRoomWhileARequestWaitsToBeSentAgain) {
  engine_.SetScript([&](const EngineRequest& request, size_t number) {
    return number == 0 ? Say(429) : engine_.Store(request);
  });
  Add(0, 1);
  ASSERT_TRUE(Until([&] { return engine_.requests().size() == 1 && sender_->is_idle(); }, 0ms));

  Add(1, 1 + static_cast<int64_t>(BulkQueue::kDocumentsMost));

  EXPECT_FALSE(sender_->IsReady());
  EXPECT_FALSE(sender_->MakeRoom(clock_.Now()));
  ASSERT_TRUE(Until([&] { return owner_.passed.contains(0); }));
  EXPECT_TRUE(sender_->MakeRoom(clock_.Now()));
}

TEST_F(BulkSenderTest, ExtractsWhatWaitsButNotWhatIsOnItsWay) {
  std::promise<void> answers;
  const std::shared_future<void> answered = answers.get_future().share();
  engine_.SetScript([this, answered](const EngineRequest& request, size_t) {
    answered.wait();
    return engine_.Store(request);
  });
  Add(0, 2);
  Turn(0s);
  Add(2, 3);
  sender_->AddDead(Entry(3));
  sender_->AddDead(Entry(4, 1));

  const std::vector<Pending> extracted =
      sender_->Extract([](const Pending& entry) { return entry.slot == 0; });

  answers.set_value();
  ASSERT_TRUE(Until([&] { return owner_.passed.contains(4); }));
  EXPECT_THAT(extracted, SizeIs(2));
  EXPECT_THAT(owner_.passed, ElementsAre(0, 1, 4));
}

// --- Before it is sent --------------------------------------------------------------------------

TEST_F(BulkSenderTest, AsksWhichClusterIsThereBeforeTheFirstRecord) {
  engine_.SetScript([&](const EngineRequest& request, size_t number) {
    return number == 0 ? Say(200, R"({"cluster_uuid":"meant"})") : engine_.Store(request);
  });
  Open({engine_.address()}, "meant");
  for (int64_t n = 0; n < 2; ++n) {
    Add(n, n + 1);
    ASSERT_TRUE(Until([&] { return owner_.passed.contains(n); }));
  }

  const std::vector<EngineRequest> requests = engine_.requests();
  ASSERT_THAT(requests, SizeIs(3));
  EXPECT_EQ(requests[0].path, "/?filter_path=cluster_uuid");
  EXPECT_TRUE(Has(requests[1], 0));
  EXPECT_TRUE(Has(requests[2], 1));
}

TEST_F(BulkSenderTest, SendsNoRecordToAnotherCluster) {
  engine_.SetScript(
      [](const EngineRequest&, size_t) { return Say(200, R"({"cluster_uuid":"other"})"); });
  Open({engine_.address()}, "meant");
  Add(0, 2);

  ASSERT_TRUE(Until([&] { return engine_.requests().size() == 5; }, 200ms));

  for (const EngineRequest& request : engine_.requests()) EXPECT_THAT(request.documents, IsEmpty());
  EXPECT_THAT(owner_.told, IsEmpty());
  const std::optional<Condition> trouble = trouble_.At(clock_.Now());
  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->reason, Reason::kSourceChanged);
  EXPECT_TRUE(trouble->blocks);
}

TEST_F(BulkSenderTest, BelievesNoAnswerOverANewConnectionBeforeItKnowsWhoGaveIt) {
  std::atomic<bool> is_meant = true;
  MoveAfterTheFirst(is_meant, [] { return Say(200, R"({"items":[{"create":{"status":201}}]})"); });

  ASSERT_TRUE(Until([&] { return trouble_.At(clock_.Now()).has_value(); }, 0ms));

  EXPECT_EQ(trouble_.At(clock_.Now())->reason, Reason::kSourceChanged);
  EXPECT_THAT(owner_.passed, ElementsAre(0));
  is_meant = true;
  ASSERT_TRUE(Until([&] { return owner_.passed.contains(1); }, 200ms));
  EXPECT_THAT(engine_.stored(kIndex), SizeIs(2));
}

TEST_F(BulkSenderTest, AsksAlsoWhoHasRefusedARequestOverANewConnection) {
  std::atomic<bool> is_meant = true;
  std::atomic<int> bulks_elsewhere = 0;
  MoveAfterTheFirst(is_meant, [&] {
    ++bulks_elsewhere;
    return bulks_elsewhere == 1 ? Say(429) : Say(200, R"({"items":[{"create":{"status":201}}]})");
  });

  const BootTime since = clock_.Now();
  ASSERT_TRUE(Until([&] { return clock_.Now() - since > 50s; }, 200ms));

  EXPECT_THAT(owner_.passed, ElementsAre(0)) << "nothing is sent once more before it is known";
  EXPECT_EQ(bulks_elsewhere, 1);
}

TEST_F(BulkSenderTest, BelievesAnAnswerOverANewConnectionOnceItsClusterIsKnown) {
  std::atomic<int> questions = 0;
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    if (request.documents.empty()) {
      ++questions;
      return Say(200, R"({"cluster_uuid":"meant"})");
    }
    EngineReply stored = engine_.Store(request);
    if (Has(request, 0)) stored.headers = "Connection: close\r\n";
    return stored;
  });
  Open({engine_.address()}, "meant");
  for (int64_t n = 0; n < 4; ++n) {
    Add(n, n + 1);
    ASSERT_TRUE(Until([&] { return owner_.passed.contains(n) && sender_->is_idle(); }, 0ms));
  }

  EXPECT_EQ(questions, 2) << "at first, and for the connection that took the place of the closed";
  EXPECT_THAT(Told("sends"), ElementsAre("sends 0", "sends 1", "sends 2", "sends 3"));
}

TEST_F(BulkSenderTest, HandsOverWhatIsFoundBeforeItSendsTheRest) {
  engine_.RollOver(kIndex, "first");
  Add(0, 2);
  ASSERT_TRUE(Until([&] { return sender_->is_idle(); }));
  engine_.RollOver(kIndex, "second");
  owner_.told.clear();

  for (int64_t n = 0; n < 4; ++n) {
    Pending entry = Entry(n);
    entry.may_be_there = true;
    sender_->Add(std::move(entry), clock_.Now());
  }
  ASSERT_TRUE(Until([&] { return sender_->is_idle(); }));

  EXPECT_THAT(owner_.told, ElementsAre("found 0 1", "sends 2 3", "201 for 2", "201 for 3"));
  EXPECT_THAT(engine_.stored("second"), SizeIs(2));
}

TEST_F(BulkSenderTest, LetsOthersGoAheadOfWhatMayBeInAClosedIndex) {
  const auto others =
      std::make_shared<const Destination>(Destination{{}, *IndexTemplate::Create("others")});
  for (const char* name : {kIndex, "others"}) {
    engine_.RollOver(name, fmt::format("{}-1", name));
    engine_.RollOver(name, fmt::format("{}-2", name));
  }
  engine_.SetClosed("others-1", true);
  for (int64_t n = 0; n < 5; ++n) {
    Pending entry = Entry(n);
    entry.may_be_there = true;
    if (n == 1 || n == 2) entry.to = others;
    sender_->Add(std::move(entry), clock_.Now());
  }

  ASSERT_TRUE(Until([&] { return owner_.passed.size() == 3; }));
  const BootTime since = clock_.Now();
  ASSERT_TRUE(Until([&] { return clock_.Now() - since > 5s; }));

  EXPECT_THAT(owner_.passed, ElementsAre(0, 3, 4));
  engine_.SetClosed("others-1", false);
  EXPECT_TRUE(Until([&] { return owner_.passed.size() == 5; }, 100ms));
}

TEST_F(BulkSenderTest, GoesToAnotherAddressFromOneThatDoesNotAnswer) {
  ScriptedEngine away;
  away.SetScript([](const EngineRequest&, size_t) {
    return EngineReply{.status = 0, .body = {}, .headers = {}, .hangs_up = true};
  });
  Open({away.address(), engine_.address()});
  Add(0, 1);
  ASSERT_TRUE(Until([&] { return away.requests().size() == 1 && sender_->is_idle(); }, 0ms));

  for (const Slot slot : {1U, 2U, 3U}) sender_->AddProbe(Entry(slot, slot), clock_.Now());
  ASSERT_TRUE(Until([&] { return owner_.passed.size() == 3; }, 0ms));

  EXPECT_THAT(away.requests(), SizeIs(1)) << "it is left alone";
  EXPECT_TRUE(Until([&] { return owner_.passed.contains(0); }));
}

TEST_F(BulkSenderTest, LetsNobodyWaitForARequestOfWhichNothingIsHeard) {
  std::promise<void> answers;
  const std::shared_future<void> answered = answers.get_future().share();
  engine_.SetScript([this, answered](const EngineRequest& request, size_t) {
    if (Has(request, 0)) answered.wait();
    return engine_.Store(request);
  });
  Add(0, 1);
  ASSERT_TRUE(Until([&] { return engine_.requests().size() == 1; }, 0ms));
  Add(1, 2);
  for (int turns = 0; turns < 9; ++turns) Turn(1s);
  EXPECT_THAT(Told("sends"), SizeIs(1)) << "it may only be slow";

  ASSERT_TRUE(Until([&] { return owner_.passed.contains(1); }, 500ms));

  answers.set_value();
  EXPECT_TRUE(Until([&] { return owner_.passed.contains(0); }));
  EXPECT_THAT(Told("sends"), SizeIs(2)) << "it is not sent again";
}

TEST_F(BulkSenderTest, SaysWhichAddressIsSilentThoughAnotherAnswersAndLeavesItAlone) {
  std::promise<void> answers;
  const std::shared_future<void> answered = answers.get_future().share();
  ScriptedEngine silent;
  silent.SetScript([this, answered](const EngineRequest& request, size_t) {
    answered.wait();
    return engine_.Store(request);
  });
  Open({silent.address(), engine_.address()});
  Add(0, 1);
  ASSERT_TRUE(Until([&] { return silent.requests().size() == 1; }, 0ms));

  for (int64_t n = 1; n < 20; ++n) {
    Add(n, n + 1);
    ASSERT_TRUE(Until([&] { return owner_.passed.contains(n); }, 100ms));
  }

  EXPECT_THAT(silent.requests(), SizeIs(1));
  const std::optional<AddressRing::Away> away = sender_->LongestAway(clock_.Now());
  ASSERT_TRUE(away);
  EXPECT_THAT(away->why.message(), StartsWith(silent.address() + ": no answer to a request"));
  answers.set_value();
  ASSERT_TRUE(Until([&] { return owner_.passed.contains(0); }));
  EXPECT_FALSE(sender_->LongestAway(clock_.Now()));
}

// --- Who is at fault ----------------------------------------------------------------------------

TEST_F(BulkSenderTest, HalvesABadRequestUntilOneIsAloneAndHandsItOver) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    return Has(request, 5) ? Say(400) : engine_.Store(request);
  });
  Add(0, 8);

  ASSERT_TRUE(Until([&] { return owner_.passed.size() == 7 && sender_->is_idle(); }));

  EXPECT_THAT(Told("refused"), ElementsAre("refused with 400 5"));
  EXPECT_THAT(Told("sends"),
              UnorderedElementsAre("sends 0 1 2 3 4 5 6 7", "sends 0 1 2 3", "sends 4 5 6 7",
                                   "sends 4 5", "sends 6 7", "sends 4", "sends 5"));
}

TEST_F(BulkSenderTest, HandsOverARecordForWhichARequestFailsWhileOthersPass) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    return Has(request, 0) ? Say(503) : engine_.Store(request);
  });
  const BootTime since = clock_.Now();
  sender_->AddProbe(Entry(0, 1), since);
  int64_t last = 0;

  ASSERT_TRUE(Until(
      [&] {
        if (std::cmp_equal(owner_.passed.size(), last)) {
          ++last;
          Add(last, last + 1);
        }
        return !Told("failed").empty();
      },
      100ms));

  EXPECT_THAT(Told("failed"), ElementsAre("failed for BROKER_ERROR 0"));
  EXPECT_GT(clock_.Now() - since, 10s) << "it may have passed";
  EXPECT_GT(last, 1) << "others did not wait for it";
}

TEST_F(BulkSenderTest, HandsOverNoRecordThatFailsByChanceWhileItsNeighbourIsLookedFor) {
  std::set<int64_t> has_failed;
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    if (Has(request, 5)) return Say(503);
    for (const int64_t n : {4, 6}) {
      if (request.documents.size() == 1 && Has(request, n) && has_failed.insert(n).second) {
        return Say(503);
      }
    }
    return engine_.Store(request);
  });
  for (int64_t n = 0; n < 8; ++n) sender_->AddProbe(Entry(n, 1), clock_.Now());
  int64_t last = 7;

  ASSERT_TRUE(Until(
      [&] {
        if (owner_.passed.contains(last) || last == 7) {
          ++last;
          Add(last, last + 1);
        }
        return !Told("failed").empty() && owner_.passed.contains(4);
      },
      100ms));

  EXPECT_THAT(has_failed, Contains(4));
  EXPECT_THAT(Told("failed"), ElementsAre("failed for BROKER_ERROR 5"));
}

TEST_F(BulkSenderTest, HandsNothingOverWhileNobodyPasses) {
  engine_.SetScript([](const EngineRequest&, size_t) { return Say(503); });
  Add(0, 4);
  const BootTime since = clock_.Now();

  ASSERT_TRUE(Until([&] { return clock_.Now() - since > 1min; }, 200ms));

  EXPECT_THAT(Told("failed"), IsEmpty());
  engine_.SetScript(nullptr);
  EXPECT_TRUE(Until([&] { return owner_.passed.size() == 4; }, 200ms));
}

TEST_F(BulkSenderTest, TriesHalvesWhereThereIsNoOther) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    return Has(request, 5) ? Say(503) : engine_.Store(request);
  });
  Add(0, 8);
  const BootTime since = clock_.Now();

  ASSERT_TRUE(Until([&] { return !Told("sends 4").empty(); }, 100ms));

  EXPECT_GT(clock_.Now() - since, 10s) << "it may have been the engine";
  ASSERT_TRUE(Until([&] { return owner_.passed.size() == 7 && !Told("failed").empty(); }, 100ms));

  EXPECT_THAT(owner_.told, Contains("sends 0 1 2 3"));
  EXPECT_THAT(Told("failed"), ElementsAre("failed for BROKER_ERROR 5"));
}

TEST_F(BulkSenderTest, TriesOneNowAndThenWhileAllAreBlockedAndGoesOnByItself) {
  std::promise<void> answers;
  const std::shared_future<void> answered = answers.get_future().share();
  engine_.SetScript([this, answered](const EngineRequest& request, size_t number) {
    if (number == 0) return Say(403);
    answered.wait();
    return engine_.Store(request);
  });
  for (const Slot slot : {0U, 1U, 2U}) sender_->AddProbe(Entry(slot, slot), clock_.Now());
  ASSERT_TRUE(Until([&] { return trouble_.At(clock_.Now()).has_value(); }, 0ms));
  EXPECT_TRUE(trouble_.At(clock_.Now())->blocks);
  Add(3, 6);

  Turn(0s);
  EXPECT_TRUE(sender_->is_idle()) << "it is not tried at once";
  clock_.Advance(2s);
  ASSERT_TRUE(Until([&] { return engine_.requests().size() == 2; }));
  for (int turns = 0; turns < 9; ++turns) Turn(1s);
  EXPECT_THAT(Told("sends"), SizeIs(2)) << "one at a time";

  answers.set_value();
  EXPECT_TRUE(Until([&] { return owner_.passed.size() == 6; }));
  EXPECT_EQ(trouble_.At(clock_.Now()), std::nullopt);
}

TEST_F(BulkSenderTest, GivesOthersTheirTurnWhileAProbeBlocksAll) {
  engine_.SetScript([&](const EngineRequest& request, size_t) {
    return Has(request, 0) ? Say(403) : engine_.Store(request);
  });
  sender_->AddProbe(Entry(0, 1), clock_.Now());
  ASSERT_TRUE(Until([&] { return trouble_.At(clock_.Now()).has_value(); }));

  Add(1, 2);

  EXPECT_TRUE(Until([&] { return owner_.passed.contains(1); }, 100ms));
}

}  // namespace
}  // namespace drawbridge
