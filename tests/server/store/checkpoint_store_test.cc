#include "server/store/checkpoint_store.h"

#include <future>
#include <limits>
#include <optional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/store/faulty_disk.h"
#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// Three partitions that start at 100; fra-1 has the first two.
class CheckpointStoreTest : public StoreTest {
 protected:
  CheckpointStoreTest() : stream_(LearnStream(DefineBridge(), "audit", {100, 100, 100})) {
    Enrol("fra-1");
    Enrol("fra-2");
    first_ = GrantTo("fra-1", Key(0));
    second_ = GrantTo("fra-1", Key(1));
  }

  PartitionKey Key(PartitionNumber partition) const {
    return {.stream = stream_, .partition = partition};
  }
  static CommitItem Item(const Grant& grant, int64_t base, int64_t next) {
    CommitItem item;
    item.key = grant.key;
    item.token = grant.token;
    item.base = {base};
    item.to.next = {next};
    return item;
  }
  std::string Outcome(const std::string& relay, const CommitItem& item) {
    return Name(Commit(relay, {item}).front().outcome);
  }
  int64_t Next(const Grant& grant) { return Partition(grant.key).checkpoint.next.value; }
  std::vector<OffsetRange> Gaps() {
    std::vector<OffsetRange> ranges;
    const auto gaps = streams().Gaps("", "", 0, 1000);
    for (const StoredGap& gap : *gaps) ranges.push_back(gap.gap.range);
    return ranges;
  }
  int64_t FilteredRecords() {
    return Number("SELECT coalesce(sum(records), 0) FROM filtered_ranges");
  }

  // Passes over records of one partition, which are kept among the dead letters.
  void Refuse(const Grant& grant, const DeadLetters& letters) {
    const int64_t base = Next(grant);
    CommitItem item = Item(grant, base, letters.range.end.value);
    item.dead_letters = {letters};
    EXPECT_EQ(Outcome("fra-1", item), "STORED");
  }
  // "RECORDS-RETRIED" of each row, in the order in which their streams were made.
  std::string Letters() {
    return Text(
        "SELECT group_concat(t, ' ') FROM (SELECT records || '-' || retried AS t "
        "FROM dead_letters ORDER BY stream_id, partition, error)");
  }
  // The bridge is deleted, and made again with the same topic and partitions.
  std::pair<Grant, Grant> MakeAnew(const std::string& source = "oci") {
    BridgeSpec bridge = Bridge("logs");
    bridge.source.endpoint = source;
    EXPECT_EQ(WhyNot(Apply({DeleteBridge{"logs"}, PutBridge{bridge}})), "OK");
    const StreamId made = LearnStream(BridgeNamed("logs").id, "audit", {100, 100, 100});
    EXPECT_NE(made, stream_);
    return {GrantTo("fra-1", {.stream = made, .partition = 0}),
            GrantTo("fra-1", {.stream = made, .partition = 1})};
  }

  const StreamId stream_;
  Grant first_;
  Grant second_;
};

// --- The compare-and-set
// --------------------------------------------------------------------------

TEST_F(CheckpointStoreTest, StoresTheCheckpointWithItsProof) {
  CommitItem item = Item(first_, 100, 150);
  item.to.anchor =
      Anchor{.offset = {149}, .timestamp_ms = -1, .hash = std::numeric_limits<uint64_t>::max()};
  clock_.Advance(std::chrono::seconds(9));

  EXPECT_EQ(Outcome("fra-1", item), "STORED");

  EXPECT_EQ(Partition(Key(0)).checkpoint, item.to);
  EXPECT_EQ(Partition(Key(0)).token, first_.token);
  EXPECT_EQ(Partition(Key(0)).updated_at, clock_.WallNow());
  EXPECT_EQ(Next(second_), 100) << "its neighbour stays";
  Restart();
  EXPECT_EQ(Partition(Key(0)).checkpoint, item.to);
}

TEST_F(CheckpointStoreTest, MovesOnFromCommitToCommitUnderOneBase) {
  EXPECT_EQ(Outcome("fra-1", Item(first_, 100, 150)), "STORED");
  EXPECT_EQ(Outcome("fra-1", Item(first_, 100, 300)), "STORED");
  EXPECT_EQ(Outcome("fra-1", Item(first_, 300, 301)), "STORED");

  EXPECT_EQ(Next(first_), 301);
}

