#include "model/convert/checkpoint.h"

#include <limits>

#include "tests/model/convert/messages.h"

namespace drawbridge {
namespace {

class CommitItemTest : public testing::Test {
 protected:
  v1::CommitItem message_ = FromText<v1::CommitItem>(R"(
      stream_id: 7
      partition: 3
      token { incarnation: 1 epoch: 12 }
      base_offset: 100
      next_offset: 200
      anchor { offset: 198 timestamp_ms: 1773480413589 hash: 18446744073709551615 }
      gaps { from_offset: 110 to_offset: 120 cause: GAP_CAUSE_RETENTION }
      gaps { from_offset: 130 to_offset: 131 cause: GAP_CAUSE_SKIPPED }
      filtered { from_offset: 140 to_offset: 150 records: 10 }
      dead_letters { from_offset: 150 to_offset: 160 records: 3 error: "a: b" })");
};

TEST_F(CommitItemTest, KeepsAll) { ExpectKeepsAll(message_); }

TEST_F(CommitItemTest, RefusesOrKeepsWhateverComes) {
  ExpectRefusesOrKeeps<v1::CommitItem>(message_);
}

TEST_F(CommitItemTest, MayStandAtTheVeryBeginning) {
  const StatusOr<CommitItem> item = FromProto(FromText<v1::CommitItem>("stream_id: 1 token {}"));

  ASSERT_TRUE(item.ok()) << item.status().ToString();
  EXPECT_EQ(item->to, Checkpoint{});
}

TEST_F(CommitItemTest, MayHaveAnAnchorWithAnyTimestamp) {
  for (const int64_t time : {int64_t{-1}, int64_t{0}, std::numeric_limits<int64_t>::min(),
                             std::numeric_limits<int64_t>::max()}) {
    message_.mutable_anchor()->set_timestamp_ms(time);

    const StatusOr<CommitItem> item = FromProto(message_);

    ASSERT_TRUE(item.ok());
    EXPECT_EQ(item->to.anchor->timestamp_ms, time);
  }
}

TEST_F(CommitItemTest, BlamesTheFieldByItsPath) {
  ExpectBlamed(message_, "stream_id", [](auto& it) { it.clear_stream_id(); });
  ExpectBlamed(message_, "partition", [](auto& it) { it.set_partition(-1); });
  ExpectBlamed(message_, "token", [](auto& it) { it.clear_token(); });
  ExpectBlamed(message_, "token.epoch", [](auto& it) { it.mutable_token()->set_epoch(-1); });
  ExpectBlamed(message_, "base_offset", [](auto& it) { it.set_base_offset(-1001); });
  ExpectBlamed(message_, "next_offset", [](auto& it) { it.set_next_offset(-1); });
  ExpectBlamed(message_, "anchor.offset", [](auto& it) { it.mutable_anchor()->set_offset(-1); });
  ExpectBlamed(message_, "gaps[1].cause", [](auto& it) { it.mutable_gaps(1)->clear_cause(); });
  ExpectBlamed(message_, "gaps[1].to_offset",
               [](auto& it) { it.mutable_gaps(1)->set_to_offset(130); });
  ExpectBlamed(message_, "filtered[0].records",
               [](auto& it) { it.mutable_filtered(0)->set_records(11); });
  for (const int64_t records : {-1, 0, 11}) {
    ExpectBlamed(message_, "dead_letters[0].records",
                 [&](auto& it) { it.mutable_dead_letters(0)->set_records(records); });
  }
  for (const size_t size : {size_t{0}, kDeadLetterErrorMax + 1}) {
    ExpectBlamed(message_, "dead_letters[0].error",
                 [&](auto& it) { it.mutable_dead_letters(0)->set_error(std::string(size, 'e')); });
  }
}

TEST_F(CommitItemTest, RefusesARangeThatRunsBackwards) {
  ExpectBlamed(message_, "next_offset", [](auto& it) {
    it.clear_anchor();
    it.clear_gaps();
    it.clear_filtered();
    it.clear_dead_letters();
    it.set_next_offset(99);
  });
}

// A lane that starts at such an anchor would never read what lies between.
TEST_F(CommitItemTest, RefusesAnAnchorThatTheCheckpointHasNotPassed) {
  ExpectBlamed(message_, "anchor.offset", [](auto& it) { it.mutable_anchor()->set_offset(200); });
}

TEST_F(CommitItemTest, RefusesAGapThatItDoesNotPassOver) {
  ExpectBlamed(message_, "gaps", [](auto& it) { it.mutable_gaps(0)->set_from_offset(99); });
  ExpectBlamed(message_, "gaps", [](auto& it) { it.mutable_gaps(1)->set_to_offset(201); });
  ExpectBlamed(message_, "filtered", [](auto& it) { it.mutable_filtered(0)->set_to_offset(201); });
  ExpectBlamed(message_, "dead_letters",
               [](auto& it) { it.mutable_dead_letters(0)->set_to_offset(201); });
}

TEST_F(CommitItemTest, MayPassOverAMillionGaps) {
  constexpr int kGaps = 1'000'000;
  message_.clear_gaps();
  message_.mutable_gaps()->Reserve(kGaps);
  for (int i = 0; i < kGaps; ++i) {
    v1::OffsetGap& gap = *message_.add_gaps();
    gap.set_from_offset(150);
    gap.set_to_offset(151);
    gap.set_cause(v1::GAP_CAUSE_RETENTION);
  }
  ASSERT_TRUE(FromProto(message_).ok());

  message_.mutable_gaps(kGaps - 1)->clear_cause();
  EXPECT_EQ(FromProto(message_).status().field(), "gaps[999999].cause");
}

TEST_F(CommitItemTest, IsBlamedByItsPlaceInTheCommit) {
  v1::Commit commit;
  *commit.add_items() = message_;
  *commit.add_items() = message_;
  const StatusOr<std::vector<CommitItem>> items = FromProto(commit);
  ASSERT_TRUE(items.ok());
  EXPECT_EQ(items->size(), 2U);

  commit.mutable_items(1)->clear_token();
  EXPECT_EQ(FromProto(commit).status().field(), "items[1].token");
}

class CommitResultTest : public testing::Test {
 protected:
  v1::CommitResult message_ = FromText<v1::CommitResult>(R"(
      stream_id: 7
      partition: 3
      outcome: COMMIT_OUTCOME_NOT_CONTIGUOUS
      token { incarnation: 1 epoch: 12 }
      next_offset: 200)");
};

TEST_F(CommitResultTest, KeepsAll) { ExpectKeepsAll(message_); }

TEST_F(CommitResultTest, RefusesOrKeepsWhateverComes) {
  ExpectRefusesOrKeeps<v1::CommitResult>(message_);
}

TEST_F(CommitResultTest, DoesNotTakeAnUnknownOutcomeForStored) {
  ExpectBlamed(message_, "outcome", [](auto& it) { it.clear_outcome(); });
  ExpectBlamed(message_, "outcome",
               [](auto& it) { it.set_outcome(static_cast<v1::CommitOutcome>(9)); });
}

TEST_F(CommitResultTest, IsBlamedByItsPlaceInTheAnswer) {
  v1::CommitResults results;
  *results.add_results() = message_;
  ASSERT_TRUE(FromProto(results).ok());

  results.mutable_results(0)->set_stream_id(-7);
  EXPECT_EQ(FromProto(results).status().field(), "results[0].stream_id");
}

}  // namespace
}  // namespace drawbridge
