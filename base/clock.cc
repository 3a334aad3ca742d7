#include "base/clock.h"

#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace drawbridge {
namespace {

Duration Read(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

class SystemClock final : public Clock {
 public:
  WallTime WallNow() const override {
    return WallTime{std::chrono::duration_cast<std::chrono::microseconds>(Read(CLOCK_REALTIME))};
  }
  BootTime Now() const override { return BootTime{Read(CLOCK_BOOTTIME)}; }
};

}  // namespace

const Clock& Clock::System() {
  static const SystemClock clock;
  return clock;
}

std::string ToRfc3339(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto micros = (time - seconds).count();
  const std::time_t whole = seconds.time_since_epoch().count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(whole), micros);
}

}  // namespace drawbridge
