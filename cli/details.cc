#include "cli/details.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/text.h"

namespace drawbridge::cli {

void Details::AddTable(std::string heading, Table table) {
  if (!table.empty()) tables_.emplace_back(std::move(heading), std::move(table));
}

void Details::Print(Session& session) const {
  size_t width = 0;
  for (const auto& [label, value] : facts_) width = std::max(width, label.size() + 1);
  for (const auto& [label, value] : facts_) {
    session.Print(fmt::format("{:<{}}  {}", label + ":", width,
                              session.Toned(Printable(value.text), value.tone)));
  }
  for (const auto& [heading, table] : tables_) {
    session.Print("\n" + heading);
    session.Print(table, "");
  }
}

}  // namespace drawbridge::cli
