#pragma once

#include <vector>

#include "server/store/migrator.h"

namespace drawbridge {

// The migrations of this release and one that the next might bring.
inline std::vector<Migration> WithNextMigration() {
  std::vector<Migration> migrations(ControlMigrations().begin(), ControlMigrations().end());
  migrations.push_back({.number = migrations.back().number + 1,
                        .name = "next",
                        .sql = "ALTER TABLE meta ADD COLUMN next TEXT NOT NULL DEFAULT 'x';"
                               "CREATE TABLE next (id INTEGER PRIMARY KEY) STRICT;"});
  return migrations;
}

}  // namespace drawbridge
