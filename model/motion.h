#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "model/observation.h"

namespace drawbridge {

// What a partition, and by the worst of them a stream, does.
enum class Motion {
  kUnknown,
  kDelivering,
  kIdle,
  kCatchingUp,
  kFallingBehind,
  kBlocked,
  kStalled,
  kStopped,
  kPaused,
  kHalted,
};

// "delivering", "catching up", ...
std::string_view Name(Motion motion);

// What is known of a partition when its motion is judged.
struct MotionEvidence {
  bool is_paused = false;                 // wanted by an operator
  bool has_owner = false;                 // a relay holds it
  std::optional<PartitionReport> report;  // its owner's newest, under the present token
  std::optional<Duration> age;            // of that report
  bool has_condition = false;             // one that concerns it is on
  std::optional<Duration> lag;            // see LagOf
  std::optional<Duration> lag_a_minute_ago;
};

// Judges by the tables of docs/architecture.md: first match wins, and nothing unknown is ever shown
// as good.
Motion JudgeMotion(const MotionEvidence& evidence);

// The worst of them: Halted first, Idle last. kUnknown for none.
Motion Worst(std::span<const Motion> motions);

// Whether the source has answered lately, so that what the report says of its log is true.
bool IsSourceSeen(const PartitionReport& report);

// Age of the oldest record not confirmed: 0 when nothing waits, nullopt when it is not known.
std::optional<Duration> LagOf(const PartitionReport& report, WallTime now);

// Records behind, at most; nullopt when it is not known.
std::optional<int64_t> LagRecordsOf(const PartitionReport& report);

}  // namespace drawbridge
