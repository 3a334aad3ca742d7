#include "relay/control/commit_exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/convert/checkpoint.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr FencingToken kToken{.incarnation = 1, .epoch = 1};
constexpr FencingToken kNextToken{.incarnation = 1, .epoch = 2};

PartitionKey Key(PartitionNumber partition) {
  return {.stream = StreamId{1}, .partition = partition};
}

CommitItem Item(PartitionNumber partition, int64_t next, FencingToken token = kToken) {
  CommitItem item;
  item.key = Key(partition);
  item.token = token;
  item.to.next = Offset{next};
  return item;
}

PartitionNews News(PartitionNumber partition, int64_t next, FencingToken token = kToken) {
  PartitionNews news;
  news.commit = Item(partition, next, token);
  return news;
}

GivenBack Back(PartitionNumber partition, int64_t next) {
  return {.key = Key(partition), .token = kToken, .last = Item(partition, next)};
}

class CommitExchangeTest : public testing::Test {
 protected:
  // Partition and next offset of each item of the next batch; the batch is awaited then.
  std::vector<std::pair<int, int64_t>> Next(const std::vector<PartitionNews>& news = {}) {
    std::vector<std::pair<int, int64_t>> items;
    const std::optional<v1::Commit> commit = exchange_.Next(news, now_);
    if (!commit) return items;
    batch_ = commit->batch_id();
    for (const v1::CommitItem& item : commit->items()) {
      items.emplace_back(item.partition(), item.next_offset());
    }
    return items;
  }
  static CommitResult Result(PartitionNumber partition, int64_t next, CommitOutcome outcome,
                             FencingToken token = kToken) {
    CommitResult result;
    result.key = Key(partition);
    result.token = token;
    result.next = Offset{next};
    result.outcome = outcome;
    return result;
  }
  // The server's answer to the batch; returns what it has stored.
  std::vector<CommitResult> Answer(const std::vector<CommitResult>& results) {
    return exchange_.Take(batch_, results);
  }
  std::vector<int> Released() {
    std::vector<int> partitions;
    for (const GivenBack& back : exchange_.TakeReleased()) {
      partitions.push_back(back.key.partition);
    }
    return partitions;
  }

  CommitExchange exchange_;
  BootTime now_{1h};
  int64_t batch_ = 0;
};

// --- What is committed --------------------------------------------------------------------------

TEST_F(CommitExchangeTest, CommitsWhatHasMoved) {
  EXPECT_THAT(Next({News(0, 10), News(1, 0)}), ElementsAre(std::pair(0, 10)));
}

TEST_F(CommitExchangeTest, CommitsWhatWasGivenBackBeforeWhatRuns) {
  exchange_.GiveBack(Back(7, 70));

  EXPECT_THAT(Next({News(0, 10)}), ElementsAre(std::pair(7, 70), std::pair(0, 10)));
}

TEST_F(CommitExchangeTest, CommitsAtOnceWhatTheJournalWaitsForThoughNothingMoved) {
  PartitionNews news = News(0, 10);
  ASSERT_THAT(Next({news}), SizeIs(1));
  Answer({Result(0, 10, CommitOutcome::kStored)});
  news.must_commit = true;

  EXPECT_THAT(Next({news}), ElementsAre(std::pair(0, 10)));
}

TEST_F(CommitExchangeTest, AwaitsOneBatchAtATime) {
  ASSERT_THAT(Next({News(0, 10)}), SizeIs(1));

  EXPECT_THAT(Next({News(0, 20)}), IsEmpty());

  Answer({Result(0, 10, CommitOutcome::kStored)});
  EXPECT_THAT(Next({News(0, 20)}), ElementsAre(std::pair(0, 20)));
}

TEST_F(CommitExchangeTest, SaysNothingOfWhatTheServerHasStored) {
  ASSERT_THAT(Next({News(0, 10)}), SizeIs(1));
  EXPECT_THAT(Answer({Result(0, 10, CommitOutcome::kStored)}), SizeIs(1));

  EXPECT_THAT(Next({News(0, 10)}), IsEmpty());
}

