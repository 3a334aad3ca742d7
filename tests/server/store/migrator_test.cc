#include "server/store/migrator.h"

#include <csignal>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/server/store/child_process.h"
#include "tests/server/store/next_migration.h"
#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

using testing::ElementsAre;
using testing::EndsWith;

class MigratorTest : public testing::Test {
 protected:
  std::filesystem::path path() const { return folder_ / "control.db"; }
  Database Open() const { return *Database::Open(path(), Database::Mode::kWriter); }

  std::string MigrateTo(const std::vector<Migration>& migrations) {
    Database database = Open();
    return WhyNot(Migrate(database, path(), migrations, clock_));
  }
  std::string MigrateToThisRelease() {
    return MigrateTo({ControlMigrations().begin(), ControlMigrations().end()});
  }
  std::string MigrateToNextRelease() { return MigrateTo(WithNextMigration()); }

  static int64_t Number(const std::filesystem::path& file, std::string_view sql) {
    StatusOr<Database> database = Database::Open(file, Database::Mode::kReader);
    if (!database.ok()) return -1;
    Statement row = database->Prepare(sql);
    return row.Step() ? row.Int(0) : -1;
  }
  static int64_t ThisRelease() { return ControlMigrations().back().number; }
  // Of the file before it became one of the next release.
  std::filesystem::path CopyOfThisRelease() const {
    return path().string() + ".before-" + std::to_string(ThisRelease() + 1);
  }
  int64_t Version() const { return Number(path(), "PRAGMA user_version"); }

  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
      names.push_back(file.path().filename());
    }
    std::ranges::sort(names);
    return names;
  }

  TemporaryFolder folder_;
  FakeClock clock_;
};

constexpr std::string_view kInsertMeta =
    "INSERT INTO meta (only_row, deployment_id, incarnation, revision, created_at_us) "
    "VALUES (1, 'old', 1, 0, 0)";

TEST_F(MigratorTest, MakesTheSchemaInAFreshFile) {
  ASSERT_EQ(MigrateToThisRelease(), "OK");
  EXPECT_THAT(Files(), ElementsAre("control.db")) << "there is nothing to copy";

  EXPECT_EQ(Version(), ControlMigrations().back().number);
  EXPECT_EQ(Number(path(), "SELECT count(*) FROM applied_migrations"), Version());
  EXPECT_EQ(Number(path(), "SELECT length(checksum) FROM applied_migrations"), 64);
  EXPECT_EQ(Number(path(), "SELECT applied_at_us FROM applied_migrations"),
            ToMicros(clock_.WallNow()));
}

TEST_F(MigratorTest, DoesNothingTheSecondTime) {
  ASSERT_EQ(MigrateToThisRelease(), "OK");
  const std::string before = *ReadFile(path());

  EXPECT_EQ(MigrateToThisRelease(), "OK");

  EXPECT_TRUE(*ReadFile(path()) == before);
  EXPECT_THAT(Files(), ElementsAre("control.db"));
}

TEST_F(MigratorTest, CopiesTheFileBeforeItChangesIt) {
  ASSERT_EQ(MigrateToThisRelease(), "OK");
  ASSERT_EQ(WhyNot(Open().Prepare(kInsertMeta).Run()), "OK");

  ASSERT_EQ(MigrateToNextRelease(), "OK");

  const int64_t old = ControlMigrations().back().number;
  const std::string copy = path().string() + ".before-" + std::to_string(old + 1);
  EXPECT_EQ(Version(), old + 1);
  EXPECT_EQ(Number(path(), "SELECT count(*) FROM meta WHERE next = 'x'"), 1);
  EXPECT_EQ(Number(copy, "PRAGMA user_version"), old);
  EXPECT_EQ(Number(copy, "SELECT count(*) FROM meta WHERE deployment_id = 'old'"), 1);
  EXPECT_EQ(Number(copy, "SELECT next FROM meta"), -1) << "the copy has the old schema";
}

