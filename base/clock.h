#pragma once

#include <chrono>
#include <string>

namespace drawbridge {

using Duration = std::chrono::nanoseconds;
// Wall time, UTC. For people, records and the store; never for deadlines.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;

// A moment of CLOCK_BOOTTIME, which runs on while the machine is suspended: for spans, deadlines
// and leases (a lease must run out on a relay that slept).
struct BootClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;  // NOLINT(readability-identifier-naming): std's name
};
using BootTime = BootClock::time_point;

// The only place that reads a clock, so that tests can turn it. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime WallNow() const = 0;
  virtual BootTime Now() const = 0;

  // The machine's clocks; lives for ever.
  static const Clock& System();
};

// RFC 3339 in UTC with microseconds: "2026-03-14T09:26:53.589793Z".
std::string ToRfc3339(WallTime time);

inline int64_t ToMicros(WallTime time) { return time.time_since_epoch().count(); }
inline WallTime FromMicros(int64_t micros) { return WallTime{std::chrono::microseconds{micros}}; }

}  // namespace drawbridge
