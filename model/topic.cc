#include "model/topic.h"

#include <algorithm>

#include <fmt/format.h>
#include <re2/re2.h>

namespace drawbridge {
namespace {

constexpr std::string_view kPlaceholder = "{topic}";
constexpr size_t kTopicNameMax = 249;

bool IsInternal(std::string_view topic) { return topic.starts_with("__") || topic == "_schemas"; }

bool IsPattern(std::string_view selector) {
  return selector.size() >= 2 && selector.front() == '/' && selector.back() == '/';
}

Status Invalid(size_t index, Reason reason, std::string message) {
  return {StatusCode::kInvalidArgument, reason, std::move(message), fmt::format("[{}]", index)};
}

}  // namespace

bool IsTopicName(std::string_view name) {
  if (name.empty() || name.size() > kTopicNameMax || name == "." || name == "..") return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

StatusOr<TopicSelection> TopicSelection::Create(const std::vector<std::string>& selectors) {
  if (selectors.empty()) {
    return Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid,
                  "name at least one topic, or a pattern between slashes such as \"/audit-.*/\"");
  }
  TopicSelection selection;
  for (size_t i = 0; i < selectors.size(); ++i) {
    const std::string& selector = selectors[i];
    if (!IsPattern(selector)) {
      if (!IsTopicName(selector)) {
        return Invalid(
            i, Reason::kFieldInvalid,
            fmt::format("\"{}\" is no topic name: use letters, digits, '.', '_' and '-', "
                        "or put a pattern between slashes",
                        selector));
      }
      selection.literals_.push_back(selector);
      continue;
    }
    RE2::Options options;
    options.set_log_errors(false);
    auto pattern = std::make_shared<RE2>(selector.substr(1, selector.size() - 2), options);
    if (!pattern->ok()) {
      return Invalid(i, Reason::kPatternInvalid,
                     fmt::format("\"{}\" is no regular expression (RE2 syntax): {}", selector,
                                 pattern->error()));
    }
    selection.patterns_.push_back(std::move(pattern));
  }
  return selection;
}

bool TopicSelection::Matches(std::string_view topic) const {
  if (std::ranges::find(literals_, topic) != literals_.end()) return true;
  if (IsInternal(topic)) return false;
  const re2::StringPiece text(topic.data(), topic.size());
  return std::ranges::any_of(patterns_,
                             [&](const auto& pattern) { return RE2::FullMatch(text, *pattern); });
}

StatusOr<TopicTemplate> TopicTemplate::Create(std::string_view text) {
  TopicTemplate made;
  const size_t at = text.find(kPlaceholder);
  made.has_placeholder_ = at != std::string_view::npos;
  made.prefix_ = std::string(text.substr(0, at));
  if (made.has_placeholder_) made.suffix_ = std::string(text.substr(at + kPlaceholder.size()));
  if (!IsTopicName(made.Apply("x"))) {
    return Status(
        StatusCode::kInvalidArgument, Reason::kFieldInvalid,
        fmt::format("\"{}\" makes no valid topic name: use letters, digits, '.', '_', '-' "
                    "and {{topic}} once",
                    text));
  }
  return made;
}

std::string TopicTemplate::Apply(std::string_view topic) const {
  return has_placeholder_ ? fmt::format("{}{}{}", prefix_, topic, suffix_) : prefix_;
}

std::optional<std::string> TopicTemplate::Inverse(std::string_view target) const {
  if (!has_placeholder_ || target.size() <= prefix_.size() + suffix_.size() ||
      !target.starts_with(prefix_) || !target.ends_with(suffix_)) {
    return std::nullopt;
  }
  target.remove_prefix(prefix_.size());
  target.remove_suffix(suffix_.size());
  return std::string(target);
}

bool IsEcho(std::string_view topic, const TopicTemplate& mapping,
            const std::vector<TopicFlow>& reverse_flows) {
  return std::ranges::any_of(reverse_flows, [&](const TopicFlow& flow) {
    const std::optional<std::string> origin = flow.mapping.Inverse(topic);
    return origin && flow.selection.Matches(*origin) && mapping.Apply(topic) != *origin;
  });
}

}  // namespace drawbridge
