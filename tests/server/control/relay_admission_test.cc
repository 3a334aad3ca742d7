#include "server/control/relay_admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::SizeIs;

constexpr BootTime kStart{1h};
constexpr PartitionKey kKey{.stream = {1}, .partition = 0};

class RelayAdmissionTest : public testing::Test {
 protected:
  RelayAdmissionTest() {
    stored_.incarnation = 3;
    stored_.revision = 10;
    stored_.relays.emplace_back().name = {"fra-1"};
    hello_.relay = {"fra-1"};
    hello_.boot_id = "this";
    hello_.incarnation = 3;
    hello_.revision = 10;
  }
  void Hold(PartitionKey key, FencingToken token) {
    hello_.held.clear();
    HeldPartition& held = hello_.held.emplace_back();
    held.key = key;
    held.token = token;
  }
  Reason ReasonAt(BootTime now, const std::optional<RelayAdmission::Incumbent>& incumbent = {}) {
    return admission_.Review(hello_, stored_, incumbent, now).reason();
  }

  DesiredState stored_;
  RelayHello hello_;
  RelayAdmission admission_;
};

TEST_F(RelayAdmissionTest, LetsAnEnrolledRelayIn) {
  EXPECT_TRUE(admission_.Review(hello_, stored_, std::nullopt, kStart).ok());
}

TEST_F(RelayAdmissionTest, LetsNobodyInWhoIsNotEnrolled) {
  hello_.relay = {"other"};
  EXPECT_EQ(ReasonAt(kStart), Reason::kNotFound);
}

TEST_F(RelayAdmissionTest, LetsNobodyInWhoWasRevoked) {
  stored_.relays[0].is_revoked = true;
  EXPECT_EQ(ReasonAt(kStart), Reason::kRelayRevoked);
}

TEST_F(RelayAdmissionTest, LetsNobodyInWhoseIncarnationIsAbsurd) {
  Hold(kKey, {.incarnation = 1'003, .epoch = 1});
  EXPECT_EQ(ReasonAt(kStart), Reason::kUnspecified);

  Hold(kKey, {.incarnation = 1'004, .epoch = 1});
  EXPECT_EQ(ReasonAt(kStart), Reason::kFieldInvalid);
}

TEST_F(RelayAdmissionTest, TurnsASecondProcessAwayWhileTheFirstIsThere) {
  EXPECT_EQ(ReasonAt(kStart, {{.boot_id = "other", .silent_for = 9s}}), Reason::kDuplicateIdentity);
  EXPECT_EQ(ReasonAt(kStart, {{.boot_id = "other", .silent_for = 10s}}), Reason::kUnspecified)
      << "two heartbeats are missed";
  EXPECT_EQ(ReasonAt(kStart, {{.boot_id = "this", .silent_for = 0s}}), Reason::kUnspecified)
      << "it lost its session, and nobody else has come";
}

TEST_F(RelayAdmissionTest, TellsForHowLongATwinHasTried) {
  const RelayAdmission::Incumbent incumbent{.boot_id = "other", .silent_for = 0s};
  EXPECT_EQ(admission_.TwinAge({"fra-1"}, kStart), std::nullopt);

  ReasonAt(kStart, incumbent);
  ReasonAt(kStart + 15s, incumbent);

  EXPECT_EQ(admission_.TwinAge({"fra-1"}, kStart + 20s), Duration(20s));
  EXPECT_EQ(admission_.TwinAge({"fra-2"}, kStart + 20s), std::nullopt);
  EXPECT_EQ(admission_.TwinAge({"fra-1"}, kStart + 76s), std::nullopt) << "it was stopped";

  ReasonAt(kStart + 100s, incumbent);
  EXPECT_EQ(admission_.TwinAge({"fra-1"}, kStart + 101s), Duration(1s)) << "it is another one";
}

class ReviewHeldTest : public RelayAdmissionTest {
 protected:
  ReviewHeldTest() {
    StoredPartition& partition = stored_.partitions.emplace_back();
    partition.key = kKey;
    partition.token = kToken;
  }
  HeldReview Held(FencingToken token, PartitionKey key = kKey) {
    Hold(key, token);
    return ReviewHeld(hello_, stored_);
  }

  static constexpr FencingToken kToken{.incarnation = 3, .epoch = 5};
};

TEST_F(ReviewHeldTest, TakesWhatWasConfirmedUnderAValidToken) {
  const HeldReview review = Held(kToken);
  EXPECT_FALSE(review.is_rolled_back);
  EXPECT_THAT(review.items, SizeIs(1));
}

TEST_F(ReviewHeldTest, TakesNothingUnderAnOldToken) {
  const HeldReview review = Held({.incarnation = 3, .epoch = 4});
  EXPECT_FALSE(review.is_rolled_back);
  EXPECT_THAT(review.items, SizeIs(0));
}

TEST_F(ReviewHeldTest, TakesNothingOfAPartitionThatIsGone) {
  const HeldReview review = Held(kToken, {.stream = {2}, .partition = 0});
  EXPECT_FALSE(review.is_rolled_back);
  EXPECT_THAT(review.items, SizeIs(0));
}

TEST_F(ReviewHeldTest, NoticesADatabaseThatWasRolledBack) {
  EXPECT_TRUE(Held({.incarnation = 3, .epoch = 6}).is_rolled_back) << "a later token";
  hello_.revision = 11;
  EXPECT_TRUE(Held(kToken).is_rolled_back) << "a later revision";
  hello_.revision = 1;
  hello_.incarnation = 4;
  EXPECT_TRUE(Held(kToken).is_rolled_back) << "a later incarnation";
  EXPECT_EQ(Held({.incarnation = 7, .epoch = 1}).newest_incarnation, 7);
}

TEST_F(ReviewHeldTest, TakesAnOlderRevisionForOneThatIsBehind) {
  hello_.revision = 9;
  EXPECT_FALSE(Held(kToken).is_rolled_back);
}

}  // namespace
}  // namespace drawbridge