TEST_F(CheckpointStoreTest, StoresTheSameAgain) {
  const CommitItem item = Item(first_, 100, 150);
  EXPECT_EQ(Outcome("fra-1", item), "STORED");

  EXPECT_EQ(Outcome("fra-1", item), "STORED") << "the first answer may have been lost";

  EXPECT_EQ(Next(first_), 150);
}

TEST_F(CheckpointStoreTest, RefusesACommitOfAnOlderEpoch) {
  const Grant newer = GrantTo("fra-1", Key(0));

  EXPECT_EQ(Outcome("fra-1", Item(first_, 100, 150)), "STALE_EPOCH");
  EXPECT_EQ(Next(first_), 100);
  EXPECT_EQ(Outcome("fra-1", Item(newer, 100, 150)), "STORED");
}

TEST_F(CheckpointStoreTest, RefusesACommitOfAnEpochThatWasNeverGiven) {
  CommitItem item = Item(first_, 100, 150);
  ++item.token.epoch;

  EXPECT_EQ(Outcome("fra-1", item), "STALE_EPOCH");
  EXPECT_EQ(Next(first_), 100);
}

TEST_F(CheckpointStoreTest, RefusesACommitOfAnotherIncarnation) {
  for (const int64_t other : {-1, 1}) {
    CommitItem item = Item(first_, 100, 150);
    item.token.incarnation += other;
    EXPECT_EQ(Outcome("fra-1", item), "STALE_INCARNATION");
  }
  EXPECT_EQ(Next(first_), 100);
}

TEST_F(CheckpointStoreTest, RefusesARelayThatIsNotTheOwner) {
  EXPECT_EQ(Outcome("fra-2", Item(first_, 100, 150)), "NOT_OWNER");
  EXPECT_EQ(Outcome("nobody", Item(first_, 100, 150)), "NOT_OWNER");
  EXPECT_EQ(Outcome("", Item(first_, 100, 150)), "NOT_OWNER");
  EXPECT_EQ(Next(first_), 100);
}

TEST_F(CheckpointStoreTest, RefusesEveryRelayWhereThereIsNoOwner) {
  const Grant nobodys{Key(2), Partition(Key(2)).token, {100}};

  EXPECT_EQ(Outcome("fra-1", Item(nobodys, 100, 150)), "NOT_OWNER");
  EXPECT_EQ(Outcome("", Item(nobodys, 100, 150)), "NOT_OWNER");
  EXPECT_EQ(Next(nobodys), 100);
}

TEST_F(CheckpointStoreTest, NeverGoesBack) {
  ASSERT_EQ(Outcome("fra-1", Item(first_, 100, 150)), "STORED");

  EXPECT_EQ(Outcome("fra-1", Item(first_, 100, 149)), "REGRESSION");
  EXPECT_EQ(Outcome("fra-1", Item(first_, 100, -1)), "REGRESSION");
  EXPECT_EQ(Next(first_), 150);
}

TEST_F(CheckpointStoreTest, RefusesARangeThatBeginsAfterTheCheckpoint) {
  EXPECT_EQ(Outcome("fra-1", Item(first_, 101, 150)), "NOT_CONTIGUOUS");
  EXPECT_EQ(Next(first_), 100);
  EXPECT_EQ(Outcome("fra-1", Item(first_, 99, 150)), "STORED") << "more than needed is no harm";
}

TEST_F(CheckpointStoreTest, KnowsNoPartitionThatIsNotThere) {
  CommitItem elsewhere = Item(first_, 100, 150);
  elsewhere.key.stream.value += 1000;
  CommitItem beyond = Item(first_, 100, 150);
  beyond.key.partition = 3;
  CommitItem negative = Item(first_, 100, 150);
  negative.key.partition = -1;

  EXPECT_EQ(Outcome("fra-1", elsewhere), "UNKNOWN");
  EXPECT_EQ(Outcome("fra-1", beyond), "UNKNOWN");
  EXPECT_EQ(Outcome("fra-1", negative), "UNKNOWN");
}

