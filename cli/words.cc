#include "cli/words.h"

#include <algorithm>
#include <cctype>

namespace drawbridge::cli {
namespace {

// "MOTION_" for Motion, of whose values the first is MOTION_UNSPECIFIED.
size_t PrefixLength(const google::protobuf::EnumDescriptor& type) {
  constexpr std::string_view kZero = "UNSPECIFIED";
  const std::string& zero = type.value(0)->name();
  return zero.ends_with(kZero) ? zero.size() - kZero.size() : 0;
}

}  // namespace

std::string EnumName(const google::protobuf::EnumDescriptor& type, int value) {
  if (value == 0) return "";
  const google::protobuf::EnumValueDescriptor* known = type.FindValueByNumber(value);
  return known == nullptr ? std::to_string(value) : known->name().substr(PrefixLength(type));
}

std::string EnumWord(const google::protobuf::EnumDescriptor& type, int value) {
  std::string word = EnumName(type, value);
  std::ranges::transform(word, word.begin(), [](unsigned char letter) {
    return letter == '_' ? '-' : static_cast<char>(std::tolower(letter));
  });
  return word;
}

std::vector<std::string> EnumWords(const google::protobuf::EnumDescriptor& type) {
  std::vector<std::string> words;
  for (int index = 0; index < type.value_count(); ++index) {
    if (type.value(index)->number() == 0) continue;
    words.push_back(EnumWord(type, type.value(index)->number()));
  }
  return words;
}

}  // namespace drawbridge::cli
