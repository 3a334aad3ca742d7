#include "base/private_file.h"

#include <cerrno>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

namespace drawbridge {
namespace {

constexpr size_t kBytesMax = size_t{64} * 1024;

Status Refuse(const std::filesystem::path& file, const std::string& why) {
  return {StatusCode::kFailedPrecondition, fmt::format("{} {}", file.string(), why)};
}

Status CheckAccess(const std::filesystem::path& file, const struct stat& about, Readers readers) {
  if (!S_ISREG(about.st_mode)) return Refuse(file, "is no plain file");
  if (about.st_uid != geteuid() && about.st_uid != 0) {
    return Refuse(file, "holds a key and belongs to another user");
  }
  const mode_t forbidden = readers == Readers::kOwner ? 0077U : 0037U;
  if ((about.st_mode & forbidden) != 0) {
    return Refuse(
        file, fmt::format("holds a key and has mode {:04o}: chmod {} it", about.st_mode & 07777U,
                          readers == Readers::kOwner ? "0600" : "0640"));
  }
  if (static_cast<size_t>(about.st_size) > kBytesMax) return Refuse(file, "is too large for a key");
  return {};
}

}  // namespace

StatusOr<Secret> ReadPrivateFile(const std::filesystem::path& file, Readers readers) {
  // Without O_NONBLOCK a pipe of that name would hold up the start for ever.
  const FileDescriptor opened(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat about {};
  if (!opened.is_open() || fstat(opened.get(), &about) != 0) {
    const StatusCode code = errno == ENOENT ? StatusCode::kNotFound : StatusCode::kUnavailable;
    return Status(code, fmt::format("cannot read {}: {}", file.string(),
                                    std::generic_category().message(errno)));
  }
  if (Status checked = CheckAccess(file, about, readers); !checked.ok()) return checked;

  // Sized once: growing would leave copies of the key behind.
  std::string content(kBytesMax, '\0');
  size_t size = 0;
  ssize_t got = 0;
  do {
    got = read(opened.get(), content.data() + size, content.size() - size);
    if (got > 0) size += static_cast<size_t>(got);
  } while ((got > 0 && size < content.size()) || (got < 0 && errno == EINTR));
  const int error = errno;
  content.resize(size);
  Secret secret(std::move(content));
  if (got >= 0) return secret;
  return Status(StatusCode::kUnavailable, fmt::format("cannot read {}: {}", file.string(),
                                                      std::generic_category().message(error)));
}

Status MakePrivateFolder(const std::filesystem::path& folder) {
  if (folder.empty()) return {};  // the current one
  std::error_code error;
  if (!std::filesystem::create_directories(folder, error)) {
    if (!error) return {};
  } else {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
    if (!error) return {};
  }
  return {StatusCode::kUnavailable,
          fmt::format("cannot make the folder {}: {}", folder.string(), error.message())};
}

}  // namespace drawbridge
