#pragma once

#include <optional>
#include <string>
#include <vector>

namespace drawbridge::cli {

// What a cell means, for those who see colour; it says so in words as well.
enum class Tone { kPlain, kGood, kWarning, kBad, kFaint };

struct Cell {
  Cell(std::string content) : text(std::move(content)) {}  // NOLINT(google-explicit-constructor)
  Cell(const char* content) : text(content) {}             // NOLINT(google-explicit-constructor)
  Cell(std::string content, Tone meaning) : text(std::move(content)), tone(meaning) {}

  std::string text;
  Tone tone = Tone::kPlain;
};

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

struct TableStyle {
  bool has_colour = false;
  // Longer lines are cut. Not set: lines are as long as they are.
  std::optional<size_t> width_max;
};

// Rows of text under titles, aligned; two spaces apart, no lines, so that awk can read it too. Text
// of others is made harmless (`Printable`). A value.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as columns.
  void Add(std::vector<Cell> row);

  bool empty() const { return rows_.empty(); }

  // The titles, then a line per row.
  std::vector<std::string> Lines(const TableStyle& style) const;

 private:
  std::vector<size_t> Widths() const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// The text in the tone's colour.
std::string Coloured(const std::string& text, Tone tone);

}  // namespace drawbridge::cli
