#include "model/convert/time.h"

#include <limits>

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

google::protobuf::Timestamp Stamp(int64_t seconds, int32_t nanos) {
  google::protobuf::Timestamp message;
  message.set_seconds(seconds);
  message.set_nanos(nanos);
  return message;
}

google::protobuf::Duration Span(int64_t seconds, int32_t nanos) {
  google::protobuf::Duration message;
  message.set_seconds(seconds);
  message.set_nanos(nanos);
  return message;
}

constexpr int64_t kFirstSecond = -62'135'596'800;
constexpr int64_t kLastSecond = 253'402'300'799;

TEST(TimestampTest, KeepsEveryMicrosecond) {
  for (const WallTime time : {WallTime{}, WallTime{1773480413'589793us}, WallTime{-1us},
                              WallTime{-1'000'001us}, WallTime{std::chrono::seconds(kFirstSecond)},
                              WallTime{std::chrono::seconds(kLastSecond) + 999'999us}}) {
    const StatusOr<WallTime> kept = FromProto(ToProto(time));

    ASSERT_TRUE(kept.ok()) << ToMicros(time);
    EXPECT_EQ(*kept, time);
  }
}

TEST(TimestampTest, CountsNanosecondsForwardBeforeTheEpoch) {
  const google::protobuf::Timestamp message = ToProto(WallTime{-1us});

  EXPECT_EQ(message.seconds(), -1);
  EXPECT_EQ(message.nanos(), 999'999'000);
}

TEST(TimestampTest, RoundsDownToTheMicrosecond) {
  EXPECT_EQ(*FromProto(Stamp(1, 999)), WallTime{1s});
  EXPECT_EQ(*FromProto(Stamp(-1, 999'999'999)), WallTime{-1us});
}

TEST(TimestampTest, RefusesWhatIsNoTime) {
  for (const auto& message :
       {Stamp(0, -1), Stamp(0, 1'000'000'000), Stamp(0, std::numeric_limits<int32_t>::min()),
        Stamp(0, std::numeric_limits<int32_t>::max()), Stamp(kFirstSecond - 1, 999'999'999),
        Stamp(kLastSecond + 1, 0), Stamp(std::numeric_limits<int64_t>::min(), 0),
        Stamp(std::numeric_limits<int64_t>::max(), 0)}) {
    EXPECT_EQ(FromProto(message).status().reason(), Reason::kFieldInvalid)
        << message.ShortDebugString();
  }
}

TEST(TimestampTest, SendsTheNearestTimeThatTheWireHas) {
  EXPECT_EQ(ToProto(WallTime::min()).seconds(), kFirstSecond);
  EXPECT_EQ(ToProto(WallTime::max()).seconds(), kLastSecond);
  EXPECT_EQ(ToProto(WallTime::max()).nanos(), 999'999'000);
}

TEST(DurationTest, KeepsEveryNanosecond) {
  for (const Duration duration :
       {0ns, 1ns, -1ns, Duration(1h) + 1ns, Duration(-1h) - 1ns, Duration(9'223'372'035s)}) {
    const StatusOr<Duration> kept = FromProto(ToProto(duration));

    ASSERT_TRUE(kept.ok()) << duration.count();
    EXPECT_EQ(*kept, duration);
  }
}

TEST(DurationTest, HasOneSign) {
  const google::protobuf::Duration message = ToProto(-1500ms);

  EXPECT_EQ(message.seconds(), -1);
  EXPECT_EQ(message.nanos(), -500'000'000);
}

TEST(DurationTest, RefusesWhatIsNoDuration) {
  for (const auto& message :
       {Span(1, -1), Span(-1, 1), Span(0, 1'000'000'000), Span(0, -1'000'000'000),
        Span(0, std::numeric_limits<int32_t>::min())}) {
    EXPECT_EQ(FromProto(message).status().reason(), Reason::kFieldInvalid)
        << message.ShortDebugString();
  }
}

TEST(DurationTest, RefusesWhatWouldOverflow) {
  for (const int64_t seconds :
       {int64_t{9'223'372'036}, int64_t{-9'223'372'036}, int64_t{315'576'000'000},
        std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(FromProto(Span(seconds, 0)).status().reason(), Reason::kFieldInvalid) << seconds;
  }
}

TEST(DurationTest, SendsTheLongestThatThereIs) {
  EXPECT_EQ(ToProto(Duration::max()).seconds(), 9'223'372'036);
  EXPECT_EQ(ToProto(Duration::min()).seconds(), -9'223'372'036);
}

}  // namespace
}  // namespace drawbridge
