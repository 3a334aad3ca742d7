#include "relay/kafka/kafka_sink.h"

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/provenance.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/mock_kafka.h"
#include "tests/relay/waiting.h"

namespace drawbridge {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr ClusterKey kSourceCluster = 0x1122334455667788;

class KafkaSinkTest : public testing::Test {
 protected:
  KafkaSinkTest() {
    kafka_.CreateTopic("copy", 2);
    OpenSink(Profile::kKafka);
  }

  void OpenSink(Profile profile) {
    sink_.reset();
    sink_ =
        *KafkaSink::Open(kafka_.cluster(profile), Compression::kNone, {}, reaper_, Clock::System());
    OpenSlot(0, true);
  }
  void OpenSlot(Slot slot, bool stamps_provenance) {
    ASSERT_TRUE(sink_
                    ->Open(slot, {.key = {{1}, static_cast<PartitionNumber>(slot)},
                                  .source_topic = "audit",
                                  .target_topic = "copy",
                                  .partition = static_cast<PartitionNumber>(slot),
                                  .source_epoch = 3,
                                  .source_cluster = kSourceCluster,
                                  .stamps_provenance = stamps_provenance})
                    .ok());
  }

  // A sink that is meant for the cluster of this id.
  void Expect(const std::string& id, const Clock& clock = Clock::System()) {
    KafkaCluster cluster = kafka_.cluster();
    cluster.expected_id = id;
    sink_ = *KafkaSink::Open(cluster, Compression::kNone, {}, reaper_, clock);
  }

  // A batch of these records from offset `first` on; it owns copies of their bytes.
  Batch BatchOf(const std::vector<RawRecord>& records, int64_t first = 0, Slot slot = 0) {
    Batch batch;
    batch.slot = slot;
    batch.from = batch.read_to = {first};
    for (const RawRecord& raw : records) {
      const RawRecord& kept = kept_.emplace_back(raw);
      Record record;
      record.offset = batch.read_to;
      record.timestamp_ms = kept.timestamp_ms;
      record.key = kept.key;
      record.value = kept.value;
      auto headers = std::make_unique<Header[]>(kept.headers.size());
      for (size_t i = 0; i < kept.headers.size(); ++i) {
        headers[i] = {kept.headers[i].first, kept.headers[i].second};
      }
      record.headers = {headers.get(), kept.headers.size()};
      record.header_storage = std::move(headers);
      record.weight = 10;
      ++owners_;
      record.owner = RecordOwner(&owners_, [](void* owners) { --*static_cast<int*>(owners); });
      batch.read_to = Next(record.offset);
      batch.records.push_back(std::move(record));
    }
    return batch;
  }
  static std::vector<RawRecord> Numbered(int count) {
    std::vector<RawRecord> records;
    for (int i = 0; i < count; ++i) records.push_back({.key = {}, .value = std::to_string(i)});
    return records;
  }

  // Submits all of it, however many calls that takes.
  void Submit(Batch& batch, uint32_t window = 1) {
    size_t taken = 0;
    EXPECT_TRUE(TurnUntil(sink_->descriptors(), [&] {
      taken += sink_->Submit(batch, taken, window);
      if (taken < batch.records.size()) sink_->Poll(confirmations_);
      return taken == batch.records.size();
    }));
  }
  void Submit(const std::vector<RawRecord>& records, int64_t first = 0, uint32_t window = 1) {
    Batch batch = BatchOf(records, first);
    Submit(batch, window);
  }
  // Waits until this many records have come back.
  void Await(int64_t records) {
    EXPECT_TRUE(TurnUntil(sink_->descriptors(), [&] {
      sink_->Poll(confirmations_);
      int64_t back = 0;
      for (const Confirmation& one : confirmations_) back += one.records;
      return back >= records;
    }));
  }
  const Confirmation* Failure() const {
    for (const Confirmation& one : confirmations_) {
      if (one.failure) return &one;
    }
    return nullptr;
  }

