#include "model/convert/utf8.h"

#include <cstdint>

namespace drawbridge {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kEllipsis = "\xE2\x80\xA6";     // U+2026

// Bytes of the well-formed character that the text begins with; 0 if it begins with none.
size_t CharacterBytes(std::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0};
  };
  const auto is_tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const uint8_t first = byte(0);
  const uint8_t second = byte(1);
  if (first < 0x80) return 1;
  if (first < 0xC2 || !is_tail(1)) return 0;
  if (first < 0xE0) return 2;
  if (first < 0xF0) {
    const bool is_overlong = first == 0xE0 && second < 0xA0;
    const bool is_surrogate = first == 0xED && second >= 0xA0;
    return is_tail(2) && !is_overlong && !is_surrogate ? 3 : 0;
  }
  const bool is_overlong = first == 0xF0 && second < 0x90;
  const bool is_beyond = first > 0xF4 || (first == 0xF4 && second >= 0x90);
  return is_tail(2) && is_tail(3) && !is_overlong && !is_beyond ? 4 : 0;
}

}  // namespace

std::string ToUtf8(std::string_view text, size_t bytes_max) {
  std::string clean;
  size_t room_for_ellipsis = 0;  // how much of `clean` may stay if it must be cut
  while (!text.empty()) {
    const size_t bytes = CharacterBytes(text);
    const std::string_view character = bytes == 0 ? kReplacement : text.substr(0, bytes);
    if (clean.size() + character.size() > bytes_max) {
      clean.resize(room_for_ellipsis);
      return clean.append(kEllipsis.substr(0, bytes_max));
    }
    clean.append(character);
    if (clean.size() + kEllipsis.size() <= bytes_max) room_for_ellipsis = clean.size();
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return clean;
}

}  // namespace drawbridge
