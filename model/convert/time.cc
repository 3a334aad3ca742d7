#include "model/convert/time.h"

#include <algorithm>

#include "model/convert/field_reader.h"

namespace drawbridge {
namespace {

using std::chrono::floor;
using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// What the wire allows: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z.
constexpr seconds kFirstSecond{-62'135'596'800};
constexpr seconds kLastSecond{253'402'300'799};
constexpr nanoseconds kSecond = seconds(1);
// The whole seconds that a Duration can hold.
constexpr seconds kLongest{9'223'372'035};

}  // namespace

google::protobuf::Timestamp ToProto(WallTime time) {
  const WallTime within = std::clamp(time, WallTime(kFirstSecond),
                                     WallTime(kLastSecond + seconds(1)) - microseconds(1));
  const auto second = floor<seconds>(within);
  google::protobuf::Timestamp message;
  message.set_seconds(second.time_since_epoch().count());
  message.set_nanos(static_cast<int32_t>(nanoseconds(within - second).count()));
  return message;
}

StatusOr<WallTime> FromProto(const google::protobuf::Timestamp& message) {
  const seconds second(message.seconds());
  const nanoseconds rest(message.nanos());
  if (second < kFirstSecond || second > kLastSecond || rest < rest.zero() || rest >= kSecond) {
    return InvalidField("this is no time between the years 1 and 9999");
  }
  return WallTime(second) + floor<microseconds>(rest);
}

google::protobuf::Duration ToProto(Duration duration) {
  const auto whole = std::chrono::duration_cast<seconds>(duration);
  google::protobuf::Duration message;
  message.set_seconds(whole.count());
  message.set_nanos(static_cast<int32_t>((duration - whole).count()));
  return message;
}

StatusOr<Duration> FromProto(const google::protobuf::Duration& message) {
  const seconds whole(message.seconds());
  const nanoseconds rest(message.nanos());
  const bool is_mixed =
      (whole > whole.zero() && rest < rest.zero()) || (whole < whole.zero() && rest > rest.zero());
  if (is_mixed || rest <= -kSecond || rest >= kSecond) return InvalidField("this is no duration");
  if (whole < -kLongest || whole > kLongest)
    return InvalidField("a duration has 292 years at most");
  return whole + rest;
}

}  // namespace drawbridge
