#include "relay/kafka/kafka_source.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/fake_clock.h"
#include "tests/fakes/mock_kafka.h"
#include "tests/relay/waiting.h"

namespace drawbridge {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class KafkaSourceTest : public testing::Test {
 protected:
  KafkaSourceTest() {
    kafka_.CreateTopic("audit", 2);
    source_ = *KafkaSource::Open(kafka_.cluster(), "group", {}, reaper_, Clock::System());
  }

  static Route RouteTo(PartitionNumber partition) {
    return {.key = {{1}, partition},
            .source_topic = "audit",
            .target_topic = "copy",
            .partition = partition};
  }
  void Assign(int64_t from, uint32_t fetch = 1, Slot slot = 0) {
    ASSERT_TRUE(
        source_->Assign(slot, RouteTo(static_cast<PartitionNumber>(slot)), {from}, fetch).ok());
  }
  static std::vector<RawRecord> Numbered(int count) {
    std::vector<RawRecord> records;
    for (int i = 0; i < count; ++i) records.push_back({.key = {}, .value = std::to_string(i)});
    return records;
  }

  // A source that is meant for the cluster of this id.
  void Expect(const std::string& id, const Clock& clock = Clock::System()) {
    KafkaCluster cluster = kafka_.cluster();
    cluster.expected_id = id;
    source_ = *KafkaSource::Open(cluster, "group", {}, reaper_, clock);
  }
  // Takes what comes for a while.
  void TakeFor(Duration span) {
    const BootTime end = Clock::System().Now() + span;
    TakeUntil([&] { return Clock::System().Now() >= end; });
  }

  // Takes what comes until `is_enough`.
  template <typename Enough>
  void TakeUntil(Enough is_enough) {
    EXPECT_TRUE(TurnUntil(source_->descriptors(), [&] {
      source_->Poll(1 << 20, events_);
      source_->Serve(events_);
      return is_enough();
    }));
  }
  void TakeRecords(size_t count) {
    TakeUntil([&] { return Records().size() >= count; });
  }
  template <typename Event>
  Event* Find() {
    for (SourceEvent& event : events_) {
      if (auto* found = std::get_if<Event>(&event)) return found;
    }
    return nullptr;
  }
  template <typename Event>
  Event Await() {
    TakeUntil([&] { return Find<Event>() != nullptr; });
    return *Find<Event>();
  }
  std::vector<const Record*> Records() const {
    std::vector<const Record*> records;
    for (const SourceEvent& event : events_) {
      const auto* const batch = std::get_if<Batch>(&event);
      if (batch == nullptr) continue;
      for (const Record& record : batch->records) records.push_back(&record);
    }
    return records;
  }
  std::vector<int64_t> Offsets() const {
    std::vector<int64_t> offsets;
    for (const Record* record : Records()) offsets.push_back(record->offset.value);
    return offsets;
  }