TEST_F(CommitExchangeTest, SaysNothingMoreUnderATokenThatIsStale) {
  ASSERT_THAT(Next({News(0, 10)}), SizeIs(1));
  EXPECT_THAT(Answer({Result(0, 10, CommitOutcome::kStaleEpoch)}), IsEmpty());

  EXPECT_THAT(Next({News(0, 20)}), IsEmpty());
  EXPECT_THAT(Next({News(0, 20, kNextToken)}), ElementsAre(std::pair(0, 20)));
}

TEST_F(CommitExchangeTest, LearnsInEachSessionAnewWhatTheServerHasStored) {
  ASSERT_THAT(Next({News(0, 10)}), SizeIs(1));
  Answer({Result(0, 10, CommitOutcome::kStored)});

  exchange_.EndSession();
  exchange_.BeginSession();

  EXPECT_THAT(Next({News(0, 10)}), ElementsAre(std::pair(0, 10))) << "it may have been restored";
}

TEST_F(CommitExchangeTest, GivesEachPartitionItsTurnWhenNotAllFitIntoABatch) {
  constexpr int kPartitions = 30'000;
  std::vector<PartitionNews> news;
  for (int i = 0; i < kPartitions; ++i) news.push_back(News(i, 10));
  std::set<int> committed;

  for (int batch = 0; batch < 10 && committed.size() < kPartitions; ++batch) {
    std::vector<CommitResult> results;
    for (const auto& [partition, next] : Next(news)) {
      committed.insert(partition);
      results.push_back(Result(partition, next, CommitOutcome::kStored));
    }
    ASSERT_LT(results.size(), size_t{kPartitions}) << "one message has a limit";
    Answer(results);
    for (PartitionNews& one : news) ++one.commit.to.next.value;  // all go on meanwhile
  }

  EXPECT_THAT(committed, SizeIs(kPartitions));
}

TEST_F(CommitExchangeTest, IsInAHurryUntilItIsSaid) {
  EXPECT_FALSE(exchange_.is_due_at_once());
  exchange_.Hurry();
  EXPECT_TRUE(exchange_.is_due_at_once());

  Next({News(0, 10)});

  exchange_.Hurry();
  EXPECT_FALSE(exchange_.is_due_at_once()) << "a batch is awaited";
  Answer({Result(0, 10, CommitOutcome::kStored)});
  EXPECT_TRUE(exchange_.is_due_at_once());
  Next();
  EXPECT_FALSE(exchange_.is_due_at_once());
}

// --- Answers ------------------------------------------------------------------------------------

TEST_F(CommitExchangeTest, CommitsAgainWhatTheServerCouldNotStore) {
  ASSERT_THAT(Next({News(0, 10)}), SizeIs(1));
  EXPECT_THAT(Answer({Result(0, 10, CommitOutcome::kNotStored)}), IsEmpty());

  EXPECT_THAT(Next({News(0, 10)}), ElementsAre(std::pair(0, 10)));
}

TEST_F(CommitExchangeTest, CommitsAgainWhenAnAnswerCannotBeRead) {
  exchange_.GiveBack(Back(7, 70));
  ASSERT_THAT(Next({News(0, 10)}), SizeIs(2));

  EXPECT_THAT(exchange_.Take(batch_, Status(StatusCode::kInvalidArgument, "no result")), IsEmpty());

  EXPECT_THAT(Released(), IsEmpty());
  EXPECT_THAT(Next({News(0, 10)}), ElementsAre(std::pair(7, 70), std::pair(0, 10)));
}

