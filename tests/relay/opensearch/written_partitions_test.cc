#include "relay/opensearch/written_partitions.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

class WrittenPartitionsTest : public testing::Test {
 protected:
  explicit WrittenPartitionsTest(int letters_percent = 0) : partitions_(0, letters_percent) {
    for (Slot slot = 0; slot < 4; ++slot) Open(slot);
  }

  void Open(Slot slot, int source_epoch = 1) {
    Route route;
    route.key = {.stream = StreamId{1}, .partition = static_cast<PartitionNumber>(slot)};
    route.source_topic = "audit";
    route.target_topic = "logs";
    route.partition = static_cast<PartitionNumber>(slot);
    route.source_epoch = source_epoch;
    partitions_.Open(slot, std::make_shared<const Destination>(
                               Destination{route, *IndexTemplate::Create(route.target_topic)}));
  }
  Pending Admit(Slot slot, uint32_t window = 1) {
    Record record;
    record.offset = next_;
    const OffsetRange covered{next_, Next(next_)};
    next_ = covered.end;
    return partitions_.Admit(slot, window, covered, std::move(record), kNow);
  }
  bool IsStorm(const Pending& entry, const std::string& cause) {
    return partitions_.Refused(entry, cause, kNow) == Blame::kIndex;
  }
  // The next record of the slot is refused and given back; whether for a storm.
  bool StormsAgain(Slot slot, uint32_t window) {
    const Pending entry = Admit(slot, window);
    const bool is_storm = IsStorm(entry, "closed");
    partitions_.Release(entry);
    return is_storm;
  }
  // The next record of the slot is found there, or the engine says that it is there.
  void FindNext(Slot slot, uint32_t window, bool is_asked_of_engine = false) {
    const Pending entry = Admit(slot, window);
    if (is_asked_of_engine) {
      partitions_.Passed(entry, true, kNow);
    } else {
      partitions_.Found(entry, kNow);
    }
    partitions_.Confirmed(entry, kNow);
  }
  // Records of the slot that are refused until they are taken for a storm; how many.
  int RefusedBeforeAStorm(Slot slot) {
    for (int count = 0; count < 1000; ++count) {
      const Pending entry = Admit(slot);
      partitions_.Release(entry);
      if (IsStorm(entry, "closed")) return count;
    }
    return -1;
  }

  static constexpr BootTime kNow{1h};
  WrittenPartitions partitions_;
  Offset next_{};
};

TEST_F(WrittenPartitionsTest, TakeOneRecordAtATimeWhileBlocked) {
  partitions_.Block(0);
  EXPECT_TRUE(partitions_.TakesMore(0));
  const Pending probe = Admit(0);
  EXPECT_FALSE(partitions_.TakesMore(0));
  EXPECT_TRUE(partitions_.TakesMore(1)) << "another partition";

  partitions_.Release(probe);

  EXPECT_TRUE(partitions_.TakesMore(0));
}

TEST_F(WrittenPartitionsTest, AreFreeOnceARecordPassesThatCameAfterTheBlock) {
  const Pending before = Admit(0, 5);
  const Pending failed = Admit(0, 5);
  partitions_.Block(failed);

  partitions_.Passed(before, false, kNow);
  EXPECT_FALSE(partitions_.TakesMore(0)) << "it was on its way before";
  partitions_.Passed(Admit(0, 6), false, kNow);

  EXPECT_TRUE(partitions_.TakesMore(0));
}

TEST_F(WrittenPartitionsTest, StayBlockedOverAReplayButNotForANewLog) {
  partitions_.Block(0);
  Open(0);
  Admit(0);
  EXPECT_FALSE(partitions_.TakesMore(0));

  Open(0, 2);

  EXPECT_TRUE(partitions_.TakesMore(0));
}

TEST_F(WrittenPartitionsTest, CallARecordOldOnceItsPartitionWasOpenedAnewOrLeft) {
  const Pending entry = Admit(0);
  const Pending other = Admit(1);
  EXPECT_FALSE(partitions_.IsOld(entry));

  Open(0);
  partitions_.Close(1);

  EXPECT_TRUE(partitions_.IsOld(entry));
  EXPECT_TRUE(partitions_.IsOld(other));
}

