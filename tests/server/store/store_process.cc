// A process that dies on demand while it works on a control database: the tests arm a failpoint in
// its environment, or let its disk fail, and look at what is left. What was acknowledged stands on
// standard output.
//
//   store_process open FILE             opens it, brings it to the newest schema
//   store_process extend FILE           opens it and adds the migration after the newest
//   store_process commit FILE           writes 110 rows, one group each; prints each when it is
//   done store_process unsynced FILE N       the same, on a disk whose N-th sync fails

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "server/store/control_database.h"
#include "server/store/migrator.h"
#include "tests/server/store/faulty_disk.h"
#include "tests/server/store/next_migration.h"

namespace drawbridge {
namespace {

int Fail(const Status& status) {
  fmt::print(stderr, "{}\n", status.ToString());
  return 3;
}

int Extend(const std::string& path) {
  StatusOr<Database> database = Database::Open(path, Database::Mode::kWriter);
  if (!database.ok()) return Fail(database.status());
  const Status done = Migrate(*database, path, WithNextMigration(), Clock::System());
  return done.ok() ? 0 : Fail(done);
}

int Commit(ControlDatabase& database) {
  for (int64_t id = 1; id <= 110; ++id) {
    const Status done = database.writer().Run([&](Database& write) {
      return write
          .Prepare(
              "INSERT INTO requests (request_id, body_hash, response, at_us) "
              "VALUES (?, x'', x'', ?)")
          .Bind(fmt::format("request-{}", id))
          .Bind(id)
          .Run();
    });
    if (!done.ok()) return Fail(done);
    fmt::print("{}\n", id);
    std::fflush(stdout);
  }
  return 0;
}

int Main(int count, char** words) {
  if (count < 3) return 2;
  const std::string_view verb = words[1];
  const std::string path = words[2];
  if (verb == "extend") return Extend(path);
  FaultyDisk disk;
  const auto database = ControlDatabase::Open(path, Clock::System());
  if (!database.ok()) return Fail(database.status());
  if (verb == "open") return 0;
  if (verb == "unsynced" && count > 3) disk.FailSync(std::atoll(words[3]));
  return Commit(**database);
}

}  // namespace
}  // namespace drawbridge

int main(int argc, char** argv) { return drawbridge::Main(argc, argv); }
