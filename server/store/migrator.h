#pragma once

#include <filesystem>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "server/store/database.h"

namespace drawbridge {

// One file of migrations/, compiled in.
struct Migration {
  int number = 0;
  std::string_view name;
  std::string_view sql;
};

// All of migrations/control, in order.
std::span<const Migration> ControlMigrations();

// DATABASE_NEWER if the file was written by a newer version.
Status RefuseNewer(Database& database, const std::filesystem::path& path,
                   std::span<const Migration> migrations);

// Brings the schema to the newest version, one transaction per step, after a copy of the file was
// put beside it (`<file>.before-<number of the first step>`). DATABASE_NEWER if the file was
// written by a newer version, DATABASE_CORRUPT if by another program: nothing is touched then.
Status Migrate(Database& database, const std::filesystem::path& path,
               std::span<const Migration> migrations, const Clock& clock);

}  // namespace drawbridge