TEST_F(CheckpointStoreTest, JudgesEveryItemOfABatchByItself) {
  CommitItem unknown = Item(first_, 100, 150);
  unknown.key.partition = 9;
  const auto results =
      Commit("fra-1", {Item(first_, 101, 150), unknown, Item(second_, 100, 170),
                       Item({Key(2), {.incarnation = 1, .epoch = 0}, {100}}, 100, 150),
                       Item(second_, 100, 160)});

  std::vector<std::string> outcomes;
  for (const CommitResult& result : results) outcomes.push_back(Name(result.outcome));
  EXPECT_THAT(outcomes,
              ElementsAre("NOT_CONTIGUOUS", "UNKNOWN", "STORED", "NOT_OWNER", "REGRESSION"));
  EXPECT_EQ(Next(second_), 170);
  EXPECT_EQ(results[2].key, second_.key);
  EXPECT_EQ(results[2].token, second_.token);
  EXPECT_EQ(results[2].next, Offset{170});
}

TEST_F(CheckpointStoreTest, AnswersAnEmptyBatch) { EXPECT_THAT(Commit("fra-1", {}), IsEmpty()); }

TEST_F(CheckpointStoreTest, AnswersWhenTheCheckpointIsStored) {
  std::promise<int64_t> seen;
  checkpoints().Commit({"fra-1"}, {Item(first_, 100, 150)},
                       [&](const std::vector<CommitResult>&) { seen.set_value(Next(first_)); });

  EXPECT_EQ(seen.get_future().get(), 150);
}

TEST_F(CheckpointStoreTest, KeepsTheOrderOfOneRelaysCommits) {
  std::promise<void> last;
  std::vector<std::string> outcomes;
  for (int64_t next = 101; next <= 300; ++next) {
    checkpoints().Commit({"fra-1"}, {Item(first_, 100, next)},
                         [&, next](const std::vector<CommitResult>& results) {
                           outcomes.push_back(Name(results.front().outcome));
                           if (next == 300) last.set_value();
                         });
  }
  last.get_future().wait();

  EXPECT_THAT(outcomes, Each("STORED"));
  EXPECT_EQ(Next(first_), 300);
}

TEST_F(CheckpointStoreTest, LetsOneOfTwoOwnersAdvance) {
  const Grant newer = GrantTo("fra-2", Key(0));
  const auto commit_all = [this](const std::string& relay, const Grant& grant, int64_t& stored) {
    for (int64_t next = 101; next <= 200; ++next) {
      if (Outcome(relay, Item(grant, 100, next)) == "STORED") ++stored;
    }
  };
  int64_t stored_by_old = 0;
  int64_t stored_by_new = 0;
  {
    const std::jthread old_owner([&] { commit_all("fra-1", first_, stored_by_old); });
    const std::jthread new_owner([&] { commit_all("fra-2", newer, stored_by_new); });
  }

  EXPECT_EQ(stored_by_old, 0);
  EXPECT_EQ(stored_by_new, 100);
}

// --- What a commit passes over
// --------------------------------------------------------------------

TEST_F(CheckpointStoreTest, StoresWhatItPassesOverWithTheCommit) {
  CommitItem item = Item(first_, 100, 150);
  item.gaps = {{.range = {{100}, {110}}, .cause = GapCause::kRetention},
               {.range = {{120}, {121}}, .cause = GapCause::kSkipped}};
  item.filtered = {{.range = {{130}, {140}}, .records = 4}};

  ASSERT_EQ(Outcome("fra-1", item), "STORED");

  EXPECT_THAT(Gaps(), ElementsAre(OffsetRange{{100}, {110}}, OffsetRange{{120}, {121}}));
  EXPECT_EQ(FilteredRecords(), 4);
}

