#include "relay/letters/topic_letter_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_source.h"
#include "tests/relay/letters/log_sink.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class TopicLetterStoreTest : public testing::Test {
 protected:
  TopicLetterStoreTest() { Open(); }

  // As each query does anew.
  void Open(size_t known_most = TopicLetterStore::kKnownMost) {
    auto source = std::make_unique<FakeSource>(logs_, clock_);
    source_ = source.get();
    auto sink = std::make_unique<LogSink>(log());
    sink_ = sink.get();
    store_ = std::make_unique<TopicLetterStore>(std::move(source),
                                                *TopicLetterSink::Open(std::move(sink), "letters"),
                                                "logs", clock_, known_most);
  }

  // The topic, as the store reads it.
  FakeLog& log() { return logs_[PartitionKey{}]; }

  // A letter, as a lane's sink writes it.
  void Refuse(int64_t offset, const std::string& error = "e", const std::string& bridge = "logs",
              const std::string& topic = "audit") {
    const std::string value = fmt::format("value {}", offset);
    Route route;
    route.source_topic = topic;
    Record record;
    record.offset = {offset};
    record.timestamp_ms = 1'000 + offset;
    record.value = value;
    const auto writer = *TopicLetterSink::Open(std::make_unique<LogSink>(log()), "letters");
    ASSERT_TRUE(writer->Submit(record, route, {.status = 400, .group = error},
                               {.bridge = bridge, .index = "index"}));
  }

  FoundLetters Find(const DeadLetterSelection& selection = {}, const std::string& turn = {},
                    LetterOrder order = LetterOrder::kRefusedFirst, int limit = 100) {
    auto found = store_->Find(selection, turn, order, limit, Soon());
    EXPECT_TRUE(found.ok()) << found.status().ToString();
    return found.ok() ? *std::move(found) : FoundLetters{};
  }
  static std::vector<int64_t> OffsetsOf(const FoundLetters& found) {
    std::vector<int64_t> offsets;
    for (const Letter& letter : found.letters) offsets.push_back(letter.kept.offset.value);
    return offsets;
  }

  BootTime Soon() const { return clock_.Now() + 10s; }

  FakeClock clock_;
  FakeLogs logs_;
  FakeSource* source_ = nullptr;
  LogSink* sink_ = nullptr;
  std::unique_ptr<TopicLetterStore> store_;
};

TEST_F(TopicLetterStoreTest, FindsLettersInTheOrderOfTheirRefusal) {
  for (const int64_t offset : {3, 1, 2}) Refuse(offset);

  EXPECT_THAT(OffsetsOf(Find()), ElementsAre(3, 1, 2));
  const FoundLetters last = Find({}, {}, LetterOrder::kRefusedLast, 2);
  EXPECT_THAT(OffsetsOf(last), ElementsAre(2, 1));
  EXPECT_EQ(last.total, 3);
  EXPECT_EQ(last.letters[0].kept.value, "value 2");
}

TEST_F(TopicLetterStoreTest, IsEmptyWhereNothingWasRefused) { EXPECT_EQ(Find().total, 0); }

TEST_F(TopicLetterStoreTest, FindsOnlyWhatIsSelected) {
  Refuse(1, "e", "logs", "audit");
  Refuse(2, "other", "logs", "audit");
  Refuse(3, "e", "logs", "vcn");
  Refuse(4, "e", "another-bridge", "audit");
  log().Append({.key = std::nullopt, .value = "no letter", .headers = {}});

  EXPECT_THAT(OffsetsOf(Find({.topic = "audit", .error = "e"})), ElementsAre(1));
  Open();
  EXPECT_THAT(OffsetsOf(Find({.topic = "vcn", .error = {}})), ElementsAre(3));
  Open();
  EXPECT_THAT(OffsetsOf(Find()), ElementsAre(1, 2, 3));
}

TEST_F(TopicLetterStoreTest, CountsARecordOnceThatWasRefusedTwice) {
  Refuse(1);
  Refuse(2);
  Refuse(1);

  EXPECT_THAT(OffsetsOf(Find()), ElementsAre(2, 1));
}

TEST_F(TopicLetterStoreTest, FindsWhatRetentionHasLeft) {
  for (int64_t offset = 0; offset < 5; ++offset) Refuse(offset);
  log().Expire({3});

  EXPECT_THAT(OffsetsOf(Find()), ElementsAre(3, 4));
}

TEST_F(TopicLetterStoreTest, ReadsNoMoreAtOnceThanMemoryAllows) {
  for (int64_t offset = 0; offset < 3; ++offset) Refuse(offset);
  FakeRecord large = *log().records().at({1});
  large.value = std::string(LetterStore::kBytesMost, 'x');
  log().Replace({1}, large);

  EXPECT_THAT(OffsetsOf(Find()), ElementsAre(0));
}

TEST_F(TopicLetterStoreTest, TakesOutWhatTheTargetHas) {
  for (int64_t offset = 0; offset < 3; ++offset) Refuse(offset);
  FoundLetters found = Find();

  const FiledLetters filed =
      store_->File({.taken = {found.letters[0], found.letters[2]}, .refused = {}}, "t", Soon());

  EXPECT_TRUE(filed.status.ok()) << filed.status.ToString();
  EXPECT_THAT(filed.taken, ElementsAre(0, 1));
  EXPECT_THAT(OffsetsOf(Find()), ElementsAre(1)) << "in this query";
  Open();
  EXPECT_THAT(OffsetsOf(Find()), ElementsAre(1)) << "and in the next";
}

