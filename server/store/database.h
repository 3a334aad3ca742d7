#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace drawbridge {

// A prepared statement in use: bind in order, step, read columns. Resets itself when it dies, so
// that the next user finds it clean. Belongs to its Database's thread.
class Statement {
 public:
  Statement(sqlite3* database, sqlite3_stmt* statement);
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  Statement& Bind(int64_t value);
  Statement& Bind(std::string_view text);
  Statement& BindBlob(std::string_view bytes);
  Statement& BindNull();
  template <typename T>
  Statement& Bind(const std::optional<T>& value) {
    return value ? Bind(*value) : BindNull();
  }

  // Whether there is a row. A failure is final: it stands in status(), and there is no row.
  bool Step();
  const Status& status() const { return status_; }

  // Runs a statement that gives no rows.
  Status Run();

  int64_t Int(int column) const;
  std::string Text(int column) const;
  bool IsNull(int column) const;
  std::optional<int64_t> OptionalInt(int column) const;

 private:
  sqlite3* database_;
  sqlite3_stmt* statement_;
  int bound_ = 0;
  Status status_;
};

// One connection. The rules that make a file safe are set when it opens (docs/adr): WAL, FULL
// synchronous, foreign keys, no untrusted schema. Exactly one connection per file may write, and
// that one checkpoints too; readers open read-only. One thread at a time.
class Database {
 public:
  enum class Mode { kWriter, kReader };

  // kNotFound for a reader of a file that is not there; kDataLoss with DATABASE_CORRUPT for a
  // damaged file.
  static StatusOr<Database> Open(const std::filesystem::path& path, Mode mode);
  Database(Database&& other) noexcept;
  Database& operator=(Database&&) = delete;
  ~Database();

  // A statement by its text, prepared once and kept.
  Statement Prepare(std::string_view sql);
  // Text of several statements without values: a migration, BEGIN, COMMIT.
  Status Execute(const std::string& sql);

  // Rows changed by the last statement.
  int64_t changes() const;
  int64_t last_row_id() const;

  // Looks at every page: DATABASE_CORRUPT says that a backup must be restored.
  Status QuickCheck();

  // Moves what it can of the WAL into the file, without waiting for readers.
  void Checkpoint();

 private:
  explicit Database(sqlite3* handle);

  sqlite3* handle_;
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
};

}  // namespace drawbridge