TEST_F(CheckpointStoreTest, StoresNothingOfWhatARefusedCommitPassesOver) {
  for (const auto& [base, next, relay] :
       {std::tuple(101, 150, "fra-1"), {100, 99, "fra-1"}, {100, 150, "fra-2"}}) {
    CommitItem item = Item(first_, base, next);
    item.gaps = {{.range = {{100}, {110}}, .cause = {}}};
    item.filtered = {{.range = {{130}, {140}}, .records = 4}};
    ASSERT_NE(Outcome(relay, item), "STORED");
  }

  EXPECT_THAT(Gaps(), IsEmpty());
  EXPECT_EQ(FilteredRecords(), 0);
}

TEST_F(CheckpointStoreTest, StoresTheSameGapOnce) {
  CommitItem item = Item(first_, 100, 150);
  item.gaps = {{.range = {{100}, {110}}, .cause = {}}, {.range = {{100}, {110}}, .cause = {}}};
  item.filtered = {{.range = {{130}, {140}}, .records = 4}};
  ASSERT_EQ(Outcome("fra-1", item), "STORED");
  const WallTime first_seen = streams().Gaps("", "", 0, 1)->front().at;
  clock_.Advance(std::chrono::seconds(1));

  ASSERT_EQ(Outcome("fra-1", item), "STORED");

  EXPECT_THAT(Gaps(), SizeIs(1));
  EXPECT_EQ(streams().Gaps("", "", 0, 1)->front().at, first_seen);
  EXPECT_EQ(FilteredRecords(), 4);
}

TEST_F(CheckpointStoreTest, CountsAFilteredRangeOnceWhoseCommitCameTwice) {
  CommitItem item = Item(first_, 100, 150);
  item.filtered = {{.range = {{130}, {140}}, .records = 4}};
  ASSERT_EQ(Outcome("fra-1", item), "STORED");

  item.to.next = {200};  // the answer was lost: it comes again, with more
  item.filtered.push_back({.range = {{150}, {190}}, .records = 3});
  ASSERT_EQ(Outcome("fra-1", item), "STORED");

  EXPECT_EQ(FilteredRecords(), 7);
  EXPECT_EQ(Number("SELECT max(to_offset) FROM filtered_ranges"), 190);
}

TEST_F(CheckpointStoreTest, KeepsOneRowOfFilteredRangesForAnHour) {
  const auto commit = [&](int64_t from) {
    CommitItem item = Item(first_, 100, from + 10);
    item.filtered = {{.range = {{from}, {from + 10}}, .records = 5}};
    return Outcome("fra-1", item);
  };
  for (int64_t i = 0; i < 50; ++i) {
    ASSERT_EQ(commit(100 + 10 * i), "STORED");
    clock_.Advance(std::chrono::minutes(1));
  }
  EXPECT_EQ(Number("SELECT count(*) FROM filtered_ranges"), 1);
  EXPECT_EQ(Number("SELECT to_offset FROM filtered_ranges"), 600);

  clock_.Advance(std::chrono::minutes(11));
  ASSERT_EQ(commit(600), "STORED");

  EXPECT_EQ(Number("SELECT count(*) FROM filtered_ranges"), 2);
  EXPECT_EQ(FilteredRecords(), 255);
}

TEST_F(CheckpointStoreTest, CountsDeadLettersByWhatTheyWereRefusedFor) {
  CommitItem item = Item(first_, 100, 150);
  item.dead_letters = {{.range = {{110}, {120}}, .records = 2, .error = "a"},
                       {.range = {{115}, {116}}, .records = 1, .error = "b"}};
  ASSERT_EQ(Outcome("fra-1", item), "STORED");
  clock_.Advance(std::chrono::minutes(1));

  item.to.next = {200};  // the answer was lost: it comes again, with more
  item.dead_letters.push_back({.range = {{150}, {190}}, .records = 3, .error = "a"});
  ASSERT_EQ(Outcome("fra-1", item), "STORED");

  const auto groups = streams().DeadLettersOf("", "", 0, 10);
  ASSERT_TRUE(groups.ok());
  ASSERT_THAT(*groups, SizeIs(2));
  EXPECT_EQ(groups->at(0).error, "a");
  EXPECT_EQ(groups->at(0).records, 5);
  EXPECT_EQ(groups->at(0).last_at - groups->at(0).first_at, std::chrono::minutes(1));
  EXPECT_EQ(groups->at(1).records, 1);
  EXPECT_THAT(*streams().DeadLettersOf("another", "", 0, 10), IsEmpty());
  EXPECT_EQ(streams().PassedByStream()->at(0).dead_letters, 6);
}