TEST_F(TopicLetterStoreTest, KeepsWhatIsRefusedAgainWithTheReasonOfToday) {
  Refuse(0);
  Refuse(1);
  FoundLetters found = Find();
  Letter again = found.letters[0];
  again.kept.refusal.reason = "still no";
  again.kept.attempts = 2;

  const FiledLetters filed = store_->File({.taken = {}, .refused = {again}}, "turn-1", Soon());

  EXPECT_EQ(filed.refused, 1);
  EXPECT_THAT(OffsetsOf(Find({}, "turn-1")), ElementsAre(1)) << "not tried twice in one turn";
  Open();
  EXPECT_THAT(OffsetsOf(Find({}, "turn-1")), ElementsAre(1)) << "also by the next call";
  Open();
  const FoundLetters later = Find({}, "turn-2");
  EXPECT_THAT(OffsetsOf(later), ElementsAre(1, 0));
  EXPECT_EQ(later.letters[1].kept.refusal.reason, "still no");
  EXPECT_EQ(later.letters[1].kept.attempts, 2);
  EXPECT_EQ(later.letters[1].kept.value, "value 0");
  EXPECT_EQ(later.letters[1].kept.refusal.group, "e") << "it is counted under this";
}

TEST_F(TopicLetterStoreTest, FilesMoreThanTheTopicTakesAtOnce) {
  for (int64_t offset = 0; offset < 50; ++offset) Refuse(offset);
  sink_->SetCapacity(7);
  FoundLetters found = Find();

  const FiledLetters filed = store_->File({.taken = found.letters, .refused = {}}, "t", Soon());

  EXPECT_THAT(filed.taken, SizeIs(50));
  EXPECT_EQ(Find().total, 0);
}

TEST_F(TopicLetterStoreTest, CountsNothingThatTheTopicDoesNotTake) {
  Refuse(0);
  FoundLetters found = Find();
  sink_->Refuse(Disposition::kBlock,
                {StatusCode::kPermissionDenied, Reason::kAuthorizationFailed, "grant WRITE"});

  const FiledLetters filed = store_->File({.taken = found.letters, .refused = {}}, "t", Soon());

  EXPECT_THAT(filed.taken, IsEmpty());
  EXPECT_EQ(filed.status.message(), "grant WRITE");
  EXPECT_THAT(OffsetsOf(Find()), ElementsAre(0));
}

TEST_F(TopicLetterStoreTest, DoesNotWaitForEver) {
  Refuse(0);
  FoundLetters found = Find();
  sink_->FallSilent();
  EXPECT_THAT(
      store_->File({.taken = found.letters, .refused = {}}, "t", clock_.Now()).status.message(),
      HasSubstr("in time"));

  Open();
  source_->FailNextAssign({StatusCode::kUnavailable, Reason::kUnreachable, "no client"});
  EXPECT_EQ(store_->Find({}, {}, LetterOrder::kRefusedFirst, 1, clock_.Now()).status().message(),
            "no client");
}

TEST_F(TopicLetterStoreTest, FindsWhereTheTopicBeginsThoughItIsNotToldAtOnce) {
  for (int64_t offset = 0; offset < 5; ++offset) Refuse(offset);
  log().Expire({3});
  source_->ForgetWatermarks();

  EXPECT_THAT(OffsetsOf(Find()), ElementsAre(3, 4));
}

TEST_F(TopicLetterStoreTest, GoesOnInTheNextCallWhereATurnHasComeTo) {
  for (int64_t offset = 0; offset < 6; ++offset) Refuse(offset);
  FoundLetters found = Find({}, "turn", LetterOrder::kRefusedFirst, 4);
  store_->File({.taken = {found.letters[0], found.letters[1], found.letters[2]},
                .refused = {found.letters[3]}},
               "turn", Soon());
  const std::string turn = store_->Continue("turn");
  EXPECT_EQ(turn, "turn@4");

  Open();
  EXPECT_THAT(OffsetsOf(Find({}, turn)), ElementsAre(4, 5));
  EXPECT_EQ(source_->assigned_at(PartitionKey{}), Offset{4}) << "and reads nothing before";
  store_->File({.taken = Find({}, turn).letters}, turn, Soon());
  EXPECT_EQ(Find({}, turn).total, 0);
  EXPECT_EQ(store_->Continue(turn), turn);
}

TEST_F(TopicLetterStoreTest, ComesToThoseThatItCouldNotHoldWhenTheOthersAreDone) {
  for (int64_t offset = 0; offset < 10; ++offset) Refuse(offset);
  Open(4);
  std::vector<int64_t> settled;
  for (int round = 0; round < 10; ++round) {
    const FoundLetters found = Find({}, "turn");
    if (found.total == 0) break;
    for (const int64_t offset : OffsetsOf(found)) settled.push_back(offset);
    store_->File({.taken = found.letters}, "turn", Soon());
  }
  EXPECT_THAT(settled, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));

  Open(4);
  EXPECT_EQ(Find().total, 0) << "nor is one left for another call";
}

TEST_F(TopicLetterStoreTest, HoldsABoundedNumberAndTellsOfTheOthers) {
  for (int64_t offset = 0; offset < 10; ++offset) Refuse(offset);

  Open(4);
  FoundLetters first = Find();
  EXPECT_THAT(OffsetsOf(first), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(first.total, 10);
  Open(4);
  EXPECT_THAT(OffsetsOf(Find({}, {}, LetterOrder::kRefusedLast)), ElementsAre(9, 8, 7, 6));
}

}  // namespace
}  // namespace drawbridge
