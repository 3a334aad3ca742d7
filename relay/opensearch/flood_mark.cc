#include "relay/opensearch/flood_mark.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string>
#include <utility>

namespace drawbridge {
namespace {

struct Amount {
  double number = 0;
  std::string unit;
};

std::optional<Amount> Parse(std::string_view text) {
  Amount amount;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount.number);
  if (error != std::errc() || amount.number < 0) return std::nullopt;
  amount.unit = text.substr(static_cast<size_t>(end - text.data()));
  std::ranges::transform(amount.unit, amount.unit.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return amount;
}

// The units of engines: all of them are powers of 1024.
std::optional<double> BytesOf(const Amount& amount) {
  double factor = 1;
  if (amount.unit == "b") return amount.number;
  for (const char letter : {'k', 'm', 'g', 't', 'p'}) {
    factor *= 1024;
    if (amount.unit == std::string(1, letter) || amount.unit == std::string{letter, 'b'}) {
      return amount.number * factor;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<FloodMark> FloodMark::Read(std::string_view mark, std::string_view headroom) {
  FloodMark read;
  const std::optional<Amount> amount = Parse(mark);
  if (!amount) return std::nullopt;
  if (amount->unit == "%" || amount->unit.empty()) {
    read.used_part_ = amount->unit.empty() ? amount->number : amount->number / 100;
    if (read.used_part_ > 1) return std::nullopt;
  } else if (read.bytes_ = BytesOf(*amount); !read.bytes_) {
    return std::nullopt;
  }
  if (headroom.empty() || headroom == "-1") return read;
  const std::optional<Amount> most = Parse(headroom);
  if (most) read.headroom_ = BytesOf(*most);
  return read.headroom_ ? std::optional(read) : std::nullopt;
}

double FloodMark::FreeLeast(double disk_bytes) const {
  if (bytes_) return *bytes_;
  const double part = disk_bytes * (1 - used_part_);
  return std::min(part, headroom_.value_or(part));
}

}  // namespace drawbridge
