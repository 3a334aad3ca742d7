#include "model/convert/field_reader.h"

#include "model/convert/time.h"

namespace drawbridge {

Status InvalidField(std::string message, std::string field) {
  return {StatusCode::kInvalidArgument, Reason::kFieldInvalid, std::move(message),
          std::move(field)};
}

std::optional<Offset> FieldReader::Position(std::string_view field, bool is_set, int64_t offset) {
  if (!is_set) return std::nullopt;
  return Position(field, offset);
}

std::optional<Duration> FieldReader::Span(std::string_view field, bool is_set,
                                          const google::protobuf::Duration& message) {
  const std::optional<Duration> span = TakeIf(field, is_set, FromProto(message));
  Check(span.value_or(Duration::zero()) >= Duration::zero(), field, "is negative");
  return span;
}

const std::string& FieldReader::NotEmpty(std::string_view field, const std::string& text) {
  Check(!text.empty(), field, "is empty");
  return text;
}

bool FieldReader::Check(bool holds, std::string_view field, std::string_view complaint) {
  if (!holds) Keep(InvalidField(fmt::format("{} {}", field, complaint), std::string(field)));
  return holds;
}

void FieldReader::Keep(Status error) {
  if (error_.ok()) error_ = std::move(error);
}

}  // namespace drawbridge
