#include "server/store/database.h"

#include <cstdlib>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/log.h"

namespace drawbridge {
namespace {

const Log kLog("server.store");

Status ToStatus(sqlite3* handle, int code) {
  const std::string text =
      handle == nullptr ? sqlite3_errstr(code) : std::string(sqlite3_errmsg(handle));
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return {};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {
          StatusCode::kDataLoss, Reason::kDatabaseCorrupt,
          fmt::format("the database is damaged ({}): stop the server and restore a backup", text)};
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return {
          StatusCode::kUnavailable, Reason::kStorageDegraded,
          fmt::format("the database cannot be written ({}): make room on the server's disk", text)};
    case SQLITE_CONSTRAINT:
      return {StatusCode::kFailedPrecondition, Reason::kInUse, text};
    default:
      return {StatusCode::kInternal, Reason::kInternal, fmt::format("database: {}", text)};
  }
}

// For what fits every file of ours: where it fails, the file is another program's, or it is damaged
// in a place that no check looks at.
Status ToStatusOfFixedText(sqlite3* handle, int code) {
  if ((code & 0xff) != SQLITE_ERROR) return ToStatus(handle, code);
  return {StatusCode::kDataLoss, Reason::kDatabaseCorrupt,
          fmt::format("this is no database of this server, or it is damaged ({}): restore a backup",
                      sqlite3_errmsg(handle))};
}

// A second fsync may succeed with the data gone: only a restart, which replays the log, tells what
// is really there.
void ExitIfNotSynced(sqlite3* handle) {
  const int code = sqlite3_extended_errcode(handle);
  if (code != SQLITE_IOERR_FSYNC && code != SQLITE_IOERR_DIR_FSYNC) return;
  kLog.Error("the disk failed to sync; the process ends so that recovery can tell what is stored");
  std::_Exit(1);
}

constexpr const char* kWriterPragmas =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
    "PRAGMA wal_autocheckpoint=0; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
    "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; PRAGMA secure_delete=ON;";
constexpr const char* kReaderPragmas =
    "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
    "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;";

}  // namespace

// --- Statement ----------------------------------------------------------------------------------

Statement::Statement(sqlite3* database, sqlite3_stmt* statement)
    : database_(database), statement_(statement) {
  if (statement_ == nullptr) {
    status_ = ToStatusOfFixedText(database_, sqlite3_extended_errcode(database_));
  }
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      bound_(other.bound_),
      status_(std::move(other.status_)) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Statement& Statement::Bind(int64_t value) {
  if (statement_ != nullptr) sqlite3_bind_int64(statement_, ++bound_, value);
  return *this;
}

Statement& Statement::Bind(std::string_view text) {
  if (statement_ != nullptr) {
    sqlite3_bind_text64(statement_, ++bound_, text.data() == nullptr ? "" : text.data(),
                        text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  }
  return *this;
}

Statement& Statement::BindBlob(std::string_view bytes) {
  if (statement_ != nullptr) {
    sqlite3_bind_blob64(statement_, ++bound_, bytes.data() == nullptr ? "" : bytes.data(),
                        bytes.size(), SQLITE_TRANSIENT);
  }
  return *this;
}

Statement& Statement::BindNull() {
  if (statement_ != nullptr) sqlite3_bind_null(statement_, ++bound_);
  return *this;
}

bool Statement::Step() {
  if (!status_.ok() || statement_ == nullptr) return false;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    status_ = ToStatus(database_, code);
    ExitIfNotSynced(database_);
  }
  return false;
}

Status Statement::Run() {
  while (Step()) {
  }
  return status_;
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Statement::Text(int column) const {
  const void* const bytes = sqlite3_column_blob(statement_, column);
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::optional<int64_t> Statement::OptionalInt(int column) const {
  return IsNull(column) ? std::nullopt : std::optional(Int(column));
}

// --- Database -----------------------------------------------------------------------------------

StatusOr<Database> Database::Open(const std::filesystem::path& path, Mode mode) {
  std::error_code error;
  if (mode == Mode::kReader && !std::filesystem::exists(path, error)) {
    return Status(StatusCode::kNotFound, Reason::kNotFound,
                  fmt::format("there is no {}", path.string()));
  }
  sqlite3* handle = nullptr;
  const int flags =
      (mode == Mode::kWriter ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) |
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  Database database(handle);
  if (code != SQLITE_OK) return ToStatus(handle, code);
  sqlite3_busy_timeout(handle, 5000);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  if (mode == Mode::kReader) {
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  }
  const char* const pragmas = mode == Mode::kWriter ? kWriterPragmas : kReaderPragmas;
  if (!database.Execute(pragmas).ok()) {
    return ToStatusOfFixedText(handle, sqlite3_extended_errcode(handle));
  }
  return database;
}

Database::Database(sqlite3* handle) : handle_(handle) {}

Database::Database(Database&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), statements_(std::move(other.statements_)) {}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

Statement Database::Prepare(std::string_view sql) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
      return {handle_, nullptr};
    }
    found = statements_.emplace(sql, statement).first;
  }
  return {handle_, found->second};
}

Status Database::Execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return {};
  ExitIfNotSynced(handle_);
  return ToStatus(handle_, code);
}

int64_t Database::changes() const { return sqlite3_changes64(handle_); }

int64_t Database::last_row_id() const { return sqlite3_last_insert_rowid(handle_); }

Status Database::QuickCheck() {
  Statement check = Prepare("PRAGMA quick_check(1)");
  if (!check.Step()) return check.status();
  const std::string found = check.Text(0);
  if (found == "ok") return {};
  return {StatusCode::kDataLoss, Reason::kDatabaseCorrupt,
          fmt::format("the database is damaged ({}): stop the server and restore a backup", found)};
}

void Database::Checkpoint() {
  // What cannot be moved now stays in the log, unless the disk lost it.
  sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  ExitIfNotSynced(handle_);
}

}  // namespace drawbridge
