#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace drawbridge::cli {

// The text with control characters escaped ("\x1b") and broken UTF-8 mended, so that what a broker
// or a file said cannot steer the terminal. Line feeds become spaces.
std::string Printable(std::string_view text);

// Where the first byte is that is no UTF-8; nullopt if all of it is.
std::optional<size_t> FindInvalidUtf8(std::string_view text);

// Columns that a text of valid UTF-8 takes on a terminal, as far as one per character is true.
size_t DisplayWidth(std::string_view text);

// The text of valid UTF-8, cut to `width` columns; a cut one ends in "…".
std::string CutToWidth(std::string_view text, size_t width);

// The known word that `word` was probably meant to be; empty if none is near.
std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& known);

// "24h", "1d12h", "500ms": numbers with a unit (d h m s ms) each, in any order. nullopt for
// anything else, a bare number too, and for what does not fit.
std::optional<Duration> ParseDuration(std::string_view text);

// For people: "0s", "850ms", "42s", "3m20s", "2h05m", "1d03h".
std::string ToText(Duration duration);

// "1,234,567".
std::string WithSeparators(int64_t number);

// "2026-03-14T09:26:53Z".
std::string ToText(WallTime time);

}  // namespace drawbridge::cli
