#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/map.h>
#include <google/protobuf/repeated_field.h>
#include <google/protobuf/timestamp.pb.h>

#include "base/clock.h"
#include "cli/table.h"
#include "cli/words.h"
#include "drawbridge/v1/bridge.pb.h"
#include "drawbridge/v1/stream.pb.h"

// The API's values as cells of a table. What is unknown is "?", never 0 and never blank; what is
// known not to be there is "-".
namespace drawbridge::cli {

inline constexpr const char* kUnknown = "?";
inline constexpr const char* kNone = "-";

// For optional fields: OrUnknown(status.has_lag_records(), status.lag_records()).
std::string OrUnknown(bool is_known, int64_t number);
std::string OrUnknown(bool is_known, const google::protobuf::Duration& duration);
std::string OrUnknown(bool is_known, const google::protobuf::Timestamp& time);
std::string OrNone(const std::string& text);

// "12s ago".
std::string AgoOrUnknown(bool is_known, const google::protobuf::Timestamp& time, WallTime now);

// "3,200", "0.4", "?".
std::string RateOrUnknown(bool is_known, double per_second);
// In MB (a million bytes): "1.4".
std::string MegabytesOrUnknown(bool is_known, double bytes_per_second);

// "cloud=oci,region=fra", in the order of the keys.
std::string LabelText(const google::protobuf::Map<std::string, std::string>& labels);

// "Falling behind" in red, say; "?" for one that is not known.
Cell MotionCell(v1::Motion motion);
// What a stream does, or that its bridge does not carry it any more.
Cell StreamStateCell(const v1::Stream& stream);

// "TLS_UNTRUSTED source: the broker's certificate …"; with " (and 2 more)" behind it. Empty when
// nothing is wrong.
std::string ConditionText(const google::protobuf::RepeatedPtrField<v1::Condition>& conditions);

// An enum's word, "?" for the zero value.
template <typename Enum>
std::string WordOrUnknown(Enum value) {
  const std::string word = EnumWord(value);
  return word.empty() ? kUnknown : word;
}

// "BRIDGE/TOPIC" or "BRIDGE", as people name a stream or all streams of a bridge.
struct StreamName {
  std::string bridge;
  std::string topic;
};

// A topic's name has no '/', nor has a bridge's.
StreamName ParseStreamName(std::string_view text);

}  // namespace drawbridge::cli