TEST_F(CheckpointStoreTest, CountsTheDeadLettersOfAPartitionInSoManyKindsAtMost) {
  CommitItem item = Item(first_, 100, 400);
  for (int64_t i = 0; i < 150; ++i) {
    item.dead_letters.push_back(
        {.range = {{100 + i}, {101 + i}}, .records = 1, .error = fmt::format("error {}", i)});
  }
  item.dead_letters.push_back({.range = {{300}, {301}}, .records = 1, .error = "error 7"});
  ASSERT_EQ(Outcome("fra-1", item), "STORED");

  EXPECT_EQ(Number("SELECT count(*) FROM dead_letters"), 101);
  EXPECT_EQ(Number("SELECT records FROM dead_letters WHERE error = 'other errors'"), 50);
  EXPECT_EQ(Number("SELECT records FROM dead_letters WHERE error = 'error 7'"), 2);
  EXPECT_EQ(Number("SELECT sum(records) FROM dead_letters"), 151);
}

TEST_F(CheckpointStoreTest, CountsTheKindsOfDeadLettersOfEachPartitionByThemselves) {
  const auto item_of = [](const Grant& grant, const std::string& kind) {
    CommitItem item = Item(grant, 100, 400);
    for (int64_t i = 0; i < 100; ++i) {
      item.dead_letters.push_back(
          {.range = {{100 + i}, {101 + i}}, .records = 1, .error = fmt::format("{} {}", kind, i)});
    }
    return item;
  };
  ASSERT_EQ(Outcome("fra-1", item_of(first_, "one")), "STORED");
  CommitItem second = item_of(second_, "another");
  second.dead_letters.push_back({.range = {{300}, {302}}, .records = 2, .error = "one 7"});

  ASSERT_EQ(Outcome("fra-1", second), "STORED");

  EXPECT_EQ(Number("SELECT count(*) FROM dead_letters WHERE error != 'other errors'"), 200);
  EXPECT_EQ(Number("SELECT records FROM dead_letters WHERE error = 'one 7'"), 1);
  EXPECT_EQ(Number("SELECT records FROM dead_letters WHERE error = 'other errors'"), 2)
      << "that one is known of the first only";
}

TEST_F(CheckpointStoreTest, TellsDeadLettersThatWereBroughtInFromThoseThatWait) {
  CommitItem item = Item(first_, 100, 150);
  item.dead_letters = {{.range = {{110}, {120}}, .records = 5, .error = "a"}};
  ASSERT_EQ(Outcome("fra-1", item), "STORED");
  const auto group = streams().DeadLettersOf("", "", 0, 10)->at(0);
  const RetriedGroup retried{
      .topic = group.topic, .partition = first_.key.partition, .error = "a", .records = 3};
  RetriedGroup another = retried;
  another.error = "b";

  const Mutation request = Request();
  ASSERT_EQ(WhyNot(streams().AddRetried(group.bridge, {retried, another}, request)), "OK");
  ASSERT_EQ(WhyNot(streams().AddRetried(group.bridge, {retried, another}, request)), "OK");

  EXPECT_EQ(streams().DeadLettersOf("", "", 0, 10)->at(0).retried, 3) << "a call counts once";
  EXPECT_EQ(streams().PassedByStream()->at(0).dead_letters, 2);
  ASSERT_EQ(WhyNot(streams().AddRetried(group.bridge, {retried}, Request())), "OK");
  EXPECT_EQ(streams().DeadLettersOf("", "", 0, 10)->at(0).retried, 5) << "no more than there were";
}

