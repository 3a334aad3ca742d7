#include "server/control/owner_change.h"

#include <string>

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

std::string Why(OwnerCase partition) {
  return std::string(WhyToReassign(partition).value_or("stays"));
}

TEST(OwnerChangeTest, FollowsTheTable) {
  struct Row {
    OwnerState owner;
    bool is_wanted;
    bool has_taker;
    bool may_reclaim;
    std::string expected;
    bool is_overdue = false;
  };
  const Row rows[] = {
      {OwnerState::kNone, true, true, false, "granted"},
      {OwnerState::kNone, true, false, true, "stays"},
      // What its owner has to do with it no more leaves it, whoever is there.
      {OwnerState::kRevoked, true, false, false, "revoked"},
      {OwnerState::kRevoked, true, true, true, "revoked"},
      {OwnerState::kReleased, true, true, false, "released"},
      {OwnerState::kReleased, true, false, false, "released"},
      {OwnerState::kReleased, false, false, false, "released"},
      // What its owner may be running waits for it.
      {OwnerState::kRunning, true, true, true, "stays"},
      {OwnerState::kRunning, true, true, true, "not released", true},
      {OwnerState::kRunning, true, false, true, "stays", true},
      {OwnerState::kLeased, true, true, true, "stays", true},
      {OwnerState::kRunning, false, false, true, "stays"},
      {OwnerState::kLeased, true, true, true, "stays"},
      {OwnerState::kLeased, false, false, true, "stays"},
      // What its owner may have been delivering all the time leaves it only for a reason.
      {OwnerState::kSilent, true, true, true, "lease expired"},
      {OwnerState::kSilent, true, false, true, "stays"},
      {OwnerState::kSilent, false, false, true, "lease expired"},
      {OwnerState::kSilent, false, true, true, "lease expired"},
      {OwnerState::kSilent, true, true, false, "stays"},
      {OwnerState::kSilent, false, false, false, "stays"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(Why({.owner = row.owner,
                   .is_wanted = row.is_wanted,
                   .has_taker = row.has_taker,
                   .may_reclaim = row.may_reclaim,
                   .is_overdue = row.is_overdue}),
              row.expected)
        << "row " << &row - rows;
  }
}

TEST(ReleaseWatchTest, CountsFromWhenThePartitionWasToldToLeave) {
  const BootTime start{1h};
  constexpr PartitionKey kKey{.stream = {1}, .partition = 0};
  ReleaseWatch watch(65s);
  EXPECT_FALSE(watch.IsOverdue(kKey, start));
  EXPECT_FALSE(watch.IsOverdue(kKey, start + 64s));
  watch.KeepOnly({kKey});
  EXPECT_TRUE(watch.IsOverdue(kKey, start + 65s));

  watch.KeepOnly({});

  EXPECT_FALSE(watch.IsOverdue(kKey, start + 66s)) << "it stayed, and leaves again";
}

TEST(ReclaimPaceTest, LetsARelayLoseAllThatItHasBeforeTheNextOneIsDue) {
  const BootTime start{1h};
  ReclaimPace pace;
  EXPECT_TRUE(pace.Allows({"a"}, start));

  pace.Reclaimed({"a"}, start);
  EXPECT_TRUE(pace.Allows({"a"}, start));
  EXPECT_FALSE(pace.Allows({"b"}, start));
  pace.Reclaimed({"a"}, start + 9s);
  EXPECT_FALSE(pace.Allows({"b"}, start + 9s));
  EXPECT_TRUE(pace.Allows({"b"}, start + 10s)) << "the first does not hold the others up";

  pace.Reclaimed({"b"}, start + 10s);
  EXPECT_FALSE(pace.Allows({"a"}, start + 11s));
}

}  // namespace
}  // namespace drawbridge