  MockKafka kafka_;
  Reaper reaper_;
  FakeClock clock_;  // for tests that need one; outlives what it is given to
  std::deque<RawRecord> kept_;
  int owners_ = 0;  // records whose bytes are in use
  std::unique_ptr<KafkaSink> sink_;
  std::vector<Confirmation> confirmations_;
};

// --- What arrives -------------------------------------------------------------------------------

TEST_F(KafkaSinkTest, KeepsNullAndEmptyApart) {
  OpenSlot(0, false);
  const std::vector<RawRecord> records{
      {.key = {}, .value = "v"}, {.key = "", .value = ""}, {.key = "k", .value = {}}};
  Submit(records);
  Await(3);

  EXPECT_EQ(kafka_.Read("copy", 0, 3), records);
}

TEST_F(KafkaSinkTest, KeepsBytesHeadersAndTimes) {
  OpenSlot(0, false);
  const std::vector<RawRecord> records{
      {.key = std::string("\0\xff", 2),
       .value = std::string(10'000, '\0'),
       .headers = {{"a", "1"}, {"a", std::nullopt}, {"", ""}, {"a", std::string("\0", 1)}},
       .timestamp_ms = 1},
      {.key = {}, .value = "later", .headers = {}, .timestamp_ms = 4'102'444'800'000}};
  Submit(records);
  Await(2);

  EXPECT_EQ(kafka_.Read("copy", 0, 2), records);
}

TEST_F(KafkaSinkTest, WritesToThePartitionOfTheSameNumber) {
  OpenSlot(1, false);
  Batch batch = BatchOf(Numbered(2), 0, 1);
  Submit(batch);
  Await(2);

  EXPECT_EQ(kafka_.Read("copy", 1, 2), Numbered(2));
}

TEST_F(KafkaSinkTest, StampsWhereARecordComesFrom) {
  Submit({{.key = {}, .value = "v", .headers = {{"a", "1"}}}}, 77);
  Await(1);

  const std::vector<RawRecord> written = kafka_.Read("copy", 0, 1);

  ASSERT_EQ(written.size(), 1);
  ASSERT_EQ(written[0].headers.size(), 2);
  EXPECT_EQ(written[0].headers[0].first, "a");
  EXPECT_EQ(written[0].headers[1].first, kProvenanceHeader);
  const Provenance expected{.flags = 0,
                            .cluster = kSourceCluster,
                            .source_epoch = 3,
                            .partition = 0,
                            .offset = {77},
                            .topic = TopicKeyOf("audit"),
                            .passed = {}};
  EXPECT_EQ(written[0].headers[1].second, expected.Encode());
}

TEST_F(KafkaSinkTest, KeepsTheOriginOfARecordThatHasOne) {
  Provenance origin{.flags = 0,
                    .cluster = 42,
                    .source_epoch = 1,
                    .partition = 9,
                    .offset = {1000},
                    .topic = 5,
                    .passed = {}};
  Submit({{.key = {},
           .value = "v",
           .headers = {{std::string(kProvenanceHeader), origin.Encode()}, {"a", "1"}}}});
  Await(1);

  const std::vector<RawRecord> written = kafka_.Read("copy", 0, 1);

  origin.passed = {kSourceCluster};
  ASSERT_EQ(written.size(), 1);
  ASSERT_EQ(written[0].headers.size(), 2);
  EXPECT_EQ(written[0].headers[0].first, "a");
  EXPECT_EQ(written[0].headers[1].second, origin.Encode());
}

TEST_F(KafkaSinkTest, LeavesAHeaderOfOurNameThatIsNotOurs) {
  Submit({{.key = {}, .value = "v", .headers = {{std::string(kProvenanceHeader), "theirs"}}}});
  Await(1);

  const std::vector<RawRecord> written = kafka_.Read("copy", 0, 1);

  ASSERT_EQ(written.size(), 1);
  ASSERT_EQ(written[0].headers.size(), 2);
  EXPECT_EQ(written[0].headers[0].second, "theirs");
  EXPECT_EQ(written[0].headers[1].second->size(), Provenance::kBytes);
}

TEST_F(KafkaSinkTest, SaysSoWhereTheSourceHasNoTimes) {
  Submit({{.key = {}, .value = "v", .headers = {}, .timestamp_ms = -1}});
  Await(1);

  const std::vector<RawRecord> written = kafka_.Read("copy", 0, 1);

  ASSERT_EQ(written.size(), 1);
  EXPECT_GT(written[0].timestamp_ms, 1'700'000'000'000);
  const auto stamp = Provenance::Decode(*written[0].headers[0].second);
  ASSERT_TRUE(stamp);
  EXPECT_EQ(stamp->flags, Provenance::kHadNoTimestamp);
}

// --- What comes back ----------------------------------------------------------------------------

TEST_F(KafkaSinkTest, ConfirmsWhatWasWrittenInOneRange) {
  Batch batch = BatchOf(Numbered(50), 100);
  Submit(batch, 4);
  Await(50);

  ASSERT_EQ(confirmations_.size(), 1);
  EXPECT_EQ(confirmations_[0].range, (OffsetRange{{100}, {150}}));
  EXPECT_EQ(confirmations_[0].window, 4U);
  EXPECT_EQ(confirmations_[0].records, 50);
  EXPECT_EQ(confirmations_[0].bytes, 500U);
  EXPECT_FALSE(confirmations_[0].failure);
}

TEST_F(KafkaSinkTest, ConfirmsTheHolesBeforeARecordWithIt) {
  Batch batch = BatchOf(Numbered(2), 10);
  batch.records[1].offset = {15};
  batch.read_to = {16};
  Submit(batch);
  Await(2);

  EXPECT_EQ(confirmations_.front().range.first, Offset{10});
  EXPECT_EQ(confirmations_.back().range.end, Offset{16});
}

TEST_F(KafkaSinkTest, GivesTheSourcesBytesBack) {
  Submit({{.key = {}, .value = "small"}, {.key = {}, .value = std::string(100'000, '.')}});
  EXPECT_EQ(owners_, 2);
  Await(2);

  EXPECT_EQ(owners_, 0);
}

struct DeliveryRow {
  const char* name;
  rd_kafka_resp_err_t error;
  Disposition disposition;
  Reason reason;
};

class KafkaSinkRefusalTest : public KafkaSinkTest,
                             public testing::WithParamInterface<DeliveryRow> {};

TEST_P(KafkaSinkRefusalTest, SaysWhatBecomesOfTheRecord) {
  const DeliveryRow& row = GetParam();
  OpenSink(Profile::kOciStreaming);
  kafka_.FailNext(MockKafka::kProduce, {row.error});
  Submit({{.key = {}, .value = "v"}}, 5);
  Await(1);

  const Confirmation* const failure = Failure();

  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->failure, row.disposition);
  EXPECT_EQ(Name(failure->status.reason()), Name(row.reason));
  EXPECT_EQ(failure->range, (OffsetRange{{5}, {6}}));
  EXPECT_TRUE(sink_->IsReady());
}

INSTANTIATE_TEST_SUITE_P(
    Refusals, KafkaSinkRefusalTest,
    testing::Values(DeliveryRow{"TooLarge", RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                Disposition::kRefuse, Reason::kRecordTooLarge},
                    DeliveryRow{"Timestamp", RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
                                Disposition::kRefuse, Reason::kTimestampRefused},
                    DeliveryRow{"Invalid", RD_KAFKA_RESP_ERR_INVALID_RECORD, Disposition::kRefuse,
                                Reason::kRecordRefused},
                    DeliveryRow{"Policy", RD_KAFKA_RESP_ERR_POLICY_VIOLATION, Disposition::kRefuse,
                                Reason::kRecordRefused},
                    DeliveryRow{"Acl", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                                Disposition::kBlock, Reason::kAuthorizationFailed}),
    [](const auto& test) { return test.param.name; });

TEST_F(KafkaSinkTest, DoesNotTellWhatTheLibraryRepairs) {
  kafka_.FailNext(MockKafka::kProduce,
                  {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                   RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR__TRANSPORT});
  Submit(Numbered(3));
  Await(3);

  EXPECT_EQ(Failure(), nullptr);
}

TEST_F(KafkaSinkTest, GivesBackWhatFailsAfterOneBehindItWasRefusedAtOnce) {
  OpenSink(Profile::kOciStreaming);
  // One for each record: on a busy machine they do not go together.
  kafka_.FailNext(MockKafka::kProduce, {3, RD_KAFKA_RESP_ERR_INVALID_RECORD});
  std::vector<RawRecord> records = Numbered(3);
  records.push_back({.key = {}, .value = std::string(size_t{2} << 20, 'x')});
  Submit(records);
  Await(4);

  std::set<int64_t> given_back;
  for (const Confirmation& one : confirmations_) {
    ASSERT_EQ(one.failure, Disposition::kRefuse);
    for (Offset at = one.range.first; at < one.failed_end; at = Next(at)) {
      given_back.insert(at.value);
    }
  }
  EXPECT_THAT(given_back, testing::ElementsAre(0, 1, 2, 3));
}

// --- A producer's end ---------------------------------------------------------------------------

TEST_F(KafkaSinkTest, StopsWhatIsBehindARefusedRecord) {
  kafka_.FailNext(MockKafka::kProduce, {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP});
  Submit({{.key = {}, .value = "refused"}});
  Await(1);

  ASSERT_NE(Failure(), nullptr);
  EXPECT_EQ(Failure()->failure, Disposition::kRefuse);
  EXPECT_EQ(Failure()->status.reason(), Reason::kTimestampRefused);
}

TEST_F(KafkaSinkTest, GoesOnWithANewProducerAfterAFatalError) {
  kafka_.FailNext(MockKafka::kProduce, {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP});
  Submit({{.key = {}, .value = "refused"}});
  Await(1);
  confirmations_.clear();

  EXPECT_TRUE(TurnUntil(sink_->descriptors(), [&] {
    sink_->Poll(confirmations_);
    return sink_->IsReady();
  }));
  Submit(Numbered(5), 10, 2);
  Await(5);

  EXPECT_EQ(Failure(), nullptr);
  EXPECT_EQ(confirmations_.front().range.first, Offset{10});
  EXPECT_EQ(kafka_.Read("copy", 0, 5).size(), 5);
}

TEST_F(KafkaSinkTest, MakesBatchesSmallerThatTheTargetRefusesAndTriesLargerOnesLater) {
  sink_ = *KafkaSink::Open(kafka_.cluster(), Compression::kNone, {}, reaper_, clock_);
  OpenSlot(0, true);
  const int64_t most = sink_->batch_bytes();
  const auto becomes_ready = [&] {
    clock_.Advance(std::chrono::milliseconds(100));
    sink_->Poll(confirmations_);
    return sink_->IsReady();
  };
  kafka_.FailNext(MockKafka::kProduce, {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
  Submit(Numbered(100));
  Await(100);
  EXPECT_LT(sink_->batch_bytes(), most);
  confirmations_.clear();
  ASSERT_TRUE(TurnUntil(sink_->descriptors(), becomes_ready));
  Submit(Numbered(100), 100, 2);
  Await(100);
  EXPECT_EQ(Failure(), nullptr);

  clock_.Advance(std::chrono::hours(1));
  sink_->Poll(confirmations_);
  EXPECT_EQ(sink_->batch_bytes(), most);
  ASSERT_TRUE(TurnUntil(sink_->descriptors(), becomes_ready));
  confirmations_.clear();
  Submit(Numbered(100), 200, 3);
  Await(100);
  EXPECT_EQ(Failure(), nullptr);
}

TEST_F(KafkaSinkTest, GoesOnWithANewProducerWhenAPartitionIsLostFromSight) {
  sink_ = *KafkaSink::Open(kafka_.cluster(), Compression::kNone, {}, reaper_, clock_);
  OpenSlot(0, false);
  OpenSlot(1, false);
  kafka_.SetLeader("copy", 1, -1);
  Batch lost = BatchOf(Numbered(7), 0, 1);
  Submit(lost);
  clock_.Advance(std::chrono::seconds(31));
  Submit(Numbered(5));
  // The neighbour's arrive, and the others come back: long before the minutes after which a
  // producer is given up that has confirmed nothing.
  const BootTime began = clock_.Now();
  BootTime looked = Clock::System().Now();
  EXPECT_TRUE(TurnUntil(sink_->descriptors(), [&] {
    const BootTime looks = Clock::System().Now();
    clock_.Advance(8 * (looks - std::exchange(looked, looks)));
    sink_->Poll(confirmations_);
    int64_t back = 0;
    for (const Confirmation& one : confirmations_) back += one.records;
    return back == 12;
  }));

  EXPECT_LT(clock_.Now() - began, std::chrono::minutes(4));
  EXPECT_THAT(kafka_.Read("copy", 0, 5), SizeIs(5));
  ASSERT_NE(Failure(), nullptr);
  EXPECT_EQ(Failure()->failure, Disposition::kRetry);
  EXPECT_EQ(Failure()->slot, Slot{1});
  EXPECT_EQ(Failure()->records, 7);
  EXPECT_TRUE(TurnUntil(sink_->descriptors(), [&] {
    clock_.Advance(std::chrono::milliseconds(100));
    sink_->Poll(confirmations_);
    return sink_->IsReady();
  }));
}

TEST_F(KafkaSinkTest, ReturnsEachRecordOnceWhenItsProducerEnds) {
  kafka_.SetRoundTrip(100);
  kafka_.FailNext(MockKafka::kProduce, {RD_KAFKA_RESP_ERR_INVALID_RECORD});
  Submit(Numbered(100));
  Await(100);
  for (int i = 0; i < 5; ++i) sink_->Poll(confirmations_);

  int64_t back = 0;
  for (const Confirmation& one : confirmations_) back += one.records;

  EXPECT_EQ(back, 100);
  EXPECT_EQ(owners_, 0);
}

TEST_F(KafkaSinkTest, TakesNoMoreThanItMayHold) {
  sink_ = *KafkaSink::Open(kafka_.cluster(), Compression::kNone, {.window_bytes = 1 << 20}, reaper_,
                           Clock::System());
  OpenSlot(0, false);
  kafka_.SetDown();
  const std::vector<RawRecord> records(40, {.key = {}, .value = std::string(1 << 20, '.')});
  Batch batch = BatchOf(records);

  const size_t taken = sink_->Submit(batch, 0, 1);

  EXPECT_GT(taken, 0U);
  EXPECT_LT(taken, records.size());
}

TEST_F(KafkaSinkTest, LetsGoOfAllRecordsWhenItIsDestroyed) {
  kafka_.SetDown();
  Submit(std::vector<RawRecord>(20, {.key = {}, .value = std::string(100'000, '.')}));
  EXPECT_EQ(owners_, 20);

  sink_.reset();

  EXPECT_EQ(owners_, 0);
}

TEST_F(KafkaSinkTest, SaysWhatIsWrongUntilItIsRight) {
  kafka_.SetDown();
  Submit(Numbered(1));
  EXPECT_TRUE(TurnUntil(sink_->descriptors(), [&] {
    sink_->Poll(confirmations_);
    return sink_->Trouble().has_value();
  }));
  EXPECT_EQ(sink_->Trouble()->side, Side::kTarget);
  EXPECT_EQ(sink_->Trouble()->reason, Reason::kUnreachable);
  EXPECT_THAT(confirmations_, IsEmpty());

  kafka_.SetUp();
  Await(1);

  EXPECT_EQ(Failure(), nullptr);
  EXPECT_FALSE(sink_->Trouble());
}

// --- The right cluster --------------------------------------------------------------------------

TEST_F(KafkaSinkTest, WritesToTheClusterThatItIsMeantFor) {
  Expect(kafka_.id());
  OpenSlot(0, false);

  Submit(Numbered(3));
  Await(3);

  EXPECT_EQ(kafka_.Read("copy", 0, 3), Numbered(3));
  EXPECT_EQ(sink_->Trouble(), std::nullopt);
}

TEST_F(KafkaSinkTest, TakesNoRecordBeforeItKnowsWhichClusterAnswers) {
  kafka_.SetRoundTrip(300);
  Expect(kafka_.id());
  OpenSlot(0, false);
  Batch batch = BatchOf(Numbered(3));

  EXPECT_FALSE(sink_->IsReady());
  EXPECT_EQ(sink_->Submit(batch, 0, 1), 0U);

  Submit(batch);
  Await(3);
}

TEST_F(KafkaSinkTest, TakesNoRecordForAnotherCluster) {
  Expect("the-one-before");
  OpenSlot(0, false);
  Batch batch = BatchOf(Numbered(3));

  EXPECT_TRUE(TurnUntil(sink_->descriptors(), [&] {
    EXPECT_EQ(sink_->Submit(batch, 0, 1), 0U);
    sink_->Poll(confirmations_);
    return sink_->Trouble().has_value();
  }));

  EXPECT_EQ(sink_->Submit(batch, 0, 1), 0U);
  EXPECT_THAT(confirmations_, IsEmpty());
  ASSERT_TRUE(sink_->Trouble());
  const Condition trouble = *sink_->Trouble();
  EXPECT_EQ(trouble.side, Side::kTarget);
  EXPECT_EQ(trouble.reason, Reason::kSourceChanged);
  EXPECT_TRUE(trouble.blocks) << "whoever gives a partition back need not wait";
  EXPECT_EQ(trouble.text,
            "mock: cluster " + kafka_.id() +
                " answers where cluster the-one-before was before, and nothing is written to it: "
                "correct the endpoint's addresses, or make another endpoint for the new cluster");
}

TEST_F(KafkaSinkTest, TriesAnotherProducerWhereAnotherClusterAnswered) {
  Expect("the-one-before", clock_);
  OpenSlot(0, false);
  const auto shows_trouble = [&] {
    sink_->Poll(confirmations_);
    return sink_->Trouble().has_value();
  };
  EXPECT_TRUE(TurnUntil(sink_->descriptors(), shows_trouble));

  clock_.Advance(std::chrono::seconds(31));
  sink_->Poll(confirmations_);

  EXPECT_EQ(sink_->Trouble(), std::nullopt) << "the new one has not looked yet";
  EXPECT_TRUE(TurnUntil(sink_->descriptors(), shows_trouble));
}

}  // namespace
}  // namespace drawbridge