TEST_F(CheckpointStoreTest, CountsWhatWasBroughtInAmongOthersWhereItsOwnErrorHasNoRoom) {
  CommitItem item = Item(first_, 100, 150);
  item.dead_letters = {{.range = {{110}, {120}}, .records = 2, .error = "a"},
                       {.range = {{111}, {122}}, .records = 7, .error = kOtherErrors}};
  ASSERT_EQ(Outcome("fra-1", item), "STORED");
  const auto group = streams().DeadLettersOf("", "", 0, 10)->at(0);
  RetriedGroup known{
      .topic = group.topic, .partition = first_.key.partition, .error = "a", .records = 3};
  RetriedGroup unknown = known;
  unknown.error = "b";

  ASSERT_EQ(WhyNot(streams().AddRetried(group.bridge, {known, unknown}, Request())), "OK");

  std::map<std::string, int64_t> retried;
  for (const StoredDeadLetters& one : *streams().DeadLettersOf("", "", 0, 10)) {
    retried[one.error] = one.retried;
  }
  EXPECT_EQ(retried["a"], 2);
  EXPECT_EQ(retried[kOtherErrors], 1 + 3);
}

// The bridge that was made anew reads the same records, and refuses the same ones.
TEST_F(CheckpointStoreTest, CountsALetterOnceAlsoWhenItsBridgeIsMadeAnew) {
  const DeadLetters letters{.range = {{110}, {120}}, .records = 4, .error = "a"};
  Refuse(first_, letters);
  Refuse(second_, letters);
  const StoredDeadLetters old = streams().DeadLettersOf("", "", 0, 10)->at(0);
  const RetriedGroup retried{
      .topic = "audit", .partition = second_.key.partition, .error = "a", .records = 1};
  ASSERT_EQ(WhyNot(streams().AddRetried(old.bridge, {retried}, Request())), "OK");

  const auto [first, second] = MakeAnew();
  Refuse(first, {.range = {{110}, {119}}, .records = 3, .error = "a"});
  EXPECT_EQ(Letters(), "4-0 4-1 3-0") << "not all of them have been read again";
  Refuse(first, {.range = {{119}, {120}}, .records = 1, .error = "a"});
  EXPECT_EQ(Letters(), "4-1 4-0") << "those of the other partition are still of before";

  Refuse(second, letters);
  EXPECT_EQ(Letters(), "4-0 4-0");
}

TEST_F(CheckpointStoreTest, KeepsCountingWhatWasNotReadAgain) {
  Refuse(first_, {.range = {{111}, {120}}, .records = 4, .error = "a"});
  Refuse(first_, {.range = {{120}, {121}}, .records = 1, .error = "b"});
  const StreamId other = LearnStream(DefineBridge("others"), "audit", {100});
  Refuse(GrantTo("fra-1", {.stream = other, .partition = 0}),
         {.range = {{115}, {120}}, .records = 2, .error = "a"});

  const auto [first, second] = MakeAnew();
  Refuse(first, {.range = {{112}, {300}}, .records = 7, .error = "a"});

  EXPECT_EQ(Letters(), "4-0 1-0 2-0 7-0")
      << "one comes before, one has another reason, one is another bridge's";
}

TEST_F(CheckpointStoreTest, CountsTheLettersOfAnotherLifeOfTheTopicByThemselves) {
  Refuse(first_, {.range = {{110}, {120}}, .records = 4, .error = "a"});
  ASSERT_EQ(WhyNot(streams().EndLife(stream_)), "OK");

  const auto [first, second] = MakeAnew();
  Refuse(first, {.range = {{100}, {120}}, .records = 7, .error = "a"});

  EXPECT_EQ(Letters(), "4-0 7-0");
}

TEST_F(CheckpointStoreTest, CountsTheLettersOfAnotherClusterByThemselves) {
  Refuse(first_, {.range = {{110}, {120}}, .records = 4, .error = "a"});

  const auto [first, second] = MakeAnew("aws");
  Refuse(first, {.range = {{100}, {120}}, .records = 7, .error = "a"});

  EXPECT_EQ(Letters(), "4-0 7-0");
}

TEST_F(CheckpointStoreTest, StoresNoDeadLetterOfARefusedCommit) {
  CommitItem item = Item(first_, 100, 150);
  item.dead_letters = {{.range = {{110}, {120}}, .records = 2, .error = "a"}};

  ASSERT_NE(Outcome("fra-2", item), "STORED");

  EXPECT_THAT(*streams().DeadLettersOf("", "", 0, 10), IsEmpty());
}

