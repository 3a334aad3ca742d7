#include "cli/text.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include <fmt/format.h>

#include "model/convert/utf8.h"

namespace drawbridge::cli {
namespace {

// Bytes of the character that a text of valid UTF-8 begins with.
size_t CharacterLength(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

// C0, DEL, and the C1 controls as UTF-8: any of them may begin a terminal's command.
bool IsControl(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  return character.size() == 2 && first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

// Insertions, removals, replacements and swaps of neighbours that make `a` of `b`.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1);
  std::vector<size_t> previous(b.size() + 1);
  std::iota(previous.begin(), previous.end(), size_t{0});
  std::vector<size_t> current(b.size() + 1);
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) current[j] = std::min(current[j], before[j - 2] + 1);
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

std::optional<Duration> UnitOf(std::string_view name) {
  using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
  if (name == "ms") return 1ms;
  if (name == "s") return 1s;
  if (name == "m") return 1min;
  if (name == "h") return 1h;
  if (name == "d") return 24h;
  return std::nullopt;
}

}  // namespace

std::string Printable(std::string_view text) {
  const std::string valid = ToUtf8(text);
  std::string printable;
  printable.reserve(valid.size());
  for (size_t at = 0; at < valid.size();) {
    const std::string_view rest = std::string_view(valid).substr(at);
    const std::string_view character = rest.substr(0, CharacterLength(rest));
    at += character.size();
    if (character == "\n") {
      printable += ' ';
    } else if (IsControl(character)) {
      printable += fmt::format("\\x{:02x}", static_cast<unsigned char>(character.back()));
    } else {
      printable += character;
    }
  }
  return printable;
}

std::optional<size_t> FindInvalidUtf8(std::string_view text) {
  const auto is_ascii = [](char byte) { return static_cast<unsigned char>(byte) < 0x80; };
  if (std::ranges::all_of(text, is_ascii)) return std::nullopt;
  const std::string valid = ToUtf8(text);
  const auto [first, same] = std::ranges::mismatch(text, valid);
  if (first == text.end()) return std::nullopt;
  return static_cast<size_t>(first - text.begin());
}

size_t DisplayWidth(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }));
}

std::string CutToWidth(std::string_view text, size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  if (width == 0) return "";
  std::string cut;
  for (size_t columns = 0; columns + 1 < width; ++columns) {
    const size_t length = CharacterLength(text);
    cut += text.substr(0, length);
    text.remove_prefix(length);
  }
  return cut + "…";
}

std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& known) {
  constexpr size_t kWordMax = 64;  // a longer one is no slip of the fingers
  if (word.size() > kWordMax) return {};
  std::string_view nearest;
  size_t smallest = std::max<size_t>(word.size() / 3, 1) + 1;
  for (const std::string_view candidate : known) {
    const size_t distance = EditDistance(word, candidate);
    if (distance >= smallest) continue;
    smallest = distance;
    nearest = candidate;
  }
  return nearest;
}

std::optional<Duration> ParseDuration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  Duration total{0};
  while (!text.empty()) {
    Duration::rep number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    const size_t unit_length = std::min(text.find_first_of("0123456789"), text.size());
    const std::optional<Duration> unit = UnitOf(text.substr(0, unit_length));
    if (!unit || number > (Duration::max() - total) / *unit) return std::nullopt;
    total += number * *unit;
    text.remove_prefix(unit_length);
  }
  return total;
}

std::string ToText(Duration duration) {
  using std::chrono::duration_cast;
  const auto ms = duration_cast<std::chrono::milliseconds>(duration).count();
  if (ms < 0) return "-" + ToText(-duration);
  const auto seconds = ms / 1000;
  if (ms == 0) return "0s";
  if (seconds == 0) return fmt::format("{}ms", ms);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d{:02}h", seconds / 86400, seconds / 3600 % 24);
}

std::string WithSeparators(int64_t number) {
  std::string digits = fmt::format("{}", number);
  const size_t first = number < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string ToText(WallTime time) {
  const std::string full = ToRfc3339(time);
  return full.substr(0, full.find('.')) + "Z";
}

}  // namespace drawbridge::cli