TEST_F(WrittenPartitionsTest, HoldAStreamOfWhichHalfIsRefused) {
  for (const Slot slot : {0U, 1U, 2U}) {
    for (int i = 0; i < 10; ++i) IsStorm(Admit(slot), "closed");
  }

  EXPECT_TRUE(IsStorm(Admit(3), "closed")) << "its first";
}

TEST_F(WrittenPartitionsTest, HoldAStreamUntilARecordIsWrittenThatWasHeldForIt) {
  for (const Slot slot : {0U, 1U, 2U}) {
    for (int i = 0; i < 10; ++i) IsStorm(Admit(slot), "closed");
  }
  const Pending held = Admit(3);
  ASSERT_TRUE(IsStorm(held, "closed"));
  partitions_.Block(held);
  partitions_.Release(held);

  FindNext(3, 2, true);
  partitions_.Judge(kNow + 3s);
  EXPECT_TRUE(StormsAgain(3, 3)) << "it was there, which proves nothing";
  partitions_.Block(3);
  FindNext(3, 4);
  partitions_.Judge(kNow + 3s);
  EXPECT_TRUE(StormsAgain(3, 5)) << "nor does a look";
  partitions_.Block(3);
  partitions_.Passed(Admit(3, 6), false, kNow);
  partitions_.Judge(kNow + 3s);

  EXPECT_FALSE(StormsAgain(3, 7));
}

TEST_F(WrittenPartitionsTest, ForgetAStormWithItsCause) {
  ASSERT_GT(RefusedBeforeAStorm(0), 0);
  partitions_.Block(0);

  partitions_.Passed(Admit(0, 2), false, kNow);
  partitions_.Judge(kNow + 3s);

  EXPECT_GT(RefusedBeforeAStorm(0), 0);
}

TEST_F(WrittenPartitionsTest, ForgetNoStormForWhatIsFoundThere) {
  ASSERT_GT(RefusedBeforeAStorm(0), 0);
  partitions_.Block(0);
  FindNext(0, 2);
  partitions_.Judge(kNow + 3s);
  for (int i = 0; i < 100; ++i) FindNext(0, 2);
  EXPECT_TRUE(StormsAgain(0, 3)) << "the next one that is refused";
  partitions_.Block(0);
  FindNext(0, 4);
  partitions_.Judge(kNow + 3s);

  partitions_.Passed(Admit(0, 5), false, kNow);
  partitions_.Judge(kNow + 3s);

  EXPECT_GT(RefusedBeforeAStorm(0), 0);
}

TEST_F(WrittenPartitionsTest, CountWhatIsFoundThereAmongTheGood) {
  for (int i = 0; i < 1000; ++i) {
    if (i % 10 == 0) {
      EXPECT_FALSE(StormsAgain(0, 1)) << i;
    } else {
      FindNext(0, 1);
    }
  }
}

class TrialTest : public WrittenPartitionsTest {
 protected:
  TrialTest() {
    RefusedBeforeAStorm(0);
    const Pending last = Admit(0);
    partitions_.Block(last);
    partitions_.Release(last);
  }

  // The next replay begins.
  void Begin() {
    next_ = Offset{1000};
    ++window_;
  }
  // What is said of records that are on trial: so many are refused, and so many pass.
  void Refuse(int count) {
    for (int i = 0; i < count; ++i) {
      Pending entry = Admit(0, window_);
      ASSERT_EQ(partitions_.Refused(entry, "closed", kNow), Blame::kOnTrial) << i;
      partitions_.Hold({.entry = std::move(entry), .refusal = {}, .cause = "closed"});
    }
  }
  void Pass(int count) {
    for (int i = 0; i < count; ++i) {
      const Pending entry = Admit(0, window_);
      partitions_.Passed(entry, false, kNow);
      partitions_.Confirmed(entry, kNow);
    }
  }
  // How the trial ends; nullopt: it does not yet. Those that were kept are given back.
  std::optional<bool> IsStormByNow(Duration patience = 3s) {
    const std::vector<Judgement> judgements = partitions_.Judge(kNow + patience);
    for (const Judgement& judgement : judgements) {
      for (const Suspect& suspect : judgement.refused) partitions_.Release(suspect.entry);
    }
    return judgements.empty() ? std::nullopt : std::optional(judgements[0].is_storm);
  }
  std::optional<bool> Try(int refused, int passed) {
    Begin();
    Refuse(refused);
    Pass(passed);
    return IsStormByNow();
  }
  bool IsHeldBack(int64_t offset) {
    next_ = Offset{offset};
    const Pending entry = Admit(0, ++window_);
    const bool is_held_back = partitions_.Refused(entry, "closed", kNow) != Blame::kRecord;
    partitions_.Release(entry);
    return is_held_back;
  }