TEST_F(CheckpointStoreTest, PassesOverNothingInAnEmptyRange) {
  CommitItem item = Item(first_, 100, 150);
  item.gaps = {{.range = {{110}, {110}}, .cause = {}}, {.range = {{120}, {110}}, .cause = {}}};
  item.filtered = {{.range = {{130}, {130}}, .records = 4},
                   {.range = {{140}, {145}}, .records = 0}};

  EXPECT_EQ(Outcome("fra-1", item), "STORED");

  EXPECT_THAT(Gaps(), IsEmpty());
  EXPECT_EQ(FilteredRecords(), 0);
}

// --- Owners
// ---------------------------------------------------------------------------------------

TEST_F(CheckpointStoreTest, HandsAPartitionOverAtItsCheckpoint) {
  CommitItem item = Item(first_, 100, 150);
  item.to.anchor = Anchor{.offset = {149}, .timestamp_ms = 5, .hash = 7};
  ASSERT_EQ(Outcome("fra-1", item), "STORED");
  const int64_t revision = State().revision;

  const auto changed = checkpoints().Reassign({{.key = Key(0),
                                                .expected = first_.token,
                                                .owner = RelayName{"fra-2"},
                                                .reason = "released"}});

  ASSERT_TRUE(changed.ok());
  ASSERT_THAT(*changed, SizeIs(1));
  EXPECT_EQ(changed->front().token.epoch, first_.token.epoch + 1);
  EXPECT_EQ(changed->front().token.incarnation, first_.token.incarnation);
  EXPECT_EQ(changed->front().owner, RelayName{"fra-2"});
  EXPECT_EQ(changed->front().checkpoint, item.to) << "with the proof to start from";
  EXPECT_EQ(Partition(Key(0)).token, changed->front().token);
  EXPECT_EQ(State().revision, revision + 1);
  EXPECT_EQ(Text("SELECT relay || ' at ' || start_offset || ' ' || reason FROM assignment_log "
                 "ORDER BY id DESC LIMIT 1"),
            "fra-2 at 150 released");
}

TEST_F(CheckpointStoreTest, RaisesTheEpochAlsoForTheSameOwner) {
  EXPECT_EQ(GrantTo("fra-1", Key(0)).token.epoch, first_.token.epoch + 1);
}

TEST_F(CheckpointStoreTest, LeavesAPartitionWhoseTokenIsNotTheExpectedOne) {
  ASSERT_EQ(GrantTo("fra-2", Key(0)).token.epoch, first_.token.epoch + 1);
  const int64_t revision = State().revision;
  const int64_t logged = Number("SELECT count(*) FROM assignment_log");
  FencingToken other_incarnation = Partition(Key(0)).token;
  ++other_incarnation.incarnation;

  for (const FencingToken& expected : {first_.token, other_incarnation}) {
    const auto changed = checkpoints().Reassign(
        {{.key = Key(0), .expected = expected, .owner = RelayName{"fra-1"}, .reason = "late"}});
    ASSERT_TRUE(changed.ok());
    EXPECT_THAT(*changed, IsEmpty());
  }

  EXPECT_EQ(Partition(Key(0)).owner, RelayName{"fra-2"});
  EXPECT_EQ(State().revision, revision) << "nothing was changed";
  EXPECT_EQ(Number("SELECT count(*) FROM assignment_log"), logged);
}

TEST_F(CheckpointStoreTest, ReassignsWhatItCanOfSeveral) {
  const auto changed = checkpoints().Reassign(
      {{.key = Key(0), .expected = {}, .owner = RelayName{"fra-2"}, .reason = "balanced"},
       {.key = Key(9), .expected = first_.token, .owner = RelayName{"fra-2"}, .reason = "balanced"},
       {.key = Key(1),
        .expected = second_.token,
        .owner = RelayName{"fra-2"},
        .reason = "balanced"},
       {.key = Key(2),
        .expected = Partition(Key(2)).token,
        .owner = std::nullopt,
        .reason = "balanced"}});

  ASSERT_TRUE(changed.ok());
  ASSERT_THAT(*changed, SizeIs(2));
  EXPECT_EQ(changed->at(0).key, Key(1));
  EXPECT_EQ(changed->at(1).key, Key(2));
  EXPECT_EQ(changed->at(1).owner, std::nullopt);
  EXPECT_EQ(Partition(Key(0)).owner, RelayName{"fra-1"});
}

