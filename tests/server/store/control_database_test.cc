#include "server/store/control_database.h"

#include <random>
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/server/store/next_migration.h"
#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

class ControlDatabaseTest : public StoreTest {
 protected:
  std::string WhyNotOpened() { return WhyNot(ControlDatabase::Open(path(), clock_)); }

  void Write(std::string_view content) {
    ASSERT_TRUE(WriteFileAtomically(path(), content, 0600).ok());
  }

  // A closed file with something of everything in it; some pages more than one.
  std::string Filled() {
    const StreamId stream = LearnStream(DefineBridge(), "audit", std::vector<int64_t>(200, 7));
    Enrol("fra-1");
    for (int partition = 0; partition < 200; ++partition) {
      GrantTo("fra-1", {.stream = stream, .partition = partition});
    }
    Stop();
    return *ReadFile(path());
  }
};

TEST_F(ControlDatabaseTest, MakesADeploymentThatKeepsItsIdentity) {
  const DesiredState first = State();
  Restart();
  const DesiredState second = State();

  EXPECT_TRUE(std::regex_match(
      first.deployment_id,
      std::regex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")));
  EXPECT_EQ(first.incarnation, 1);
  EXPECT_EQ(first.revision, 0);
  EXPECT_EQ(second.deployment_id, first.deployment_id);
  EXPECT_EQ(second.incarnation, 1) << "a restart is no restore";
}

TEST_F(ControlDatabaseTest, LetsNobodyElseReadItsFiles) {
  DefineBridge();
  for (const char* suffix : {"", "-wal", "-shm"}) {
    EXPECT_EQ(std::filesystem::status(path().string() + suffix).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write)
        << suffix;
  }
}

TEST_F(ControlDatabaseTest, LeavesOneFileBehind) {
  DefineBridge();
  Stop();

  EXPECT_FALSE(std::filesystem::exists(path().string() + "-wal"));
  EXPECT_FALSE(std::filesystem::exists(path().string() + "-shm"));
}

TEST_F(ControlDatabaseTest, KeepsTheKeyCheck) {
  EXPECT_EQ(*database().KeyCheck(), "");
  const std::string sealed("\0sealed\xff", 8);

  ASSERT_EQ(WhyNot(database().SetKeyCheck(sealed)), "OK");
  Restart();

  EXPECT_EQ(*database().KeyCheck(), sealed);
}

TEST_F(ControlDatabaseTest, ForgetsSecretsButNotTheirCredentials) {
  StoredCredential about;
  about.name = "oci-user";
  const auto seal = [](SecretRef) -> StatusOr<std::string> { return std::string("sealed"); };
  const auto first = credentials().Put(about, seal, Request());
  ASSERT_EQ(WhyNot(first), "OK");

  ASSERT_EQ(WhyNot(database().ForgetSecrets("another")), "OK");

  EXPECT_EQ(*database().KeyCheck(), "another");
  EXPECT_EQ(WhyNot(credentials().Sealed({.credential = first->id, .version = 1})),
            "SECRET_UNAVAILABLE");
  const auto again = credentials().Put(about, seal, Request());
  ASSERT_EQ(WhyNot(again), "OK");
  EXPECT_EQ(again->id, first->id);
  EXPECT_EQ(again->version, 2) << "relays must see that it is another secret";
}

TEST_F(ControlDatabaseTest, ReadsOneMomentWhileTheWriterGoesOn) {
  DefineBridge();
  const auto revisions = reader().Get([&](Database& read) -> StatusOr<std::pair<int64_t, int64_t>> {
    const auto revision = [&] {
      Statement row = read.Prepare("SELECT revision FROM meta");
      return row.Step() ? row.Int(0) : -1;
    };
    const int64_t before = revision();
    EXPECT_EQ(WhyNot(writer().Run([](Database& write) {
                return write.Prepare("UPDATE meta SET revision = revision + 1").Run();
              })),
              "OK");
    return std::pair(before, revision());
  });

  ASSERT_TRUE(revisions.ok());
  EXPECT_EQ(revisions->first, revisions->second);
  EXPECT_EQ(State().revision, revisions->second + 1);
}

TEST_F(ControlDatabaseTest, GoesOnReadingAfterAReadThatFailed) {
  EXPECT_EQ(WhyNot(reader().Get([](Database&) -> StatusOr<int64_t> {
              return Status(StatusCode::kNotFound, Reason::kNotFound, "");
            })),
            "NOT_FOUND");

  EXPECT_EQ(State().revision, 0);
}

// --- Files that are not what they should be
// -------------------------------------------------------

TEST_F(ControlDatabaseTest, RefusesAnEmptyFile) {
  Stop();
  Write("");

  EXPECT_EQ(WhyNotOpened(), "DATABASE_CORRUPT");
  EXPECT_EQ(std::filesystem::file_size(path()), 0U) << "nothing is written over it";
}

TEST_F(ControlDatabaseTest, RefusesAFileThatIsNoDatabase) {
  Stop();
  for (const std::string& content :
       {std::string("x"), std::string("deployment: eu\n"), std::string(50'000, 'x'),
        std::string(8192, '\0'), std::string("SQLite format 3")}) {
    Write(content);

    EXPECT_EQ(WhyNotOpened(), "DATABASE_CORRUPT");
    EXPECT_TRUE(*ReadFile(path()) == content) << "nothing is written over it";
  }
}

TEST_F(ControlDatabaseTest, RefusesADatabaseOfANewerRelease) {
  Stop();
  {
    Database database = *Database::Open(path(), Database::Mode::kWriter);
    ASSERT_TRUE(Migrate(database, path(), WithNextMigration(), clock_).ok());
  }
  const std::string before = *ReadFile(path());

  const auto opened = ControlDatabase::Open(path(), clock_);

  EXPECT_EQ(WhyNot(opened), "DATABASE_NEWER");
  EXPECT_THAT(opened.status().message(),
              HasSubstr("schema version " + std::to_string(ControlMigrations().back().number + 1)));
  EXPECT_TRUE(*ReadFile(path()) == before);
}

TEST_F(ControlDatabaseTest, RefusesAFileThatWasCutShort) {
  const std::string whole = Filled();
  for (size_t size = 1; size < whole.size(); size += 1733) {
    Write(whole.substr(0, size));
    EXPECT_EQ(WhyNotOpened(), "DATABASE_CORRUPT") << size;
  }

  Write(whole.substr(0, whole.size() / 4096 / 2 * 4096));
  EXPECT_EQ(WhyNotOpened(), "DATABASE_CORRUPT") << "at a page's end";
}

TEST_F(ControlDatabaseTest, RefusesAFileWithADamagedPage) {
  const std::string whole = Filled();
  ASSERT_GT(whole.size(), 20U * 4096);
  for (size_t page = 0; page < whole.size(); page += 4096) {
    std::string damaged = whole;
    damaged.replace(page, 4096, 4096, '\x5a');
    Write(damaged);

    EXPECT_EQ(WhyNotOpened(), "DATABASE_CORRUPT") << page / 4096;
  }
}

// A flipped bit may lie where nobody can tell it from data, or make the file one of a newer release
// or one that may not be written. Whatever it is, the server neither crashes nor opens what it
// cannot read.
TEST_F(ControlDatabaseTest, SurvivesFlippedBits) {
  const std::string whole = Filled();
  std::mt19937 random(20260314);
  for (size_t i = 0; i < 300; ++i) {
    std::string damaged = whole;
    const size_t at = i < 100 ? i : random() % whole.size();
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    Write(damaged);

    auto opened = ControlDatabase::Open(path(), clock_);

    EXPECT_THAT(WhyNot(opened),
                AnyOf("OK", "DATABASE_CORRUPT", "DATABASE_NEWER", "STORAGE_DEGRADED"))
        << at;
    if (opened.ok()) {
      EXPECT_THAT(WhyNot((*opened)->ReadAll()), AnyOf("OK", "DATABASE_CORRUPT"));
    }
  }
}

TEST_F(ControlDatabaseTest, SurvivesADamagedLog) {
  Stop();
  for (size_t at = 0; at < 40'000; at += 997) {
    std::filesystem::remove(path());
    Start();
    DefineBridge();
    const std::string log_path = path().string() + "-wal";
    std::string log = *ReadFile(log_path);
    const std::string file = *ReadFile(path());
    Stop();
    if (at < log.size()) log[at] = static_cast<char>(log[at] ^ 0x10);
    Write(file);
    ASSERT_TRUE(WriteFileAtomically(log_path, log, 0600).ok());

    auto opened = ControlDatabase::Open(path(), clock_);

    EXPECT_THAT(WhyNot(opened), AnyOf("OK", "DATABASE_CORRUPT")) << at;
    if (opened.ok()) {
      EXPECT_EQ(WhyNot((*opened)->ReadAll()), "OK") << at;
    }
  }
}

TEST_F(ControlDatabaseTest, SaysThatItCannotWriteWhereThereIsNoFolder) {
  EXPECT_EQ(WhyNot(ControlDatabase::Open(folder_ / "missing" / "control.db", clock_)),
            "STORAGE_DEGRADED");
}

}  // namespace
}  // namespace drawbridge
