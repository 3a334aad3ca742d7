#include "server/store/database.h"

#include <limits>

#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

class DatabaseTest : public testing::Test {
 protected:
  DatabaseTest() {
    EXPECT_EQ(
        WhyNot(database_->Execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, number INTEGER,"
                                  " text TEXT, bytes BLOB) STRICT")),
        "OK");
  }

  std::filesystem::path path() const { return folder_ / "test.db"; }
  StatusOr<Database> OpenReader() { return Database::Open(path(), Database::Mode::kReader); }

  Status Insert(int64_t id, std::string_view text) {
    return database_->Prepare("INSERT INTO notes (id, text) VALUES (?, ?)")
        .Bind(id)
        .Bind(text)
        .Run();
  }

  static int64_t Number(Database& database, std::string_view sql) {
    Statement row = database.Prepare(sql);
    EXPECT_TRUE(row.Step()) << sql << ": " << row.status().ToString();
    return row.Int(0);
  }

  TemporaryFolder folder_;
  StatusOr<Database> database_ = Database::Open(path(), Database::Mode::kWriter);
};

TEST_F(DatabaseTest, WritesSoThatACommitSurvivesAPowerCut) {
  Statement mode = database_->Prepare("PRAGMA journal_mode");
  ASSERT_TRUE(mode.Step());

  EXPECT_EQ(mode.Text(0), "wal");
  EXPECT_EQ(Number(*database_, "PRAGMA synchronous"), 2);
  EXPECT_EQ(Number(*database_, "PRAGMA foreign_keys"), 1);
  EXPECT_EQ(Number(*database_, "PRAGMA secure_delete"), 1);
  EXPECT_EQ(Number(*database_, "PRAGMA wal_autocheckpoint"), 0);
  EXPECT_EQ(Number(*database_, "PRAGMA trusted_schema"), 0);
}

TEST_F(DatabaseTest, GivesBackWhatItWasGiven) {
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  const std::string bytes("\0\xff\0", 3);
  const std::string text("tab\t, zero \0, umlaut \xc3\xbc", 23);
  ASSERT_EQ(WhyNot(database_->Prepare("INSERT INTO notes VALUES (1, ?, ?, ?)")
                       .Bind(kLargest)
                       .Bind(text)
                       .BindBlob(bytes)
                       .Run()),
            "OK");

  Statement row = database_->Prepare("SELECT number, text, bytes FROM notes");

  ASSERT_TRUE(row.Step());
  EXPECT_EQ(row.Int(0), kLargest);
  EXPECT_EQ(row.Text(1), text);
  EXPECT_EQ(row.Text(2), bytes);
  EXPECT_FALSE(row.Step());
  EXPECT_EQ(WhyNot(row.status()), "OK");
}

TEST_F(DatabaseTest, TellsNothingFromEmpty) {
  ASSERT_EQ(WhyNot(database_->Prepare("INSERT INTO notes VALUES (1, ?, ?, ?)")
                       .Bind(std::optional<int64_t>())
                       .Bind(std::string_view())
                       .BindBlob({})
                       .Run()),
            "OK");

  Statement row = database_->Prepare("SELECT number, text, bytes FROM notes");

  ASSERT_TRUE(row.Step());
  EXPECT_TRUE(row.IsNull(0));
  EXPECT_EQ(row.OptionalInt(0), std::nullopt);
  EXPECT_FALSE(row.IsNull(1));
  EXPECT_FALSE(row.IsNull(2));
  EXPECT_EQ(row.Text(1), "");
}

TEST_F(DatabaseTest, FindsAStatementCleanThatWasLeftInTheMiddle) {
  ASSERT_TRUE(Insert(1, "a").ok());
  ASSERT_TRUE(Insert(2, "b").ok());
  constexpr std::string_view kSelect = "SELECT id FROM notes WHERE id >= ? ORDER BY id";
  {
    Statement first = database_->Prepare(kSelect);
    first.Bind(int64_t{1});
    ASSERT_TRUE(first.Step());
  }

  Statement second = database_->Prepare(kSelect);
  second.Bind(int64_t{2});

  ASSERT_TRUE(second.Step());
  EXPECT_EQ(second.Int(0), 2);
  EXPECT_FALSE(second.Step());
}

