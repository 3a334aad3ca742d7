#include "model/motion.h"

#include <array>
#include <functional>
#include <limits>

#include <gtest/gtest.h>

namespace drawbridge {

// For failures of the tests below.
void PrintTo(Motion motion, std::ostream* out) { *out << Name(motion); }

namespace {

using namespace std::chrono_literals;

// A partition that delivers: records wait for a second, and the last was confirmed a second ago.
MotionEvidence Delivering() {
  PartitionReport report;
  report.since_moved = 1s;
  report.since_source_seen = 1s;
  report.waiting_for = 1s;
  report.state = PartitionState::kRunning;
  return {.is_paused = false,
          .has_owner = true,
          .report = report,
          .age = 1s,
          .has_condition = false,
          .lag = 1s,
          .lag_a_minute_ago = 1s};
}

struct Row {
  std::string behaviour;
  std::function<void(MotionEvidence&)> change;  // of Delivering()
  Motion motion;
};

class JudgeMotionTest : public testing::TestWithParam<Row> {};

TEST_P(JudgeMotionTest, Judges) {
  MotionEvidence evidence = Delivering();
  GetParam().change(evidence);

  EXPECT_EQ(JudgeMotion(evidence), GetParam().motion);
}

// Nothing waits, and nothing has moved for a long time.
void Rest(MotionEvidence& it) {
  it.report->waiting_for.reset();
  it.report->since_moved = 10min;
  it.lag = it.lag_a_minute_ago = 0s;
}

void Stick(MotionEvidence& it, Duration stuck) {
  it.report->waiting_for = it.report->since_moved = stuck;
}

const std::vector<Row> kRows = {
    {"HaltedBeforeAllElse",
     [](auto& it) {
       it.report->state = PartitionState::kHalted;
       it.is_paused = true;
       it.has_owner = false;
       it.age = 1h;
     },
     Motion::kHalted},
    {"PausedBeforeStopped", [](auto& it) { it.is_paused = true, it.has_owner = false; },
     Motion::kPaused},
    {"StoppedWithoutARelay", [](auto& it) { it.has_owner = false; }, Motion::kStopped},

    {"UnknownWithoutAReport", [](auto& it) { it.report.reset(); }, Motion::kUnknown},
    {"UnknownWhenTheAgeIsNotKnown", [](auto& it) { it.age.reset(); }, Motion::kUnknown},
    {"UnknownWhenTheReportIsOld", [](auto& it) { it.age = 15s + 1ms; }, Motion::kUnknown},
    {"StillKnownAfter15Seconds", [](auto& it) { it.age = 15s; }, Motion::kDelivering},
    {"UnknownBeforeTheSourceHasSpoken",
     [](auto& it) {
       it.report->since_source_seen.reset();
       it.report->since_moved.reset();
       it.report->waiting_for.reset();
     },
     Motion::kUnknown},

    {"BlockedWhenStuckWithACause",
     [](auto& it) {
       Stick(it, 5s);
       it.has_condition = true;
     },
     Motion::kBlocked},
    {"NotYetBlockedAfter4Seconds",
     [](auto& it) {
       Stick(it, 4s);
       it.has_condition = true;
     },
     Motion::kDelivering},
    {"BlockedWhileItWaitsToTryAgain",
     [](auto& it) {
       it.report->state = PartitionState::kRetrying;
       it.has_condition = true;
     },
     Motion::kBlocked},
    {"BlockedWhenTheSourceIsOutOfReach",
     [](auto& it) {
       Rest(it);
       it.report->since_source_seen = 11s;
       it.has_condition = true;
     },
     Motion::kBlocked},
    {"BlockedWhenTheSourceNeverSpokeForACause",
     [](auto& it) {
       it.report->since_source_seen.reset();
       it.report->since_moved.reset();
       it.has_condition = true;
     },
     Motion::kBlocked},
    {"NotBlockedByACauseThatDoesNotHoldItUp", [](auto& it) { it.has_condition = true; },
     Motion::kDelivering},

    {"StalledWhenStuckWithoutACause", [](auto& it) { Stick(it, 30s); }, Motion::kStalled},
    {"NotYetStalledAfter29Seconds", [](auto& it) { Stick(it, 29s); }, Motion::kDelivering},
    {"StalledWhenNothingEverMoved",
     [](auto& it) {
       it.report->waiting_for = 30s;
       it.report->since_moved.reset();
     },
     Motion::kStalled},
    {"NotStalledWhileItMovesThoughSomethingAlwaysWaits",
     [](auto& it) { it.report->waiting_for = 1h; }, Motion::kDelivering},
    {"StalledWhenTheSourceFellSilent",
     [](auto& it) {
       Rest(it);
       it.report->since_source_seen = 15s;
     },
     Motion::kStalled},

    {"CatchingUpWhileTheLagFalls", [](auto& it) { it.lag = 10min, it.lag_a_minute_ago = 11min; },
     Motion::kCatchingUp},
    {"CatchingUpUntilTheTrendIsKnown",
     [](auto& it) {
       it.lag = 10min;
       it.lag_a_minute_ago.reset();
     },
     Motion::kCatchingUp},
    {"FallingBehindWhileTheLagRises", [](auto& it) { it.lag = 10min, it.lag_a_minute_ago = 9min; },
     Motion::kFallingBehind},
    {"FallingBehindWhileTheLagStays", [](auto& it) { it.lag = it.lag_a_minute_ago = 10min; },
     Motion::kFallingBehind},
    {"FallingBehindWhileALargeLagCannotBeTold",
     [](auto& it) {
       it.lag.reset();
       it.lag_a_minute_ago = 10min;
     },
     Motion::kFallingBehind},
    {"TenSecondsOfLagAreNormal", [](auto& it) { it.lag = 10s; }, Motion::kDelivering},

    {"IdleWhenNothingWaits", Rest, Motion::kIdle},
    {"IdleOnAPartitionThatNeverHadARecord",
     [](auto& it) {
       Rest(it);
       it.report->since_moved.reset();
     },
     Motion::kIdle},
    {"NotIdleWithinAMinuteOfTheLastRecord",
     [](auto& it) {
       Rest(it);
       it.report->since_moved = 59s;
     },
     Motion::kDelivering},
    {"NotIdleWhenNobodyHasSeenTheSource",
     [](auto& it) {
       Rest(it);
       it.report->since_source_seen.reset();
     },
     Motion::kUnknown},
};

INSTANTIATE_TEST_SUITE_P(, JudgeMotionTest, testing::ValuesIn(kRows),
                         [](const auto& row) { return row.param.behaviour; });

// Evidence at and around the limits of the rules, in all combinations but of pauses.
std::vector<MotionEvidence> AllEvidence() {
  const std::vector<std::optional<Duration>> spans = {std::nullopt, 0s, 4s, 11s, 16s, 31s, 2min};
  std::vector<MotionEvidence> all = {Delivering()};
  const auto vary = [&](const auto& values, auto set) {
    std::vector<MotionEvidence> varied;
    for (const MotionEvidence& evidence : all) {
      for (const auto& value : values) set(varied.emplace_back(evidence), value);
    }
    all = std::move(varied);
  };
  vary(std::array{false, true}, [](auto& it, bool owned) { it.has_owner = owned; });
  vary(std::array{false, true}, [](auto& it, bool on) { it.has_condition = on; });
  vary(spans, [](auto& it, auto span) { it.age = span; });
  vary(spans, [](auto& it, auto span) { it.report->since_moved = span; });
  vary(spans, [](auto& it, auto span) { it.report->since_source_seen = span; });
  vary(spans, [](auto& it, auto span) { it.report->waiting_for = span; });
  vary(spans, [](auto& it, auto span) { it.lag = span; });
  return all;
}

bool IsGood(Motion motion) { return motion == Motion::kIdle || motion == Motion::kDelivering; }

TEST(UnknownTest, NeverLooksGood) {
  for (const MotionEvidence& it : AllEvidence()) {
    const Motion motion = JudgeMotion(it);
    const bool is_live = it.has_owner && it.age && *it.age <= 15s;
    const bool is_seen = it.report->since_source_seen && *it.report->since_source_seen < 15s;
    const bool moves = it.report->since_moved && *it.report->since_moved < 15s;

    if (motion == Motion::kIdle) {
      EXPECT_TRUE(is_live && is_seen && !it.report->waiting_for);
    }
    if (motion == Motion::kDelivering) {
      EXPECT_TRUE(is_live && (is_seen || moves || it.report->waiting_for));
    }
  }
}

TEST(UnknownTest, LooksNoBetterThanWhatWasKnown) {
  const std::vector<std::function<void(MotionEvidence&)>> forget = {
      [](auto& it) { it.report.reset(); },
      [](auto& it) { it.age.reset(); },
      [](auto& it) { it.report->since_moved.reset(); },
      [](auto& it) { it.report->since_source_seen.reset(); },
  };
  for (const MotionEvidence& it : AllEvidence()) {
    if (IsGood(JudgeMotion(it))) continue;
    for (const auto& one : forget) {
      MotionEvidence less = it;
      one(less);
      EXPECT_FALSE(IsGood(JudgeMotion(less))) << Name(JudgeMotion(it));
    }
  }
}

TEST(WorstMotionTest, PutsTheOperatorsWorkFirst) {
  EXPECT_EQ(Worst(std::array{Motion::kDelivering, Motion::kHalted, Motion::kStopped}),
            Motion::kHalted);
  EXPECT_EQ(Worst(std::array{Motion::kDelivering, Motion::kUnknown, Motion::kFallingBehind}),
            Motion::kUnknown);
  EXPECT_EQ(Worst(std::array{Motion::kIdle, Motion::kDelivering}), Motion::kDelivering);
}

TEST(WorstMotionTest, RanksEveryMotion) {
  for (int i = 0; i <= static_cast<int>(Motion::kHalted); ++i) {
    const Motion motion{i};
    EXPECT_EQ(Worst(std::array{motion, Motion::kIdle}), motion) << Name(motion);
  }
}

TEST(WorstMotionTest, IsUnknownOfNone) { EXPECT_EQ(Worst({}), Motion::kUnknown); }

class LagTest : public testing::Test {
 protected:
  static constexpr WallTime kNow{1'773'480'413s};

  static int64_t Millis(Duration ago) {
    return std::chrono::floor<std::chrono::milliseconds>(kNow.time_since_epoch() - ago).count();
  }

  PartitionReport report_ = *Delivering().report;
};

TEST_F(LagTest, IsTheAgeOfTheOldestRecordNotConfirmed) {
  report_.oldest_unconfirmed_ms = Millis(90s);

  EXPECT_EQ(LagOf(report_, kNow), 90s);
}

TEST_F(LagTest, IsNothingWhenNothingWaits) {
  report_.waiting_for.reset();

  EXPECT_EQ(LagOf(report_, kNow), 0s);
}

TEST_F(LagTest, IsUnknownWhenTheSourceFellSilent) {
  report_.waiting_for.reset();
  report_.since_source_seen = 15s;
  EXPECT_FALSE(LagOf(report_, kNow).has_value());

  report_.since_source_seen.reset();
  EXPECT_FALSE(LagOf(report_, kNow).has_value());
}

TEST_F(LagTest, IsUnknownWithoutARecordInHand) {
  report_.oldest_unconfirmed_ms.reset();

  EXPECT_FALSE(LagOf(report_, kNow).has_value());
}

TEST_F(LagTest, IsUnknownForARecordWithoutATime) {
  for (const int64_t none : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
    report_.oldest_unconfirmed_ms = none;

    EXPECT_FALSE(LagOf(report_, kNow).has_value()) << none;
  }
}

TEST_F(LagTest, IsNeverNegative) {
  report_.oldest_unconfirmed_ms = Millis(-4min);

  EXPECT_EQ(LagOf(report_, kNow), 0s);
}

TEST_F(LagTest, IsUnknownForARecordFromTheFuture) {
  for (const int64_t ahead : {Millis(-6min), std::numeric_limits<int64_t>::max()}) {
    report_.oldest_unconfirmed_ms = ahead;

    EXPECT_FALSE(LagOf(report_, kNow).has_value()) << ahead;
  }
}

TEST_F(LagTest, CountsRecordsFromWhatTheSourceStillHas) {
  report_.confirmed = {100};
  report_.log_end = Offset{150};
  EXPECT_EQ(LagRecordsOf(report_), 50);

  report_.log_start = Offset{140};
  EXPECT_EQ(LagRecordsOf(report_), 10);

  report_.log_end = Offset{90};
  EXPECT_EQ(LagRecordsOf(report_), 0);
}

TEST_F(LagTest, CountsNoRecordsWhenTheEndIsUnknown) {
  EXPECT_FALSE(LagRecordsOf(report_).has_value());
}

}  // namespace
}  // namespace drawbridge
