#include "cli/values.h"

#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/text.h"
#include "model/convert/time.h"

namespace drawbridge::cli {
namespace {

Tone ToneOf(v1::Motion motion) {
  switch (motion) {
    case v1::MOTION_DELIVERING:
    case v1::MOTION_IDLE:
      return Tone::kGood;
    case v1::MOTION_CATCHING_UP:
    case v1::MOTION_FALLING_BEHIND:
    case v1::MOTION_PAUSED:
      return Tone::kWarning;
    case v1::MOTION_BLOCKED:
    case v1::MOTION_STALLED:
    case v1::MOTION_STOPPED:
    case v1::MOTION_HALTED:
      return Tone::kBad;
    default:
      return Tone::kPlain;
  }
}

}  // namespace

std::string OrUnknown(bool is_known, int64_t number) {
  return is_known ? WithSeparators(number) : kUnknown;
}

std::string OrUnknown(bool is_known, const google::protobuf::Duration& duration) {
  if (!is_known) return kUnknown;
  const StatusOr<Duration> span = FromProto(duration);
  return span.ok() ? ToText(*span) : kUnknown;
}

std::string OrUnknown(bool is_known, const google::protobuf::Timestamp& time) {
  if (!is_known) return kUnknown;
  const StatusOr<WallTime> moment = FromProto(time);
  return moment.ok() ? ToText(*moment) : kUnknown;
}

std::string OrNone(const std::string& text) { return text.empty() ? kNone : text; }

std::string AgoOrUnknown(bool is_known, const google::protobuf::Timestamp& time, WallTime now) {
  if (!is_known) return kUnknown;
  const StatusOr<WallTime> moment = FromProto(time);
  if (!moment.ok()) return kUnknown;
  // The clocks of two machines differ a little: nothing was seen in the future.
  const Duration age = std::max(Duration{0}, Duration{now - *moment});
  return ToText(std::chrono::floor<std::chrono::seconds>(age)) + " ago";
}

std::string RateOrUnknown(bool is_known, double per_second) {
  if (!is_known || !(per_second >= 0) || per_second > 1e15) return kUnknown;
  if (per_second == 0) return "0";
  if (per_second < 10) return fmt::format("{:.1f}", per_second);
  return WithSeparators(static_cast<int64_t>(per_second));
}

std::string MegabytesOrUnknown(bool is_known, double bytes_per_second) {
  if (!is_known || !(bytes_per_second >= 0) || bytes_per_second > 1e21) return kUnknown;
  if (bytes_per_second == 0) return "0";
  return fmt::format("{:.{}f}", bytes_per_second / 1e6, bytes_per_second < 1e6 ? 3 : 1);
}

std::string LabelText(const google::protobuf::Map<std::string, std::string>& labels) {
  const std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  std::vector<std::string> pairs;
  pairs.reserve(sorted.size());
  for (const auto& [key, value] : sorted) pairs.push_back(fmt::format("{}={}", key, value));
  return fmt::format("{}", fmt::join(pairs, ","));
}

Cell MotionCell(v1::Motion motion) { return {WordOrUnknown(motion), ToneOf(motion)}; }

Cell StreamStateCell(const v1::Stream& stream) {
  if (stream.deselected()) return {"not selected", Tone::kWarning};
  return MotionCell(stream.status().motion());
}

std::string ConditionText(const google::protobuf::RepeatedPtrField<v1::Condition>& conditions) {
  if (conditions.empty()) return "";
  const v1::Condition& first = conditions.Get(0);
  std::string reason = EnumName(first.reason());
  if (reason.empty()) reason = kUnknown;
  std::string text = fmt::format("{} {}: {}", reason, first.side(), first.text());
  if (conditions.size() > 1) text += fmt::format(" (and {} more)", conditions.size() - 1);
  return text;
}

StreamName ParseStreamName(std::string_view text) {
  const size_t slash = std::min(text.find('/'), text.size());
  const std::string_view topic = text.substr(std::min(slash + 1, text.size()));
  return {std::string(text.substr(0, slash)), std::string(topic)};
}

}  // namespace drawbridge::cli
