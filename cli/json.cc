#include "cli/json.h"

#include <map>

#include <absl/strings/escaping.h>
#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>

#include "cli/words.h"
#include "model/convert/time.h"

namespace drawbridge::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::util::TimeUtil;

Json EnumJson(const FieldDescriptor& field, int value) {
  const std::string name = EnumName(*field.enum_type(), value);
  return name.empty() ? Json(nullptr) : Json(name);
}

Json HashJson(uint64_t hash) { return fmt::format("{:016x}", hash); }

Json MessageJson(const Message& message) {
  const Descriptor* type = message.GetDescriptor();
  if (type == google::protobuf::Timestamp::descriptor()) {
    google::protobuf::Timestamp time;
    time.CopyFrom(message);
    return FromProto(time).ok() ? Json(TimeUtil::ToString(time)) : Json(nullptr);
  }
  if (type == google::protobuf::Duration::descriptor()) {
    google::protobuf::Duration span;
    span.CopyFrom(message);
    return static_cast<double>(span.seconds()) + static_cast<double>(span.nanos()) / 1e9;
  }
  return ToJson(message);
}

// The value of a field that is not repeated.
Json ValueJson(const Message& message, const FieldDescriptor& field) {
  const Reflection& values = *message.GetReflection();
  if (field.has_presence() && !values.HasField(message, &field)) return nullptr;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return values.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_INT32:
      return values.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return values.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return values.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64: {
      const uint64_t number = values.GetUInt64(message, &field);
      return field.type() == FieldDescriptor::TYPE_FIXED64 ? HashJson(number) : Json(number);
    }
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return values.GetDouble(message, &field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return values.GetFloat(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumJson(field, values.GetEnumValue(message, &field));
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string text = values.GetString(message, &field);
      return field.type() == FieldDescriptor::TYPE_BYTES ? absl::Base64Escape(text) : text;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageJson(values.GetMessage(message, &field));
  }
  return nullptr;
}

// Messages and texts: the API repeats nothing else.
Json ListJson(const Message& message, const FieldDescriptor& field) {
  const Reflection& values = *message.GetReflection();
  Json list = Json::array();
  for (int index = 0; index < values.FieldSize(message, &field); ++index) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      list.push_back(values.GetRepeatedString(message, &field, index));
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      list.push_back(MessageJson(values.GetRepeatedMessage(message, &field, index)));
    }
  }
  return list;
}

// A map from text to text, by its keys' order.
Json MapJson(const Message& message, const FieldDescriptor& field) {
  const Reflection& values = *message.GetReflection();
  std::map<std::string, Json> sorted;
  for (int index = 0; index < values.FieldSize(message, &field); ++index) {
    const Message& entry = values.GetRepeatedMessage(message, &field, index);
    const Descriptor& type = *entry.GetDescriptor();
    const Json key = ValueJson(entry, *type.map_key());
    sorted[key.is_string() ? key.get<std::string>() : key.dump()] =
        ValueJson(entry, *type.map_value());
  }
  Json object = Json::object();
  for (auto& [key, value] : sorted) object[key] = std::move(value);
  return object;
}

std::string KeyOf(const FieldDescriptor& field) {
  const bool is_duration = field.message_type() == google::protobuf::Duration::descriptor();
  return is_duration ? field.name() + "_seconds" : field.name();
}

Json TextOrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Json ToJson(const Message& message) {
  Json object = Json::object();
  const Descriptor& type = *message.GetDescriptor();
  for (int index = 0; index < type.field_count(); ++index) {
    const FieldDescriptor& field = *type.field(index);
    // Of alternatives only the one that is chosen is there.
    const bool is_absent = field.real_containing_oneof() != nullptr &&
                           !message.GetReflection()->HasField(message, &field);
    if (is_absent) continue;
    object[KeyOf(field)] = field.is_map()        ? MapJson(message, field)
                           : field.is_repeated() ? ListJson(message, field)
                                                 : ValueJson(message, field);
  }
  return object;
}

Json ToJson(const Failure& failure) {
  Json errors = Json::array();
  for (const Problem& problem : failure.problems) {
    Json error;
    error["reason"] = problem.reason;
    error["message"] = problem.message;
    error["field"] = TextOrNull(problem.field);
    error["file"] = problem.at ? Json(problem.at->file) : Json(nullptr);
    const bool has_line = problem.at && problem.at->line > 0;
    error["line"] = has_line ? Json(problem.at->line) : Json(nullptr);
    error["column"] = has_line ? Json(problem.at->column) : Json(nullptr);
    errors.push_back(std::move(error));
  }
  return {{"errors", std::move(errors)}};
}

std::string Pretty(const Json& json) { return Dump(json, 2); }

std::string Compact(const Json& json) { return Dump(json, -1); }

}  // namespace drawbridge::cli
