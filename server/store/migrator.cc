#include "server/store/migrator.h"

#include <array>

#include <fmt/format.h>
#include <openssl/sha.h>

#include "base/failpoint.h"
#include "base/log.h"

namespace drawbridge {
namespace {

const Log kLog("server.store");

std::string Checksum(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

StatusOr<int64_t> SchemaVersion(Database& database) {
  Statement version = database.Prepare("PRAGMA user_version");
  if (!version.Step()) return version.status();
  return version.Int(0);
}

int64_t Newest(std::span<const Migration> migrations) {
  return migrations.empty() ? 0 : migrations.back().number;
}

// Whether the file was made by these migrations: nothing is to be written into another program's.
StatusOr<bool> IsOurs(Database& database, int64_t version) {
  Statement found = database.Prepare(version == 0 ? "SELECT count(*) FROM sqlite_schema"
                                                  : "SELECT count(*) FROM applied_migrations");
  if (!found.Step()) return found.status();
  return found.Int(0) == version;
}

// Puts the whole file beside itself, for its owner only: it holds what the file holds.
Status Copy(Database& database, const std::string& to) {
  std::error_code error;
  std::filesystem::remove(to, error);
  if (Status copied = database.Prepare("VACUUM INTO ?").Bind(to).Run(); !copied.ok()) return copied;
  std::filesystem::permissions(
      to, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, error);
  kLog.Info("database copied before its migration", {{"path", to}});
  return {};
}

Status Apply(Database& database, const Migration& migration, const Clock& clock) {
  if (Status begun = database.Execute("BEGIN IMMEDIATE"); !begun.ok()) return begun;
  Status status = database.Execute(std::string(migration.sql));
  if (status.ok()) {
    status = database
                 .Prepare(
                     "INSERT INTO applied_migrations (number, name, checksum, applied_at_us) "
                     "VALUES (?, ?, ?, ?)")
                 .Bind(int64_t{migration.number})
                 .Bind(migration.name)
                 .Bind(Checksum(migration.sql))
                 .Bind(ToMicros(clock.WallNow()))
                 .Run();
  }
  if (status.ok())
    status = database.Execute(fmt::format("PRAGMA user_version={}", migration.number));
  Failpoint("store.migration");
  if (status.ok()) status = database.Execute("COMMIT");
  if (!status.ok()) std::ignore = database.Execute("ROLLBACK");
  return status;
}

}  // namespace

Status RefuseNewer(Database& database, const std::filesystem::path& path,
                   std::span<const Migration> migrations) {
  const StatusOr<int64_t> found = SchemaVersion(database);
  if (!found.ok()) return found.status();
  if (*found <= Newest(migrations)) return {};
  return {StatusCode::kFailedPrecondition, Reason::kDatabaseNewer,
          fmt::format("{} has schema version {}, and this server knows {}: run the newer server, "
                      "or restore a backup made before the upgrade",
                      path.string(), *found, Newest(migrations))};
}

Status Migrate(Database& database, const std::filesystem::path& path,
               std::span<const Migration> migrations, const Clock& clock) {
  if (Status known = RefuseNewer(database, path, migrations); !known.ok()) return known;
  const StatusOr<int64_t> found = SchemaVersion(database);
  if (!found.ok()) return found.status();
  const StatusOr<bool> is_ours = IsOurs(database, *found);
  if (!is_ours.ok()) return is_ours.status();
  if (!*is_ours) {
    return {StatusCode::kDataLoss, Reason::kDatabaseCorrupt,
            fmt::format("{} is no database of this server: restore a backup, or name another file",
                        path.string())};
  }
  if (*found == Newest(migrations)) return {};
  // Named after the first step, so that one that was interrupted keeps the copy it began with.
  if (*found > 0) {
    Status copied = Copy(database, fmt::format("{}.before-{}", path.string(), *found + 1));
    if (!copied.ok()) return copied;
  }
  for (const Migration& migration : migrations) {
    if (migration.number <= *found) continue;
    if (Status applied = Apply(database, migration, clock); !applied.ok()) return applied;
    kLog.Info("migration applied", {{"number", migration.number}, {"name", migration.name}});
  }
  return {};
}

}  // namespace drawbridge
