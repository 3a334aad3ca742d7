#include "model/index_template.h"

#include <algorithm>
#include <cctype>
#include <chrono>

#include <fmt/format.h>

namespace drawbridge {
namespace {

Status Invalid(std::string message) {
  return {StatusCode::kInvalidArgument, Reason::kFieldInvalid, std::move(message)};
}

// What OpenSearch and Elasticsearch take in the name of an index, less what shells and URLs would
// have to quote.
bool IsIndexText(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

std::string InLowerCase(std::string_view topic) {
  std::string lower(topic);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// The next field of a pattern of time, or the letter between two.
std::string_view NextField(std::string_view pattern) {
  for (const std::string_view field : {"yyyy", "MM", "dd", "HH"}) {
    if (pattern.starts_with(field)) return field;
  }
  return pattern.substr(0, 1);
}

std::string Format(std::string_view pattern, int64_t timestamp_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{
      std::chrono::milliseconds(InEngineTime(timestamp_ms))};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto hour = std::chrono::floor<std::chrono::hours>(time - day);
  std::string text;
  while (!pattern.empty()) {
    const std::string_view field = NextField(pattern);
    pattern.remove_prefix(field.size());
    if (field == "yyyy") {
      text += fmt::format("{:04}", static_cast<int>(date.year()));
    } else if (field == "MM") {
      text += fmt::format("{:02}", static_cast<unsigned>(date.month()));
    } else if (field == "dd") {
      text += fmt::format("{:02}", static_cast<unsigned>(date.day()));
    } else if (field == "HH") {
      text += fmt::format("{:02}", hour.count());
    } else {
      text += field;
    }
  }
  return text;
}

Status CheckPattern(std::string_view pattern) {
  const std::string_view whole = pattern;
  bool has_field = false;
  while (!pattern.empty()) {
    const std::string_view field = NextField(pattern);
    pattern.remove_prefix(field.size());
    const bool is_known = field.size() > 1;
    has_field = has_field || is_known;
    if (!is_known && field != "." && field != "-" && field != "_") {
      return Invalid(
          fmt::format("{{+{}}} is no time of an index: use yyyy, MM, dd and HH, with '.', "
                      "'-' or '_' between",
                      whole));
    }
  }
  if (!has_field) return Invalid("{+} names no part of the time: write {+yyyy.MM.dd}");
  return {};
}

}  // namespace

StatusOr<IndexTemplate> IndexTemplate::Create(std::string_view text) {
  IndexTemplate made;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t open = std::min(rest.find('{'), rest.size());
    if (const std::string_view fixed = rest.substr(0, open); !fixed.empty()) {
      if (!IsIndexText(fixed)) {
        return Invalid(
            fmt::format("\"{}\" has letters that no index may have: use a-z, 0-9, '-', "
                        "'_' and '.'",
                        fixed));
      }
      made.parts_.push_back({.kind = Part::Kind::kText, .text = std::string(fixed)});
    }
    rest.remove_prefix(open);
    if (rest.empty()) break;
    const size_t close = rest.find('}');
    if (close == rest.npos) return Invalid("a '{' has no '}'");
    const std::string_view inside = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    if (inside == "topic") {
      made.parts_.push_back({.kind = Part::Kind::kTopic, .text = {}});
    } else if (inside.starts_with('+')) {
      if (Status valid = CheckPattern(inside.substr(1)); !valid.ok()) return valid;
      made.parts_.push_back({.kind = Part::Kind::kTime, .text = std::string(inside.substr(1))});
    } else {
      return Invalid(fmt::format("there is no {{{}}}: use {{topic}} and {{+yyyy.MM.dd}}", inside));
    }
  }
  if (made.parts_.empty() || made.parts_.front().kind != Part::Kind::kText) {
    return Invalid("an index begins with fixed text, such as \"logs-\"");
  }
  const char first = made.parts_.front().text.front();
  if (first == '-' || first == '_' || first == '.') {
    return Invalid("an index begins with one of a-z and 0-9");
  }
  // A topic has 249 letters at most; that one this long fits is looked at with the topic.
  if (made.Apply("t", 0).size() > kNameBytesMax) {
    return Invalid(fmt::format("an index has {} letters at most", kNameBytesMax));
  }
  return made;
}

template <typename TimeText>
std::string IndexTemplate::Join(std::string_view topic, TimeText time_text) const {
  std::string name;
  for (const Part& part : parts_) {
    switch (part.kind) {
      case Part::Kind::kText:
        name += part.text;
        break;
      case Part::Kind::kTopic:
        name += InLowerCase(topic);
        break;
      case Part::Kind::kTime:
        name += time_text(part.text);
        break;
    }
  }
  return name;
}

std::string IndexTemplate::ForTopic(std::string_view topic) const {
  return Join(topic, [](const std::string& pattern) { return fmt::format("{{+{}}}", pattern); });
}

std::string IndexTemplate::Apply(std::string_view topic, int64_t timestamp_ms) const {
  return Join(topic, [&](const std::string& pattern) { return Format(pattern, timestamp_ms); });
}

int64_t InEngineTime(int64_t timestamp_ms) {
  constexpr int64_t kEndOf9999 = 253'402'300'799'999;
  return std::clamp<int64_t>(timestamp_ms, 0, kEndOf9999);
}

bool IndexTemplate::MayName(std::string_view index) const {
  const std::string& front = parts_.front().text;
  return parts_.size() == 1 ? index == front : index.starts_with(front);
}

bool IndexTemplate::MayName(std::string_view index, std::string_view topic) const {
  static constexpr char kDigit = '\0';
  const std::string name = Join(topic, [](std::string pattern) {
    std::ranges::replace_if(
        pattern, [](char c) { return std::isalpha(c) != 0; }, kDigit);
    return pattern;
  });
  return std::ranges::equal(name, index, [](char is_meant, char is) {
    return is_meant == kDigit ? is >= '0' && is <= '9' : is_meant == is;
  });
}

std::string IndexTemplate::Wildcard(std::string_view topic) const {
  return Join(topic, [](const std::string&) { return "*"; });
}

bool IndexTemplate::has_topic() const {
  return std::ranges::find(parts_, Part::Kind::kTopic, &Part::kind) != parts_.end();
}

bool IndexTemplate::has_time() const {
  return std::ranges::find(parts_, Part::Kind::kTime, &Part::kind) != parts_.end();
}

}  // namespace drawbridge