TEST_F(CommitExchangeTest, CommitsAgainWhenAnAnswerIsLost) {
  exchange_.GiveBack(Back(7, 70));
  ASSERT_THAT(Next(), SizeIs(1));
  const int64_t lost = batch_;

  now_ += 14s;
  EXPECT_THAT(Next(), IsEmpty());
  now_ += 1s;
  EXPECT_THAT(Next(), ElementsAre(std::pair(7, 70)));

  EXPECT_THAT(exchange_.Take(lost, std::vector{Result(7, 70, CommitOutcome::kStored)}), IsEmpty());
  EXPECT_THAT(Released(), IsEmpty()) << "the late answer is to a batch that nobody awaits";
  Answer({Result(7, 70, CommitOutcome::kStored)});
  EXPECT_THAT(Released(), ElementsAre(7));
}

TEST_F(CommitExchangeTest, TakesNoResultOfWhatItDidNotSend) {
  ASSERT_THAT(Next({News(0, 10)}), SizeIs(1));

  EXPECT_THAT(Answer({Result(0, 20, CommitOutcome::kStored), Result(1, 10, CommitOutcome::kStored),
                      Result(0, 10, CommitOutcome::kStored, kNextToken)}),
              IsEmpty());

  EXPECT_THAT(Next({News(0, 10)}), ElementsAre(std::pair(0, 10)));
}

// --- What is given back -------------------------------------------------------------------------

TEST_F(CommitExchangeTest, TellsOfAReleaseOnlyWhenItsLastCommitIsStored) {
  exchange_.GiveBack(Back(7, 70));
  EXPECT_FALSE(exchange_.is_all_said());
  for (int time = 0; time < 3; ++time) {
    ASSERT_THAT(Next(), ElementsAre(std::pair(7, 70)));
    EXPECT_THAT(Released(), IsEmpty());
    Answer({Result(7, 70, CommitOutcome::kNotStored)});
    EXPECT_THAT(Released(), IsEmpty());
  }

  ASSERT_THAT(Next(), SizeIs(1));
  Answer({Result(7, 70, CommitOutcome::kStored)});

  EXPECT_FALSE(exchange_.is_all_said());
  EXPECT_THAT(Released(), ElementsAre(7));
  EXPECT_THAT(Released(), IsEmpty());
  EXPECT_TRUE(exchange_.is_all_said());
}

TEST_F(CommitExchangeTest, TellsOfAReleaseThoughItsLastCommitIsRefusedForGood) {
  for (const CommitOutcome outcome :
       {CommitOutcome::kStaleEpoch, CommitOutcome::kStaleIncarnation, CommitOutcome::kRegression,
        CommitOutcome::kNotContiguous, CommitOutcome::kUnknown, CommitOutcome::kNotOwner}) {
    exchange_.GiveBack(Back(7, 70));
    ASSERT_THAT(Next(), SizeIs(1));

    Answer({Result(7, 70, outcome)});

    EXPECT_THAT(Released(), ElementsAre(7)) << static_cast<int>(outcome);
  }
}

TEST_F(CommitExchangeTest, TellsOfNoReleaseWhoseCommitTheAnswerLeavesOut) {
  exchange_.GiveBack(Back(7, 70));
  ASSERT_THAT(Next({News(0, 10)}), SizeIs(2));

  Answer({Result(0, 10, CommitOutcome::kStored)});

  EXPECT_THAT(Released(), IsEmpty());
  EXPECT_THAT(Next(), ElementsAre(std::pair(7, 70)));
}

TEST_F(CommitExchangeTest, LeavesWhatWasNeverToldToTheNextSessionsHello) {
  exchange_.GiveBack(Back(6, 60));
  ASSERT_THAT(Next(), SizeIs(1));
  exchange_.GiveBack(Back(7, 70));

  exchange_.EndSession();
  EXPECT_FALSE(exchange_.is_all_said());
  exchange_.BeginSession();

  EXPECT_TRUE(exchange_.is_all_said());
  EXPECT_THAT(Next(), IsEmpty());
  EXPECT_THAT(Released(), IsEmpty());
}

}  // namespace
}  // namespace drawbridge
