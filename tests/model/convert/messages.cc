#include "tests/model/convert/messages.h"

#include <limits>
#include <memory>

#include <google/protobuf/descriptor.h>

namespace drawbridge {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::vector<const FieldDescriptor*> FieldsOf(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    fields.push_back(message.GetDescriptor()->field(i));
  }
  return fields;
}

bool IsSet(const Message& message, const FieldDescriptor* field) {
  const Reflection& reflection = *message.GetReflection();
  if (field->is_repeated()) return reflection.FieldSize(message, field) > 0;
  const auto* const choice = field->real_containing_oneof();
  return choice ? reflection.HasOneof(message, choice) : reflection.HasField(message, field);
}

void AddUnset(const Message& message, const std::string& path, std::vector<std::string>& unset) {
  const Reflection& reflection = *message.GetReflection();
  for (const FieldDescriptor* field : FieldsOf(message)) {
    const std::string name = path + field->name();
    if (!IsSet(message, field)) {
      unset.push_back(name);
    } else if (field->message_type() && field->is_repeated()) {
      AddUnset(reflection.GetRepeatedMessage(message, field, 0), name + ".", unset);
    } else if (field->message_type() && reflection.HasField(message, field)) {
      AddUnset(reflection.GetMessage(message, field), name + ".", unset);
    }
  }
}

// Every way to spoil a field that is no message.
std::vector<std::function<void(Message&)>> SpoilsOf(const FieldDescriptor* field) {
  std::vector<std::function<void(Message&)>> spoils;
  const auto set = [&](auto setter, auto... values) {
    (spoils.emplace_back(
         [=](Message& message) { (message.GetReflection()->*setter)(&message, field, values); }),
     ...);
  };
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      set(&Reflection::SetInt32, std::numeric_limits<int32_t>::min(), -1, 0,
          std::numeric_limits<int32_t>::max());
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      set(&Reflection::SetInt64, std::numeric_limits<int64_t>::min(), -1, 0,
          std::numeric_limits<int64_t>::max());
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      set(&Reflection::SetUInt64, uint64_t{0}, std::numeric_limits<uint64_t>::max());
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      set(&Reflection::SetBool, false, true);
      break;
    case FieldDescriptor::CPPTYPE_ENUM:
      set(&Reflection::SetEnumValue, -1, 0, 99);
      break;
    case FieldDescriptor::CPPTYPE_STRING:
      set(&Reflection::SetString, std::string());
      break;
    default:
      ADD_FAILURE() << "no way to spoil " << field->full_name();
  }
  return spoils;
}

// Adds the first element once more.
void Repeat(Message& message, const FieldDescriptor* field) {
  const Reflection& reflection = *message.GetReflection();
  if (field->message_type()) {
    const std::unique_ptr<Message> first(reflection.GetRepeatedMessage(message, field, 0).New());
    first->CopyFrom(reflection.GetRepeatedMessage(message, field, 0));
    reflection.AddMessage(&message, field)->CopyFrom(*first);
  } else {
    reflection.AddString(&message, field, reflection.GetRepeatedString(message, field, 0));
  }
}

// Spoils `part` in every way and visits the `whole` each time.
void SpoilPart(const Message& whole, Message& part, const std::string& path, const Visit& visit) {
  const Reflection& reflection = *part.GetReflection();
  const std::unique_ptr<Message> sound(part.New());
  sound->CopyFrom(part);
  for (const FieldDescriptor* field : FieldsOf(part)) {
    const std::string name = path + field->name();
    const auto visit_with = [&](const std::function<void(Message&)>& spoil) {
      spoil(part);
      visit(whole, name);
      part.CopyFrom(*sound);
    };
    visit_with([&](Message& it) { reflection.ClearField(&it, field); });
    if (field->is_map()) continue;
    if (field->is_repeated()) {
      if (reflection.FieldSize(part, field) == 0) continue;
      visit_with([&](Message& it) { Repeat(it, field); });
      if (field->message_type()) {
        SpoilPart(whole, *reflection.MutableRepeatedMessage(&part, field, 0), name + ".", visit);
      }
    } else if (!field->message_type()) {
      for (const auto& spoil : SpoilsOf(field)) visit_with(spoil);
    } else if (reflection.HasField(part, field)) {
      SpoilPart(whole, *reflection.MutableMessage(&part, field), name + ".", visit);
    }
  }
}

}  // namespace

std::vector<std::string> UnsetFields(const Message& message) {
  std::vector<std::string> unset;
  AddUnset(message, "", unset);
  return unset;
}

void ForEachSpoiled(const Message& message, const Visit& visit) {
  const std::unique_ptr<Message> spoiled(message.New());
  spoiled->CopyFrom(message);
  SpoilPart(*spoiled, *spoiled, "", visit);
}

}  // namespace drawbridge
