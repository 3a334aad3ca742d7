#pragma once

#include <concepts>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/repeated_ptr_field.h>

#include "base/clock.h"
#include "base/status.h"
#include "model/offset.h"

namespace drawbridge {

// kInvalidArgument, kFieldInvalid. Without a field, the whole message is at fault.
Status InvalidField(std::string message, std::string field = {});

inline constexpr int64_t kCounterMost = std::numeric_limits<int64_t>::max() / 2;

// Reads the fields of one message and keeps the first error with its path, so that a conversion
// reads as a list of fields. In place of a value that is refused it gives one that may be computed
// with; it never gets out, since Finish then returns the error. Thread-compatible.
class FieldReader {
 public:
  template <std::integral Number>
  Number AtLeast(Number least, std::string_view field, Number number) {
    return Check(number >= least, field, "is too small") ? number : least;
  }

  template <std::integral Number>
  Number NotNegative(std::string_view field, Number number) {
    return Check(number >= 0, field, "is negative") ? number : 0;
  }

  // Ids and versions count from 1, so that 0 is a field that was not set.
  template <std::integral Number>
  Number Positive(std::string_view field, Number number) {
    return Check(number > 0, field, "is missing or negative") ? number : 1;
  }

  // What rises by one each time, for ever: nobody could go beyond one at the end of its range.
  int64_t Counter(std::string_view field, int64_t count) {
    return Check(count <= kCounterMost, field, "leaves no room for those that follow")
               ? NotNegative(field, count)
               : 0;
  }

  Offset Position(std::string_view field, int64_t offset) { return {NotNegative(field, offset)}; }
  std::optional<Offset> Position(std::string_view field, bool is_set, int64_t offset);

  // How long ago, or for how long: never negative.
  std::optional<Duration> Span(std::string_view field, bool is_set,
                               const google::protobuf::Duration& message);

  const std::string& NotEmpty(std::string_view field, const std::string& text);

  // A value that has been converted already.
  template <typename Value>
  Value Take(std::string_view field, StatusOr<Value> value) {
    if (value.ok()) return *std::move(value);
    Keep(value.status().At(std::string(field)));
    return {};
  }

  // One that must be there, or may be missing.
  template <typename Value>
  Value Require(std::string_view field, bool is_set, StatusOr<Value> value) {
    return Check(is_set, field, "is missing") ? Take(field, std::move(value)) : Value{};
  }
  template <typename Value>
  std::optional<Value> TakeIf(std::string_view field, bool is_set, StatusOr<Value> value) {
    if (!is_set) return std::nullopt;
    return Take(field, std::move(value));
  }

  // All of a repeated field; the path of an error says which: "items[3].token".
  template <typename Value, typename Message>
  std::vector<Value> TakeAll(std::string_view field,
                             const google::protobuf::RepeatedPtrField<Message>& messages,
                             StatusOr<Value> (*convert)(const Message&)) {
    std::vector<Value> values;
    values.reserve(static_cast<size_t>(messages.size()));
    for (const Message& message : messages) {
      StatusOr<Value> value = convert(message);
      if (!value.ok()) {
        Keep(value.status().At(fmt::format("{}[{}]", field, values.size())));
        return {};
      }
      values.push_back(*std::move(value));
    }
    return values;
  }

  // Refuses a list in which two elements have the same name.
  template <typename Value, typename NameOf>
  void Unique(std::string_view field, const std::vector<Value>& values, NameOf name_of) {
    std::set<std::decay_t<std::invoke_result_t<NameOf, const Value&>>> names;
    for (size_t i = 0; i < values.size(); ++i) {
      if (names.insert(std::invoke(name_of, values[i])).second) continue;
      Check(false, fmt::format("{}[{}]", field, i), "is named twice");
      return;
    }
  }

  // Refuses the field unless what must hold of it does. Returns whether it does.
  bool Check(bool holds, std::string_view field, std::string_view complaint);

  template <typename Value>
  StatusOr<Value> Finish(Value value) {
    if (!error_.ok()) return std::move(error_);
    return value;
  }

 private:
  void Keep(Status error);

  Status error_;
};

}  // namespace drawbridge
