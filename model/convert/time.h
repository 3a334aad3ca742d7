#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include "base/clock.h"
#include "base/status.h"

namespace drawbridge {

// A time before the year 1 or after 9999, which the wire cannot carry, becomes the nearest it can.
google::protobuf::Timestamp ToProto(WallTime time);

// To the microsecond, rounded down. kFieldInvalid for what is no time between the years 1 and 9999.
StatusOr<WallTime> FromProto(const google::protobuf::Timestamp& message);

google::protobuf::Duration ToProto(Duration duration);

// kFieldInvalid for what is no duration or has more than 292 years. It may be negative.
StatusOr<Duration> FromProto(const google::protobuf::Duration& message);

}  // namespace drawbridge