  MockKafka kafka_;
  Reaper reaper_;
  FakeClock clock_;  // for tests that need one; outlives what it is given to
  std::unique_ptr<KafkaSource> source_;
  std::vector<SourceEvent> events_;  // destroyed before the source, whose memory they hold
};

TEST_F(KafkaSourceTest, TellsNullFromEmpty) {
  kafka_.Write("audit", 0,
               {{.key = {}, .value = "v"}, {.key = "", .value = ""}, {.key = "k", .value = {}}});
  Assign(0);
  TakeRecords(3);

  const auto records = Records();

  EXPECT_EQ(records[0]->key, std::nullopt);
  EXPECT_EQ(records[0]->value, "v");
  EXPECT_EQ(records[1]->key, "");
  EXPECT_EQ(records[1]->value, "");
  EXPECT_EQ(records[2]->key, "k");
  EXPECT_EQ(records[2]->value, std::nullopt);
}

TEST_F(KafkaSourceTest, KeepsHeadersInTheirOrder) {
  kafka_.Write("audit", 0,
               {{.key = {},
                 .value = "v",
                 .headers = {{"a", "1"}, {"a", std::nullopt}, {"b", ""}, {"a", std::string(2, 0)}}},
                {.key = {}, .value = "bare"}});
  Assign(0);
  TakeRecords(2);

  const auto headers = Records()[0]->headers;

  ASSERT_EQ(headers.size(), 4);
  EXPECT_EQ(headers[0].name, "a");
  EXPECT_EQ(headers[0].value, "1");
  EXPECT_EQ(headers[1].name, "a");
  EXPECT_EQ(headers[1].value, std::nullopt);
  EXPECT_EQ(headers[2].name, "b");
  EXPECT_EQ(headers[2].value, "");
  EXPECT_EQ(headers[3].value, std::string_view("\0\0", 2));
  EXPECT_TRUE(Records()[1]->headers.empty());
}

TEST_F(KafkaSourceTest, GivesTheRecordsTime) {
  kafka_.Write("audit", 0, {{.key = {}, .value = "v", .headers = {}, .timestamp_ms = 1234567}});
  Assign(0);
  TakeRecords(1);

  EXPECT_EQ(Records()[0]->timestamp_ms, 1234567);
}

TEST_F(KafkaSourceTest, ReadsFromThePositionItIsGiven) {
  kafka_.Write("audit", 0, Numbered(5));
  Assign(3, 7);
  TakeRecords(2);

  const Batch& batch = std::get<Batch>(events_.front());

  EXPECT_THAT(Offsets(), ElementsAre(3, 4));
  EXPECT_EQ(batch.fetch, 7U);
  EXPECT_EQ(batch.from, Offset{3});
}

TEST_F(KafkaSourceTest, CoversTheOffsetsWithoutAHole) {
  kafka_.Write("audit", 0, Numbered(3));
  kafka_.Write("audit", 0, Numbered(3));
  Assign(0);
  TakeRecords(6);

  Offset covered{0};
  for (const SourceEvent& event : events_) {
    const auto* const batch = std::get_if<Batch>(&event);
    if (batch == nullptr) continue;
    EXPECT_EQ(batch->from, covered);
    covered = batch->read_to;
  }

  EXPECT_EQ(covered, Offset{6});
}

TEST_F(KafkaSourceTest, GoesBackWhenItIsAssignedAgain) {
  kafka_.Write("audit", 0, Numbered(4));
  Assign(0, 1);
  TakeRecords(4);
  events_.clear();

  Assign(1, 2);
  TakeRecords(3);

  EXPECT_THAT(Offsets(), ElementsAre(1, 2, 3));
  EXPECT_EQ(std::get<Batch>(events_.front()).fetch, 2U);
}

TEST_F(KafkaSourceTest, GivesNothingOfAPartitionThatItLeft) {
  kafka_.Write("audit", 0, Numbered(3));
  kafka_.Write("audit", 1, Numbered(2));
  Assign(0, 1, 0);
  source_->Unassign(0);
  Assign(0, 2, 1);
  TakeRecords(2);

  for (const SourceEvent& event : events_) {
    if (const auto* batch = std::get_if<Batch>(&event)) {
      EXPECT_EQ(batch->slot, 1U);
    }
  }
}

TEST_F(KafkaSourceTest, TellsTheEndOfThePartition) {
  kafka_.Write("audit", 0, Numbered(3));
  Assign(0, 5);

  const EndOfPartition end = Await<EndOfPartition>();

  EXPECT_EQ(end.at, Offset{3});
  EXPECT_EQ(end.fetch, 5U);
  EXPECT_TRUE(source_->SinceSeen(0, Clock::System().Now()));
}

TEST_F(KafkaSourceTest, TellsThatAPositionIsBehindTheEnd) {
  kafka_.Write("audit", 0, Numbered(3));
  Assign(100, 5);

  const OutOfRange out_of_range = Await<OutOfRange>();

  EXPECT_EQ(out_of_range.asked, Offset{100});
  EXPECT_EQ(out_of_range.log_start, Offset{0});
  EXPECT_EQ(out_of_range.log_end, Offset{3});
  EXPECT_EQ(out_of_range.fetch, 5U);
  EXPECT_TRUE(Records().empty());
}

TEST_F(KafkaSourceTest, TellsThatAPositionHasExpired) {
  // The mock keeps 5 MiB of a partition.
  const RawRecord large{.key = {}, .value = std::string(900'000, '.')};
  for (int i = 0; i < 8; ++i) kafka_.Write("audit", 0, {large});
  Assign(0);

  const OutOfRange out_of_range = Await<OutOfRange>();

  EXPECT_EQ(out_of_range.asked, Offset{0});
  ASSERT_TRUE(out_of_range.log_start);
  EXPECT_GT(*out_of_range.log_start, Offset{0});
}

TEST_F(KafkaSourceTest, WaitsForOneAnswerHoweverManyPartitionsAreOutOfRange) {
  constexpr Slot kPartitions = 30;
  kafka_.CreateTopic("wide", kPartitions);
  kafka_.SetRoundTrip(100);
  for (Slot slot = 0; slot < kPartitions; ++slot) {
    Route route = RouteTo(static_cast<PartitionNumber>(slot));
    route.source_topic = "wide";
    ASSERT_TRUE(source_->Assign(slot, route, {100}, 1).ok());
  }

  Duration longest{};
  std::set<Slot> told;
  EXPECT_TRUE(TurnUntil(source_->descriptors(), [&] {
    events_.clear();
    const BootTime start = Clock::System().Now();
    source_->Poll(1 << 20, events_);
    longest = std::max(longest, Clock::System().Now() - start);
    source_->Serve(events_);
    for (const SourceEvent& event : events_) {
      const auto* const astray = std::get_if<OutOfRange>(&event);
      if (astray != nullptr && astray->log_end) told.insert(astray->slot);
    }
    return told.size() == kPartitions;
  }));

  EXPECT_LT(longest, std::chrono::seconds(1)) << "each of them has two questions of 100 ms";
}

TEST_F(KafkaSourceTest, RecordsOutliveTheirPoll) {
  kafka_.Write("audit", 0, Numbered(2));
  Assign(0);
  TakeRecords(2);
  std::vector<SourceEvent> kept = std::move(events_);
  events_.clear();
  source_->Unassign(0);

  const Batch& batch = std::get<Batch>(kept.front());

  EXPECT_EQ(batch.records[0].value, "0");
  EXPECT_EQ(batch.records.back().value, "1");
}

TEST_F(KafkaSourceTest, CanBeDestroyedWhileItsRecordsAreHeld) {
  kafka_.Write("audit", 0, Numbered(2));
  Assign(0);
  TakeRecords(2);

  source_.reset();

  EXPECT_EQ(Records()[0]->value, "0");
}

TEST_F(KafkaSourceTest, SaysWhatIsWrongUntilItIsRight) {
  kafka_.SetDown();
  Assign(0);
  TakeUntil([&] { return source_->Trouble().has_value(); });
  EXPECT_EQ(source_->Trouble()->side, Side::kSource);
  EXPECT_EQ(source_->Trouble()->reason, Reason::kUnreachable);

  kafka_.SetUp();
  kafka_.Write("audit", 0, Numbered(1));
  TakeRecords(1);

  EXPECT_FALSE(source_->Trouble());
}

TEST_F(KafkaSourceTest, GoesOnWithANewClientWhenNobodyHasAnsweredForLong) {
  source_ = *KafkaSource::Open(kafka_.cluster(), "group", {}, reaper_, clock_);
  kafka_.Write("audit", 0, Numbered(2));
  Assign(0);
  TakeRecords(2);
  kafka_.SetDown();
  TakeUntil([&] {
    clock_.Advance(std::chrono::milliseconds(100));
    return source_->Trouble().has_value();
  });
  const std::vector<int> before = source_->descriptors();

  clock_.Advance(std::chrono::minutes(6));
  source_->Serve(events_);
  EXPECT_NE(source_->descriptors(), before);
  kafka_.SetUp();
  kafka_.Write("audit", 0, Numbered(1));
  TakeRecords(3);

  EXPECT_EQ(Records().back()->offset, Offset{2}) << "nothing is read twice";
}

TEST_F(KafkaSourceTest, ReportsWhatBefallsOnePartition) {
  kafka_.Write("audit", 0, Numbered(1));
  kafka_.FailNext(MockKafka::kFetch, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  Assign(0, 3);

  const SourceFault fault = Await<SourceFault>();

  EXPECT_EQ(fault.status.reason(), Reason::kAuthorizationFailed);
  EXPECT_EQ(fault.fetch, 3U);
  EXPECT_FALSE(fault.halts);
}

// --- The right cluster --------------------------------------------------------------------------

TEST_F(KafkaSourceTest, ReadsTheClusterThatItIsMeantFor) {
  kafka_.Write("audit", 0, Numbered(3));
  Expect(kafka_.id());
  Assign(0);

  TakeRecords(3);

  EXPECT_EQ(source_->Trouble(), std::nullopt);
}

TEST_F(KafkaSourceTest, ReadsNothingFromAnotherCluster) {
  kafka_.Write("audit", 0, Numbered(3));
  Expect("the-one-before");
  Assign(0);
  Assign(500, 1, 1);  // what it says of its log would count as a truncation

  TakeUntil([&] { return source_->Trouble().has_value(); });
  TakeFor(std::chrono::milliseconds(600));

  EXPECT_THAT(events_, IsEmpty());
  ASSERT_TRUE(source_->Trouble());
  const Condition trouble = *source_->Trouble();
  EXPECT_EQ(trouble.side, Side::kSource);
  EXPECT_EQ(trouble.reason, Reason::kSourceChanged);
  EXPECT_TRUE(trouble.blocks);
  EXPECT_EQ(trouble.text,
            "mock: cluster " + kafka_.id() +
                " answers where cluster the-one-before was before, and nothing is read from it: "
                "correct the endpoint's addresses, or make another endpoint for the new cluster");
}

TEST_F(KafkaSourceTest, SaysThatAnotherClusterAnswersAlsoWhileNoRecordsAreWanted) {
  Expect("the-one-before");
  Assign(0);

  EXPECT_TRUE(TurnUntil(source_->descriptors(), [&] {
    source_->Serve(events_);
    return source_->Trouble().has_value();
  }));
}

TEST_F(KafkaSourceTest, KnowsNothingOfALogInAnotherCluster) {
  kafka_.Write("audit", 0, Numbered(3));
  Expect("the-one-before");
  Assign(0);
  TakeUntil([&] { return source_->Trouble().has_value(); });

  TakeFor(std::chrono::seconds(6));  // some statistics

  EXPECT_EQ(source_->SinceSeen(0, Clock::System().Now()), std::nullopt);
  EXPECT_EQ(source_->View(0).end, std::nullopt);
}

TEST_F(KafkaSourceTest, TriesAnotherClientWhereAnotherClusterAnswered) {
  Expect("the-one-before", clock_);
  Assign(0);
  TakeUntil([&] { return source_->Trouble().has_value(); });

  clock_.Advance(std::chrono::seconds(31));
  source_->Serve(events_);

  EXPECT_EQ(source_->Trouble(), std::nullopt) << "the new client has not looked yet";
  TakeUntil([&] { return source_->Trouble().has_value(); });
  EXPECT_THAT(events_, IsEmpty());
}

}  // namespace
}  // namespace drawbridge