  uint32_t window_ = 1;
};

TEST_F(TrialTest, LetsManyRecordsAhead) {
  for (size_t i = 0; i < StormBreaker::kWindow; ++i) {
    ASSERT_TRUE(partitions_.TakesMore(0)) << i;
    Admit(0, 2);
  }
  EXPECT_FALSE(partitions_.TakesMore(0));
}

TEST_F(TrialTest, EndsAStormOfBadRecordsSideBySide) {
  EXPECT_EQ(Try(100, 400), false);

  EXPECT_FALSE(partitions_.IsBlocked(0));
  for (int64_t offset = 1000; offset < 1100; ++offset) {
    EXPECT_FALSE(IsHeldBack(offset)) << "its own fault";
  }
}

TEST_F(TrialTest, FindsTheIndexAtFaultWhereHalfOfThemAreRefused) {
  EXPECT_EQ(Try(250, 250), true);

  EXPECT_TRUE(partitions_.IsBlocked(0));
  EXPECT_TRUE(IsHeldBack(1000));
}

TEST_F(TrialTest, WaitsForWhatIsStillOnItsWay) {
  Begin();
  std::vector<Pending> on_their_way;
  for (int i = 0; i < 60; ++i) on_their_way.push_back(Admit(0, window_));
  Refuse(30);
  EXPECT_EQ(IsStormByNow(), std::nullopt) << "as those of a first request are";

  for (const Pending& entry : on_their_way) {
    partitions_.Passed(entry, false, kNow);
    partitions_.Confirmed(entry, kNow);
  }

  EXPECT_EQ(IsStormByNow(), false);
  EXPECT_FALSE(partitions_.IsBlocked(0));
}

TEST_F(TrialTest, DoesNotEndWithWhatIsFoundThereBeforeTheRest) {
  Begin();
  FindNext(0, window_);
  std::vector<Pending> on_their_way;
  for (int i = 0; i < 6; ++i) on_their_way.push_back(Admit(0, window_));
  EXPECT_EQ(IsStormByNow(), std::nullopt);
  EXPECT_TRUE(partitions_.IsBlocked(0));

  for (Pending& entry : on_their_way) {
    ASSERT_EQ(partitions_.Refused(entry, "closed", kNow), Blame::kOnTrial);
    partitions_.Hold({.entry = std::move(entry), .refusal = {}, .cause = "closed"});
  }
  for (int i = 0; i < 20; ++i) FindNext(0, window_);

  EXPECT_EQ(IsStormByNow(), false) << "bad records among those that were taken before";
}

TEST_F(TrialTest, EndsWithABlockForAnotherCause) {
  Begin();
  FindNext(0, window_);
  partitions_.Block(Admit(0, window_));

  EXPECT_EQ(IsStormByNow(), std::nullopt);
  EXPECT_TRUE(partitions_.IsBlocked(0));
}

TEST_F(TrialTest, KeepsWhatItHoldsOverABlock) {
  Begin();
  Refuse(3);

  partitions_.Block(0);

  EXPECT_EQ(partitions_.TakeHeld(0).size(), 3U) << "else nobody gives them back";
}

TEST_F(TrialTest, GivesUpWhatItKeepsOfAPartition) {
  Begin();
  Refuse(3);

  EXPECT_EQ(partitions_.TakeHeld(0).size(), 3U);

  EXPECT_EQ(partitions_.TakeHeld(0).size(), 0U);
  EXPECT_EQ(partitions_.TakeHeld(1).size(), 0U);
}

