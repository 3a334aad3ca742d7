#include "base/file.h"

#include <array>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace drawbridge {
namespace {

Status SystemError(const std::string& what, const std::filesystem::path& path, int error) {
  const StatusCode code = error == ENOENT   ? StatusCode::kNotFound
                          : error == ENOSPC ? StatusCode::kResourceExhausted
                                            : StatusCode::kUnavailable;
  return {code, fmt::format("cannot {} {}: {}", what, path.string(),
                            std::generic_category().message(error))};
}

Status WriteAll(int fd, std::string_view content, const std::filesystem::path& path) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError("write", path, errno);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this == &other) return *this;
  if (fd_ >= 0) close(fd_);
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

StatusOr<std::string> ReadFile(const std::filesystem::path& path) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return SystemError("read", path, errno);
  std::string content;
  std::array<char, 16384> part{};
  while (true) {
    const ssize_t got = read(file.get(), part.data(), part.size());
    if (got == 0) return content;
    if (got > 0) content.append(part.data(), static_cast<size_t>(got));
    if (got < 0 && errno != EINTR) return SystemError("read", path, errno);
  }
}

Status WriteFileAtomically(const std::filesystem::path& path, std::string_view content,
                           mode_t mode) {
  const std::filesystem::path draft = path.string() + ".new";
  {
    const FileDescriptor file(open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!file.is_open()) return SystemError("create", draft, errno);
    if (fchmod(file.get(), mode) != 0) return SystemError("set the mode of", draft, errno);
    if (Status written = WriteAll(file.get(), content, draft); !written.ok()) return written;
    if (fsync(file.get()) != 0) return SystemError("sync", draft, errno);
  }
  if (rename(draft.c_str(), path.c_str()) != 0) return SystemError("rename to", path, errno);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const FileDescriptor directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open() || fsync(directory.get()) != 0)
    return SystemError("sync", folder, errno);
  return {};
}

StatusOr<FileDescriptor> LockFolder(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) {
    if (!std::filesystem::create_directories(folder, error)) {
      return SystemError("make the folder", folder, error.value());
    }
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
    if (error) return SystemError("set the mode of", folder, error.value());
  }
  const std::filesystem::path path = folder / "lock";
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.is_open()) return SystemError("open", path, errno);
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> holder{};
    const ssize_t size = read(file.get(), holder.data(), holder.size() - 1);
    return Status(StatusCode::kFailedPrecondition, Reason::kInUse,
                  fmt::format("{} is in use by process {}: stop it, or choose another folder",
                              folder.string(), size > 0 ? holder.data() : "(unknown)"));
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(file.get(), 0) != 0) return SystemError("write", path, errno);
  if (Status written = WriteAll(file.get(), pid, path); !written.ok()) return written;
  return file;
}

}  // namespace drawbridge
