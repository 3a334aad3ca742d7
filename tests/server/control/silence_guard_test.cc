#include "server/control/silence_guard.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::UnorderedElementsAre;

constexpr Duration kSpan = 40s;

class SilenceGuardTest : public testing::Test {
 protected:
  // Relays a, b, ... of a fleet: capitals are there, small letters silent.
  static std::vector<RelayPresence> Fleet(const std::string& letters) {
    std::vector<RelayPresence> relays;
    for (const char letter : letters) {
      const bool is_silent = letter >= 'a';
      relays.push_back(
          {.relay = {std::string(1, is_silent ? letter : static_cast<char>(letter - 'A' + 'a'))},
           .is_silent = is_silent,
           .is_owner = true,
           .was_connected = true});
    }
    return relays;
  }
  bool SuspectsAt(Duration time, const std::string& letters) {
    guard_.See(Fleet(letters), BootTime{1h} + time);
    return guard_.is_suspect();
  }

  SilenceGuard guard_{kSpan};
};

TEST_F(SilenceGuardTest, BelievesTheDeathOfTwo) { EXPECT_FALSE(SuspectsAt(0s, "abC")); }

TEST_F(SilenceGuardTest, BelievesTheDeathOfHalf) { EXPECT_FALSE(SuspectsAt(0s, "abcDEF")); }

TEST_F(SilenceGuardTest, DoesNotBelieveTheDeathOfThreeThatAreMost) {
  EXPECT_TRUE(SuspectsAt(0s, "abcDE"));
}

TEST_F(SilenceGuardTest, TakesSilencesThatAreCloseTogetherForOne) {
  EXPECT_FALSE(SuspectsAt(0s, "aBCDE"));
  EXPECT_FALSE(SuspectsAt(20s, "abCDE"));
  EXPECT_TRUE(SuspectsAt(39s, "abcDE"));
}

TEST_F(SilenceGuardTest, BelievesDeathsThatAreFarApart) {
  EXPECT_FALSE(SuspectsAt(0s, "aBCDE"));
  EXPECT_FALSE(SuspectsAt(20s, "abCDE"));
  EXPECT_FALSE(SuspectsAt(41s, "abcDE"));
}

TEST_F(SilenceGuardTest, LastsUntilHalfAreBack) {
  ASSERT_TRUE(SuspectsAt(0s, "abcdE"));
  EXPECT_TRUE(SuspectsAt(10min, "abcdE"));
  EXPECT_TRUE(SuspectsAt(20min, "AbcdE"));
  EXPECT_FALSE(SuspectsAt(30min, "ABcdE"));
  EXPECT_FALSE(SuspectsAt(40min, "ABcdE"));
}

TEST_F(SilenceGuardTest, IsAlsoAboutThoseThatFallSilentMeanwhile) {
  ASSERT_TRUE(SuspectsAt(0s, "abcDE"));
  EXPECT_TRUE(SuspectsAt(5min, "abcde"));
  EXPECT_THAT(guard_.suspects(),
              UnorderedElementsAre(RelayName{"a"}, RelayName{"b"}, RelayName{"c"}, RelayName{"d"},
                                   RelayName{"e"}));
  EXPECT_TRUE(SuspectsAt(6min, "ABcde"));
  EXPECT_FALSE(SuspectsAt(7min, "ABCde"));
}

TEST_F(SilenceGuardTest, IsOverWhenTheRestIsEnrolledNoMore) {
  ASSERT_TRUE(SuspectsAt(0s, "abcD"));
  EXPECT_TRUE(SuspectsAt(10min, "bcD"));
  EXPECT_TRUE(SuspectsAt(10min, "cD"));
  EXPECT_FALSE(SuspectsAt(10min, "D"));
}

TEST_F(SilenceGuardTest, IsOverWhenHalfOfThoseThatAreLeftAreBack) {
  ASSERT_TRUE(SuspectsAt(0s, "abcD"));
  EXPECT_TRUE(SuspectsAt(10min, "AbcD"));
  EXPECT_FALSE(SuspectsAt(10min, "AbD"));
}

TEST_F(SilenceGuardTest, SaysWhenItsAnswerChanges) {
  EXPECT_FALSE(guard_.See(Fleet("ABCD"), BootTime{1h}));
  EXPECT_TRUE(guard_.See(Fleet("abcD"), BootTime{1h}));
  EXPECT_FALSE(guard_.See(Fleet("abcD"), BootTime{2h}));
  EXPECT_TRUE(guard_.See(Fleet("ABCD"), BootTime{2h}));
}

TEST_F(SilenceGuardTest, DoesNotCountThoseThatDiedLongAgoAndHaveNothing) {
  std::vector<RelayPresence> relays = Fleet("ABCDwxyz");
  for (size_t i = 4; i < relays.size(); ++i) relays[i].is_owner = relays[i].was_connected = false;
  guard_.See(relays, BootTime{1h});
  ASSERT_FALSE(guard_.is_suspect()) << "they never came";

  for (size_t i = 0; i < 3; ++i) relays[i].is_silent = true;
  guard_.See(relays, BootTime{2h});
  EXPECT_TRUE(guard_.is_suspect()) << "three of four";
}

TEST_F(SilenceGuardTest, CountsOwnersThatHaveNotComeBackSinceTheServerStarted) {
  std::vector<RelayPresence> relays = Fleet("abcD");
  for (RelayPresence& relay : relays) relay.was_connected = !relay.is_silent;

  guard_.See(relays, BootTime{1h});

  EXPECT_TRUE(guard_.is_suspect());
}

}  // namespace
}  // namespace drawbridge
