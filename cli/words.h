#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/generated_enum_reflection.h>

namespace drawbridge::cli {

// An enum's value without the prefix that all its values share: "CATCHING_UP" for
// MOTION_CATCHING_UP. Empty for the zero value (unknown); the number for one that this program does
// not know.
std::string EnumName(const google::protobuf::EnumDescriptor& type, int value);

// The same as people write it: "catching-up".
std::string EnumWord(const google::protobuf::EnumDescriptor& type, int value);

template <typename Enum>
std::string EnumName(Enum value) {
  return EnumName(*google::protobuf::GetEnumDescriptor<Enum>(), static_cast<int>(value));
}

template <typename Enum>
std::string EnumWord(Enum value) {
  return EnumWord(*google::protobuf::GetEnumDescriptor<Enum>(), static_cast<int>(value));
}

// All words of an enum but the zero value's.
std::vector<std::string> EnumWords(const google::protobuf::EnumDescriptor& type);

template <typename Enum>
std::vector<std::string> EnumWords() {
  return EnumWords(*google::protobuf::GetEnumDescriptor<Enum>());
}

// The inverse of EnumWord().
template <typename Enum>
std::optional<Enum> EnumFromWord(std::string_view word) {
  const google::protobuf::EnumDescriptor& type = *google::protobuf::GetEnumDescriptor<Enum>();
  for (int index = 0; index < type.value_count(); ++index) {
    const int number = type.value(index)->number();
    if (number != 0 && EnumWord(type, number) == word) return static_cast<Enum>(number);
  }
  return std::nullopt;
}

}  // namespace drawbridge::cli
