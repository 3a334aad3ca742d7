#include "server/store/control_database.h"

#include <array>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include "base/file.h"
#include "server/store/migrator.h"
#include "server/store/stored_rows.h"

namespace drawbridge {
namespace {

// SQLite takes a file that is shorter than its smallest page for a new one, and writes over it.
constexpr uintmax_t kSmallestPage = 512;

// A random UUID (version 4).
std::string NewUuid() {
  std::array<unsigned char, 16> bytes{};
  RAND_bytes(bytes.data(), bytes.size());
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", bytes.at(i));
  }
  return text;
}

Status MakeMeta(Database& database, const Clock& clock) {
  return database
      .Prepare(
          "INSERT INTO meta (only_row, deployment_id, incarnation, revision, created_at_us) "
          "VALUES (1, ?, 1, 0, ?) ON CONFLICT DO NOTHING")
      .Bind(NewUuid())
      .Bind(ToMicros(clock.WallNow()))
      .Run();
}

}  // namespace

StatusOr<std::unique_ptr<ControlDatabase>> ControlDatabase::Open(const std::filesystem::path& path,
                                                                 const Clock& clock) {
  std::error_code error;
  if (std::filesystem::exists(path, error) &&
      std::filesystem::file_size(path, error) < kSmallestPage) {
    return Status(
        StatusCode::kDataLoss, Reason::kDatabaseCorrupt,
        fmt::format("{} is empty or cut short: restore a backup, or remove the file to begin anew",
                    path.string()));
  }
  if (std::filesystem::exists(path, error)) {
    // Before a writer touches it: a newer server's file is left as it is.
    StatusOr<Database> look = Database::Open(path, Database::Mode::kReader);
    const Status known = look.ok() ? RefuseNewer(*look, path, ControlMigrations()) : Status();
    if (known.reason() == Reason::kDatabaseNewer) return known;
  }
  // SQLite gives the files beside it the mode that this one has when they are made.
  const FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!file.is_open()) {
    return Status(StatusCode::kFailedPrecondition, Reason::kStorageDegraded,
                  fmt::format("{} cannot be opened: {}", path.string(),
                              std::generic_category().message(errno)));
  }
  fchmod(file.get(), S_IRUSR | S_IWUSR);
  StatusOr<Database> writer = Database::Open(path, Database::Mode::kWriter);
  if (!writer.ok()) return writer.status();
  if (Status checked = writer->QuickCheck(); !checked.ok()) return checked;
  if (Status done = Migrate(*writer, path, ControlMigrations(), clock); !done.ok()) return done;
  if (Status made = MakeMeta(*writer, clock); !made.ok()) return made;
  StatusOr<Database> reader = Database::Open(path, Database::Mode::kReader);
  if (!reader.ok()) return reader.status();
  return std::unique_ptr<ControlDatabase>(
      new ControlDatabase(*std::move(writer), *std::move(reader)));
}

StatusOr<DesiredState> ControlDatabase::ReadAll() {
  return reader_.Get([](Database& database) { return ReadDesiredState(database); });
}

StatusOr<std::string> ControlDatabase::KeyCheck() {
  return reader_.Get([](Database& database) -> StatusOr<std::string> {
    Statement row = database.Prepare("SELECT key_check FROM meta");
    if (!row.Step()) return row.status();
    return row.Text(0);
  });
}

Status ControlDatabase::SetKeyCheck(const std::string& sealed) {
  return writer_.Run([&](Database& database) {
    return database.Prepare("UPDATE meta SET key_check = ?").BindBlob(sealed).Run();
  });
}

Status ControlDatabase::ForgetSecrets(const std::string& key_check) {
  return writer_.Run([&](Database& database) {
    if (Status gone = database.Prepare("DELETE FROM credential_secrets").Run(); !gone.ok()) {
      return gone;
    }
    return database.Prepare("UPDATE meta SET key_check = ?").BindBlob(key_check).Run();
  });
}

}  // namespace drawbridge
