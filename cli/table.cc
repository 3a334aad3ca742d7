#include "cli/table.h"

#include <algorithm>
#include <cassert>
#include <string_view>

#include <fmt/format.h>

#include "cli/text.h"

namespace drawbridge::cli {
namespace {

constexpr size_t kGap = 2;

std::string_view ColourOf(Tone tone) {
  switch (tone) {
    case Tone::kGood:
      return "\x1b[32m";
    case Tone::kWarning:
      return "\x1b[33m";
    case Tone::kBad:
      return "\x1b[31m";
    case Tone::kFaint:
      return "\x1b[2m";
    case Tone::kPlain:
      break;
  }
  return "";
}

// One line that is written cell by cell and never grows wider than the style allows.
class Line {
 public:
  explicit Line(const TableStyle& style)
      : has_colour_(style.has_colour), room_(style.width_max.value_or(std::string::npos)) {}

  // Blanks are held back: none stand at the end of a line.
  void Blanks(size_t count) { blanks_ += count; }

  void Text(const Cell& cell) {
    if (cell.text.empty() || room_ <= blanks_) return;
    room_ -= blanks_;
    text_.append(blanks_, ' ');
    blanks_ = 0;
    const std::string shown = CutToWidth(cell.text, room_);
    room_ -= DisplayWidth(shown);
    text_ += has_colour_ ? Coloured(shown, cell.tone) : shown;
  }

  std::string Take() { return std::move(text_); }

 private:
  bool has_colour_;
  size_t room_;
  size_t blanks_ = 0;
  std::string text_;
};

std::string Render(const std::vector<Cell>& row, const std::vector<Column>& columns,
                   const std::vector<size_t>& widths, const TableStyle& style) {
  Line line(style);
  for (size_t index = 0; index < row.size(); ++index) {
    const size_t padding = widths[index] - DisplayWidth(row[index].text);
    const bool is_right = columns[index].align == Align::kRight;
    if (is_right) line.Blanks(padding);
    line.Text(row[index]);
    line.Blanks(kGap + (is_right ? 0 : padding));
  }
  return line.Take();
}

}  // namespace

void Table::Add(std::vector<Cell> row) {
  assert(row.size() == columns_.size());
  for (Cell& cell : row) cell.text = Printable(cell.text);
  rows_.push_back(std::move(row));
}

std::vector<std::string> Table::Lines(const TableStyle& style) const {
  const std::vector<size_t> widths = Widths();
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.emplace_back(column.title, Tone::kFaint);
  std::vector<std::string> lines{Render(titles, columns_, widths, style)};
  for (const auto& row : rows_) lines.push_back(Render(row, columns_, widths, style));
  return lines;
}

std::vector<size_t> Table::Widths() const {
  std::vector<size_t> widths;
  for (const Column& column : columns_) widths.push_back(DisplayWidth(column.title));
  for (const auto& row : rows_) {
    for (size_t index = 0; index < row.size(); ++index) {
      widths[index] = std::max(widths[index], DisplayWidth(row[index].text));
    }
  }
  return widths;
}

std::string Coloured(const std::string& text, Tone tone) {
  const std::string_view colour = ColourOf(tone);
  return colour.empty() ? text : fmt::format("{}{}\x1b[0m", colour, text);
}

}  // namespace drawbridge::cli
