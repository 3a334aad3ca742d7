#include "model/motion.h"

#include <algorithm>
#include <array>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr Duration kBlind = 15s;         // older evidence says nothing
constexpr Duration kBlockedAfter = 5s;   // stuck this long with a known cause
constexpr Duration kStalledAfter = 30s;  // stuck this long without one
constexpr Duration kUnseen = 15s;        // a source silent for so long may have more to deliver
constexpr Duration kNormalLag = 10s;
constexpr Duration kIdleAfter = 60s;
constexpr std::chrono::milliseconds kAheadMax = 5min;  // of a clock that stamps records

// From worst to best, as a screen lists them.
constexpr std::array kWorstFirst = {Motion::kHalted,     Motion::kStopped, Motion::kBlocked,
                                    Motion::kStalled,    Motion::kUnknown, Motion::kFallingBehind,
                                    Motion::kCatchingUp, Motion::kPaused,  Motion::kDelivering,
                                    Motion::kIdle};

// Since when something has waited without movement; or nobody knows whether it does, since the
// source has fallen silent.
Duration StuckFor(const PartitionReport& report) {
  const bool is_unseen = !report.waiting_for && !IsSourceSeen(report);
  const std::optional<Duration> waiting = is_unseen ? report.since_source_seen : report.waiting_for;
  if (!waiting) return 0s;
  return report.since_moved ? std::min(*waiting, *report.since_moved) : *waiting;
}

}  // namespace

std::string_view Name(Motion motion) {
  switch (motion) {
    case Motion::kUnknown:
      return "unknown";
    case Motion::kDelivering:
      return "delivering";
    case Motion::kIdle:
      return "idle";
    case Motion::kCatchingUp:
      return "catching up";
    case Motion::kFallingBehind:
      return "falling behind";
    case Motion::kBlocked:
      return "blocked";
    case Motion::kStalled:
      return "stalled";
    case Motion::kStopped:
      return "stopped";
    case Motion::kPaused:
      return "paused";
    case Motion::kHalted:
      return "halted";
  }
  return "unknown";
}

Motion JudgeMotion(const MotionEvidence& evidence) {
  if (evidence.report && evidence.report->state == PartitionState::kHalted) return Motion::kHalted;
  if (evidence.is_paused) return Motion::kPaused;
  if (!evidence.has_owner) return Motion::kStopped;
  if (!evidence.report || !evidence.age || *evidence.age > kBlind) return Motion::kUnknown;

  const Duration stuck = StuckFor(*evidence.report);
  const bool waits_to_retry = evidence.report->state == PartitionState::kRetrying;
  if (evidence.has_condition && (stuck >= kBlockedAfter || waits_to_retry)) return Motion::kBlocked;
  if (stuck >= (evidence.report->waiting_for ? kStalledAfter : kUnseen)) return Motion::kStalled;
  if (!evidence.report->since_source_seen && !evidence.report->since_moved) {
    return evidence.has_condition ? Motion::kBlocked : Motion::kUnknown;
  }
  if (evidence.has_condition &&
      evidence.report->since_source_seen.value_or(kBlind) > kBlockedAfter * 2) {
    return Motion::kBlocked;
  }
  const bool waits = evidence.report->waiting_for.has_value();
  // While something waits, a lag that cannot be told now has not fallen as far as anyone knows.
  const std::optional<Duration> lag =
      waits && !evidence.lag ? evidence.lag_a_minute_ago : evidence.lag;
  if (lag > kNormalLag) {
    const bool falls = !evidence.lag_a_minute_ago || *lag < *evidence.lag_a_minute_ago;
    return falls ? Motion::kCatchingUp : Motion::kFallingBehind;
  }
  if (waits) return Motion::kDelivering;
  if (!evidence.report->since_source_seen && evidence.report->since_moved >= kUnseen) {
    return Motion::kUnknown;
  }
  const bool has_moved = evidence.report->since_moved.value_or(kIdleAfter) < kIdleAfter;
  return has_moved ? Motion::kDelivering : Motion::kIdle;
}

Motion Worst(std::span<const Motion> motions) {
  const auto rank = [](Motion motion) { return std::ranges::find(kWorstFirst, motion); };
  const auto worst =
      std::ranges::min_element(motions, [&](Motion a, Motion b) { return rank(a) < rank(b); });
  return worst == motions.end() ? Motion::kUnknown : *worst;
}

bool IsSourceSeen(const PartitionReport& report) {
  return report.since_source_seen && *report.since_source_seen < kUnseen;
}

std::optional<Duration> LagOf(const PartitionReport& report, WallTime now) {
  if (!report.waiting_for && IsSourceSeen(report)) return Duration::zero();
  // A record's time is whatever its producer wrote.
  const std::optional<int64_t> oldest = report.oldest_unconfirmed_ms;
  const auto last =
      std::chrono::floor<std::chrono::milliseconds>(now.time_since_epoch()) + kAheadMax;
  if (!oldest || *oldest <= 0 || *oldest > last.count()) return std::nullopt;
  return std::max<Duration>(Duration::zero(), now - WallTime(std::chrono::milliseconds(*oldest)));
}

std::optional<int64_t> LagRecordsOf(const PartitionReport& report) {
  if (!report.log_end) return std::nullopt;
  const int64_t first =
      std::max(report.confirmed.value, report.log_start.value_or(Offset{0}).value);
  return std::max<int64_t>(0, report.log_end->value - first);
}

}  // namespace drawbridge