TEST_F(TrialTest, SaysNothingOfWhatLiesElsewhere) {
  ASSERT_EQ(Try(100, 400), false);

  int written_off = 0;
  while (written_off < 100 && !IsHeldBack(5000 + written_off)) ++written_off;
  EXPECT_LT(written_off, 20) << "behind it a storm is one as ever";
  EXPECT_TRUE(IsHeldBack(10)) << "before it as well";
}

TEST_F(TrialTest, CountsNobodyWhoWasOnTheWayBefore) {
  const Pending early = Admit(0, 1);
  for (int i = 0; i < 100; ++i) partitions_.Passed(early, false, kNow);
  partitions_.Judge(kNow + 3s);

  EXPECT_TRUE(partitions_.IsBlocked(0));
}

TEST_F(WrittenPartitionsTest, CountNoRecordThatTheLaneHasGivenUp) {
  const Pending old = Admit(0);
  partitions_.Close(0);
  Open(0);
  partitions_.Block(0);
  EXPECT_TRUE(partitions_.TakesMore(0)) << "the old one may fail for ever";

  const Pending probe = Admit(0);
  partitions_.Release(old);
  EXPECT_FALSE(partitions_.TakesMore(0));

  partitions_.Release(probe);
  EXPECT_TRUE(partitions_.TakesMore(0));
}

TEST_F(WrittenPartitionsTest, TakeNoRecordsOwnFaultForAStorm) {
  for (int i = 0; i < 600; ++i) {
    EXPECT_EQ(partitions_.Refused(Admit(0), "", kNow), Blame::kRecord) << i;
  }
}

TEST_F(WrittenPartitionsTest, KnowWhatMayBeThereAlready) {
  EXPECT_FALSE(Admit(0).may_be_there);
  next_ = Offset{0};
  Open(0);

  EXPECT_TRUE(Admit(0).may_be_there) << "it was sent before";
}

class LimitedLettersTest : public WrittenPartitionsTest {
 protected:
  LimitedLettersTest() : WrittenPartitionsTest(10) {}

  // Refuses records of the slot, each for another reason, until they are too many; those before
  // are kept as letters. How many those are.
  int KeptOf(Slot slot, int count, BootTime now = kNow) {
    for (int kept = 0; kept < count; ++kept) {
      Pending entry = Admit(slot);
      if (partitions_.Refused(entry, std::to_string(entry.record.offset.value), now) !=
          Blame::kRecord) {
        partitions_.Release(entry);
        return kept;
      }
      partitions_.BeginLetter(entry);
      partitions_.Confirmed(entry, now);
    }
    return count;
  }
};

TEST_F(LimitedLettersTest, AreTooManyOnceTheBudgetOfTheirPartitionIsSpent) {
  EXPECT_EQ(KeptOf(0, 100), 20);
  EXPECT_EQ(KeptOf(0, 100), 0);
  EXPECT_EQ(KeptOf(1, 10), 10) << "another partition";
  EXPECT_EQ(KeptOf(0, 10, kNow + 1h), 10) << "an hour later";
}

TEST_F(LimitedLettersTest, AreNoStormThoughOneIsTriedAgainAndAgain) {
  ASSERT_EQ(KeptOf(0, 100), 20);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(partitions_.Refused(Admit(0), "clash", kNow), Blame::kTooMany) << i;
  }
}

TEST_F(LimitedLettersTest, AreAShareOfTheRecordsOfTheirPartition) {
  for (int i = 0; i < 970; ++i) Admit(0);
  EXPECT_EQ(KeptOf(0, 200), 107) << "the next one is the 108th of 1,078";
}

TEST_F(LimitedLettersTest, AreCountedOnceThoughTheyAreGivenBackAndWrittenAgain) {
  for (int turn = 0; turn < 3; ++turn) {
    std::vector<Pending> entries;
    for (int i = 0; i < 15; ++i) {
      entries.push_back(Admit(0));
      partitions_.BeginLetter(entries.back());
    }
    if (turn == 1) Open(0);
    for (const Pending& entry : entries) partitions_.Release(entry);
  }
  EXPECT_EQ(KeptOf(0, 100), 20);
}

}  // namespace
}  // namespace drawbridge