// The copy holds sealed secrets, as the file does.
TEST_F(MigratorTest, LetsNobodyElseReadTheCopy) {
  ASSERT_EQ(MigrateToThisRelease(), "OK");
  ASSERT_EQ(MigrateToNextRelease(), "OK");

  EXPECT_EQ(std::filesystem::status(CopyOfThisRelease()).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(MigratorTest, RefusesAFileOfANewerReleaseAndLeavesItAsItIs) {
  ASSERT_EQ(MigrateToNextRelease(), "OK");
  const std::string before = *ReadFile(path());

  EXPECT_EQ(MigrateToThisRelease(), "DATABASE_NEWER");

  EXPECT_TRUE(*ReadFile(path()) == before);
  EXPECT_THAT(Files(), ElementsAre("control.db"));
}

TEST_F(MigratorTest, UndoesAStepThatFails) {
  ASSERT_EQ(MigrateToThisRelease(), "OK");
  std::vector<Migration> broken = WithNextMigration();
  broken.back().sql = "CREATE TABLE half (id INTEGER) STRICT; INSERT INTO nowhere VALUES (1);";

  EXPECT_NE(MigrateTo(broken), "OK");

  EXPECT_EQ(Version(), ControlMigrations().back().number);
  EXPECT_EQ(Number(path(), "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), 0);
  EXPECT_EQ(MigrateToNextRelease(), "OK") << "when it is repaired";
}

// Of two steps the second fails; at the next start the first is not to be done again, and the only
// copy that the old release can read must still be there.
TEST_F(MigratorTest, KeepsTheCopyOfTheOldReleaseWhenItGoesOnHalfway) {
  ASSERT_EQ(MigrateToThisRelease(), "OK");
  std::vector<Migration> two = WithNextMigration();
  two.push_back({.number = two.back().number + 1, .name = "broken", .sql = "nonsense"});
  ASSERT_NE(MigrateTo(two), "OK");
  ASSERT_EQ(Version(), ThisRelease() + 1);
  two.back().sql = "CREATE TABLE third (id INTEGER) STRICT;";

  ASSERT_EQ(MigrateTo(two), "OK");

  EXPECT_EQ(Version(), ThisRelease() + 2);
  EXPECT_EQ(Number(CopyOfThisRelease(), "PRAGMA user_version"), ThisRelease());
}

TEST_F(MigratorTest, TellsOfLettersOfBeforeWhichLifeOfTheirTopicTheyAreOf) {
  const auto all = ControlMigrations();
  ASSERT_EQ(MigrateTo({all.begin(), all.begin() + 7}), "OK");
  ASSERT_EQ(WhyNot(Open().Execute(
                "INSERT INTO endpoints (name, generation, spec) VALUES ('oci', 1, '{}');"
                "INSERT INTO bridges (name, generation, spec, source_endpoint, target_endpoint, "
                "source_cluster_id) VALUES ('logs', 1, '{}', 'oci', 'oci', 'cluster-1');"
                "INSERT INTO streams (id, bridge_id, topic, target_topic, source_epoch, "
                "created_at_us) VALUES (4, 1, 'audit', 'audit', 3, 0);"
                "INSERT INTO dead_letters (stream_id, partition, error, from_offset, to_offset, "
                "records, bridge, topic, first_at_us, last_at_us) VALUES "
                "(4, 0, 'a', 1, 2, 1, 'logs', 'audit', 0, 0),"
                "(2, 0, 'a', 1, 2, 1, 'logs', 'audit', 0, 0)")),
            "OK");

  ASSERT_EQ(MigrateToThisRelease(), "OK");

  EXPECT_EQ(Number(path(),
                   "SELECT count(*) FROM dead_letters WHERE stream_id = 4 AND source_epoch = 3 "
                   "AND source_cluster = 'cluster-1'"),
            1);
  EXPECT_EQ(Number(path(),
                   "SELECT count(*) FROM dead_letters WHERE stream_id = 2 AND source_epoch = 1 "
                   "AND source_cluster = ''"),
            1)
      << "its bridge is gone";
}

TEST_F(MigratorTest, TakesNothingOfAnotherProgram) {
  Database database = Open();
  ASSERT_EQ(WhyNot(database.Execute("CREATE TABLE addresses (name TEXT)")), "OK");

  EXPECT_EQ(MigrateToThisRelease(), "DATABASE_CORRUPT");
  ASSERT_EQ(WhyNot(database.Execute("PRAGMA user_version=1")), "OK");
  EXPECT_EQ(MigrateToThisRelease(), "DATABASE_CORRUPT");

  EXPECT_EQ(Number(path(), "SELECT count(*) FROM sqlite_schema"), 1);
}

#if defined(DRAWBRIDGE_FAILPOINTS)
TEST_F(MigratorTest, GoesOnAfterItWasKilledInTheFirstStep) {
  const Ended killed = RunStoreProcess({"open", path()}, "store.migration=kill");
  ASSERT_EQ(killed.signal, SIGKILL);
  EXPECT_EQ(Version(), 0);

  EXPECT_EQ(RunStoreProcess({"open", path()}).exit_code, 0);
  EXPECT_EQ(Version(), ThisRelease());
  EXPECT_EQ(Number(path(), "SELECT count(*) FROM meta"), 1);
}

TEST_F(MigratorTest, GoesOnAfterItWasKilledInALaterStep) {
  ASSERT_EQ(RunStoreProcess({"open", path()}).exit_code, 0);
  const Ended killed = RunStoreProcess({"extend", path()}, "store.migration=kill");
  ASSERT_EQ(killed.signal, SIGKILL);
  EXPECT_EQ(Version(), ThisRelease());

  EXPECT_EQ(RunStoreProcess({"extend", path()}).exit_code, 0);
  EXPECT_EQ(Version(), ThisRelease() + 1);
  EXPECT_EQ(Number(path(), "SELECT count(*) FROM meta WHERE next = 'x'"), 1);
}
#endif

TEST(ControlMigrationsTest, AreNumberedFromOneWithoutAHole) {
  int number = 0;
  for (const Migration& migration : ControlMigrations()) {
    EXPECT_EQ(migration.number, ++number);
    EXPECT_FALSE(migration.sql.empty());
  }
  EXPECT_GE(number, 1);
}

}  // namespace
}  // namespace drawbridge