TEST_F(CheckpointStoreTest, TakesAPartitionAwayFromEverybody) {
  const Grant nobodys = GrantTo(std::nullopt, Key(0));

  EXPECT_EQ(Outcome("fra-1", Item(first_, 100, 150)), "STALE_EPOCH");
  EXPECT_EQ(Outcome("fra-1", Item(nobodys, 100, 150)), "NOT_OWNER");
}

// The relay may have been revoked after its partitions were decided on.
TEST_F(CheckpointStoreTest, GivesNothingToARelayThatMayNotRun) {
  ASSERT_TRUE(relays().Revoke({"fra-2"}, Request()).ok());

  for (const std::string relay : {"fra-2", "nobody"}) {
    const auto changed = checkpoints().Reassign(
        {{.key = Key(0), .expected = first_.token, .owner = RelayName{relay}, .reason = "granted"},
         {.key = Key(1),
          .expected = second_.token,
          .owner = RelayName{"fra-1"},
          .reason = "granted"}});
    ASSERT_EQ(WhyNot(changed), "OK");
    ASSERT_THAT(*changed, SizeIs(1));
    second_.token = changed->front().token;
  }

  EXPECT_EQ(Partition(Key(0)).owner, RelayName{"fra-1"});
  EXPECT_EQ(Partition(Key(0)).token, first_.token);
}

TEST_F(CheckpointStoreTest, FencesARelayWithItsRevocation) {
  const Grant others = GrantTo("fra-2", Key(1));
  ASSERT_EQ(WhyNot(relays().Revoke({"fra-1"}, Request())), "OK");

  EXPECT_EQ(Outcome("fra-1", Item(first_, 100, 150)), "STALE_EPOCH");
  EXPECT_EQ(Partition(Key(0)).owner, std::nullopt);
  EXPECT_EQ(Next(first_), 100);
  EXPECT_EQ(Outcome("fra-2", Item(others, 100, 150)), "STORED") << "the others go on";
}

// --- Incarnations
// ---------------------------------------------------------------------------------

TEST_F(CheckpointStoreTest, FencesEverythingWithANewIncarnation) {
  const int64_t revision = State().revision;
  const auto incarnation = checkpoints().BumpIncarnation("restored from a backup", 0);

  ASSERT_TRUE(incarnation.ok());
  EXPECT_EQ(*incarnation, 2);
  EXPECT_EQ(State().incarnation, 2);
  EXPECT_EQ(State().revision, revision + 1);
  EXPECT_EQ(Outcome("fra-1", Item(first_, 100, 150)), "STALE_INCARNATION");
  EXPECT_EQ(Outcome("fra-1", Item(second_, 100, 150)), "STALE_INCARNATION");
  EXPECT_EQ(Partition(Key(0)).owner, RelayName{"fra-1"}) << "it is told the new token";
  const Grant present{Key(0), Partition(Key(0)).token, {100}};
  EXPECT_EQ(Outcome("fra-1", Item(present, 100, 150)), "STORED");
  EXPECT_EQ(Text("SELECT actor || ' ' || action || ': ' || reason FROM audit "
                 "ORDER BY id DESC LIMIT 1"),
            "server fence: restored from a backup");
}

TEST_F(CheckpointStoreTest, LeavesBehindEveryIncarnationThatWasSeen) {
  EXPECT_EQ(*checkpoints().BumpIncarnation("a relay has 7", 8), 8);
  EXPECT_EQ(*checkpoints().BumpIncarnation("a relay has 2", 3), 9) << "it never goes back";
}

TEST_F(CheckpointStoreTest, GrantsInThePresentIncarnation) {
  ASSERT_EQ(*checkpoints().BumpIncarnation("restored", 0), 2);

  const Grant grant = GrantTo("fra-2", Key(0));

  EXPECT_EQ(grant.token, (FencingToken{.incarnation = 2, .epoch = first_.token.epoch + 1}));
}

}  // namespace
}  // namespace drawbridge
