#include "tests/server/store/protocol_model.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int kDepth = 14;
constexpr Promise kNoLoss = Promise::kNothingUnconfirmedIsPassed;

TEST(ProtocolModelTest, PassesNoUnconfirmedRecord) {
  const SearchResult found = Search({}, kNoLoss, kDepth + 1);

  EXPECT_THAT(found.counter_example, IsEmpty());
  EXPECT_GT(found.states, 1'000'000U) << "a model that does nothing breaks no promise either";
}

TEST(ProtocolModelTest, MovesNoCheckpointBackByACommit) {
  EXPECT_THAT(Search({}, Promise::kNoCommitMovesACheckpointBack, kDepth).counter_example,
              IsEmpty());
}

TEST(ProtocolModelTest, PassesNoRecordThatIsReadAndNotDelivered) {
  Protocol protocol;
  protocol.reads_ahead = true;
  EXPECT_THAT(Search(protocol, kNoLoss, kDepth).counter_example, IsEmpty());
}

TEST(ProtocolModelTest, PassesNoUnconfirmedRecordInAWorseWorld) {
  Protocol protocol;
  protocol.relays_begin_too_far = true;
  EXPECT_THAT(Search(protocol, kNoLoss, kDepth - 1).counter_example, IsEmpty());
  protocol.relays_pose_as_owner = true;
  protocol.reads_ahead = true;
  EXPECT_THAT(Search(protocol, kNoLoss, kDepth - 3).counter_example, IsEmpty());
}

// --- What each rule is there for: without it, the shortest way to lose a record
// --------------------

TEST(ProtocolModelTest, NeedsAnEpochThatARewindRaises) {
  Protocol protocol;
  protocol.rewind_raises_epoch = false;

  EXPECT_THAT(Search(protocol, kNoLoss, kDepth).counter_example,
              ElementsAre("relay 0 delivers 0", "relay 0 sends: 1.1 to 1", "rewind to 0",
                          "the server stores 1.1 to 1 of relay 0"));
}

TEST(ProtocolModelTest, NeedsTheCheckOfTheEpoch) {
  Protocol protocol;
  protocol.commit.checks_epoch = false;

  EXPECT_THAT(Search(protocol, kNoLoss, kDepth).counter_example,
              ElementsAre("relay 0 delivers 0", "relay 0 sends: 1.1 to 1", "rewind to 0",
                          "the server stores 1.1 to 1 of relay 0"));
}

TEST(ProtocolModelTest, NeedsAnIncarnationThatARestoreRaises) {
  Protocol protocol;
  protocol.restore_raises_incarnation = false;

  EXPECT_THAT(Search(protocol, kNoLoss, kDepth).counter_example,
              ElementsAre("backup", "rewind to 0", "relay 0 begins at 0 with 1.2",
                          "relay 0 delivers 0", "relay 0 sends: 1.2 to 1", "restore", "rewind to 0",
                          "the server stores 1.2 to 1 of relay 0"));
}

TEST(ProtocolModelTest, NeedsTheCheckOfTheIncarnation) {
  Protocol protocol;
  protocol.commit.checks_incarnation = false;

  EXPECT_EQ(Search(protocol, kNoLoss, kDepth).counter_example.size(), 8U);
}

// Without the owner's check a restore is fatal even after a mere handover.
TEST(ProtocolModelTest, NeedsTheIncarnationSoonerWithoutTheCheckOfTheOwner) {
  Protocol protocol;
  protocol.restore_raises_incarnation = false;
  protocol.commit.checks_owner = false;

  EXPECT_THAT(Search(protocol, kNoLoss, kDepth).counter_example,
              ElementsAre("backup", "the partition goes to relay 1", "relay 1 begins at 0 with 1.2",
                          "relay 1 delivers 0", "relay 1 sends: 1.2 to 1", "restore", "rewind to 0",
                          "the server stores 1.2 to 1 of relay 1"));
}

TEST(ProtocolModelTest, NeedsTheCheckOfTheOwnerAgainstARelayThatLies) {
  Protocol protocol;
  protocol.relays_pose_as_owner = true;
  EXPECT_THAT(Search(protocol, kNoLoss, kDepth - 2).counter_example, IsEmpty());
  protocol.commit.checks_owner = false;

  EXPECT_THAT(
      Search(protocol, kNoLoss, kDepth).counter_example,
      ElementsAre("relay 1 poses as the owner: 1.1 to 3", "the server stores 1.1 to 3 of relay 1"));
}

TEST(ProtocolModelTest, NeedsTheCheckOfTheBaseAgainstARelayThatBeginsTooFar) {
  Protocol protocol;
  protocol.relays_begin_too_far = true;
  protocol.commit.checks_base = false;

  EXPECT_THAT(Search(protocol, kNoLoss, kDepth).counter_example,
              ElementsAre("relay 0 dies", "relay 0 begins at 1 with 1.1", "relay 0 delivers 1",
                          "relay 0 sends: 1.1 to 2", "the server stores 1.1 to 2 of relay 0"));
}

TEST(ProtocolModelTest, NeedsConfirmationsAndNotReads) {
  Protocol protocol;
  protocol.reads_ahead = true;
  protocol.commits_only_confirmed = false;

  EXPECT_THAT(Search(protocol, kNoLoss, kDepth).counter_example,
              ElementsAre("relay 0 reads 0", "relay 0 sends: 1.1 to 1",
                          "the server stores 1.1 to 1 of relay 0"));
}

// A late commit would move the checkpoint back: nothing is lost by that, but delivered twice.
TEST(ProtocolModelTest, NeedsACheckpointThatOnlyRisesAgainstDuplicatesOnly) {
  Protocol protocol;
  protocol.commit.is_monotonic = false;

  EXPECT_THAT(Search(protocol, kNoLoss, kDepth).counter_example, IsEmpty());
  EXPECT_THAT(Search(protocol, Promise::kNoCommitMovesACheckpointBack, kDepth).counter_example,
              ElementsAre("relay 0 delivers 0", "relay 0 sends: 1.1 to 1", "relay 0 delivers 1",
                          "relay 0 sends: 1.1 to 2", "the server stores 1.1 to 2 of relay 0",
                          "the server stores 1.1 to 1 of relay 0"));
}

}  // namespace
}  // namespace drawbridge
