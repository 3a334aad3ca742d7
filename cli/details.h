#pragma once

#include <string>
#include <vector>

#include "cli/session.h"
#include "cli/table.h"

namespace drawbridge::cli {

// One resource in full: a line per fact, then tables under headings.
class Details {
 public:
  void Add(std::string label, Cell value) {
    facts_.emplace_back(std::move(label), std::move(value));
  }
  void AddTable(std::string heading, Table table);

  void Print(Session& session) const;

 private:
  std::vector<std::pair<std::string, Cell>> facts_;
  std::vector<std::pair<std::string, Table>> tables_;
};

}  // namespace drawbridge::cli