TEST_F(DatabaseTest, ForgetsTheValuesOfTheLastUse) {
  constexpr std::string_view kInsert = "INSERT INTO notes (id, text) VALUES (?, ?)";
  ASSERT_EQ(WhyNot(database_->Prepare(kInsert).Bind(int64_t{1}).Bind("secret").Run()), "OK");
  ASSERT_EQ(WhyNot(database_->Prepare(kInsert).Bind(int64_t{2}).Run()), "OK");

  EXPECT_EQ(Number(*database_, "SELECT count(*) FROM notes WHERE text IS NULL"), 1);
}

TEST_F(DatabaseTest, ReportsAFailureAndThenGivesNoRow) {
  ASSERT_TRUE(Insert(1, "a").ok());

  Statement twice = database_->Prepare("INSERT INTO notes (id) VALUES (1)");
  EXPECT_FALSE(twice.Step());
  EXPECT_EQ(WhyNot(twice.status()), "IN_USE");
  EXPECT_FALSE(twice.Step());

  Statement nonsense = database_->Prepare("SELECT nothing FROM nowhere");
  EXPECT_FALSE(nonsense.Bind(int64_t{1}).Bind("x").BindBlob("y").BindNull().Step());
  EXPECT_FALSE(nonsense.status().ok());
  EXPECT_TRUE(Insert(2, "b").ok()) << "a failure before must not matter";
}

TEST_F(DatabaseTest, CountsTheRowsThatAStatementChanged) {
  ASSERT_TRUE(Insert(7, "a").ok());
  EXPECT_EQ(database_->changes(), 1);
  EXPECT_EQ(database_->last_row_id(), 7);

  ASSERT_TRUE(database_->Prepare("UPDATE notes SET text = 'b' WHERE id = 8").Run().ok());
  EXPECT_EQ(database_->changes(), 0);
}

TEST_F(DatabaseTest, HasReadersThatCannotWrite) {
  ASSERT_TRUE(Insert(1, "a").ok());
  auto reader = OpenReader();
  ASSERT_TRUE(reader.ok());

  EXPECT_FALSE(reader->Prepare("UPDATE notes SET text = 'b'").Run().ok());
  EXPECT_FALSE(reader->Execute("DELETE FROM notes").ok());
  EXPECT_FALSE(reader->Execute("PRAGMA query_only=OFF; DROP TABLE notes").ok());
  EXPECT_EQ(Number(*reader, "SELECT count(*) FROM notes WHERE text = 'a'"), 1);
}

TEST_F(DatabaseTest, FindsNothingToReadWhereThereIsNoFile) {
  const auto missing = Database::Open(folder_ / "missing.db", Database::Mode::kReader);

  EXPECT_EQ(missing.status().code(), StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "missing.db"));
}

// The writer alone folds the log into the file: two that do can corrupt it.
TEST_F(DatabaseTest, LeavesTheLogAloneWhenAReaderCloses) {
  ASSERT_TRUE(Insert(1, "a").ok());
  const std::string log = path().string() + "-wal";
  const std::string before = *ReadFile(log);

  {
    auto reader = OpenReader();
    ASSERT_TRUE(reader.ok());
    ASSERT_EQ(Number(*reader, "SELECT count(*) FROM notes"), 1);
    reader->Checkpoint();
  }

  EXPECT_TRUE(*ReadFile(log) == before);
}

TEST_F(DatabaseTest, FoldsTheLogIntoTheFile) {
  const std::string before = *ReadFile(path());
  ASSERT_TRUE(Insert(1, "needle in the log").ok());
  ASSERT_TRUE(*ReadFile(path()) == before);

  database_->Checkpoint();

  EXPECT_NE(ReadFile(path())->find("needle in the log"), std::string::npos);
}

TEST_F(DatabaseTest, IsFoundWholeByItsCheck) { EXPECT_EQ(WhyNot(database_->QuickCheck()), "OK"); }

}  // namespace
}  // namespace drawbridge
