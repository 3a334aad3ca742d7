#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <sys/types.h>

#include "base/status.h"

namespace drawbridge {

// A file descriptor that closes itself. Not copyable.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor();

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// The whole content. kNotFound if there is no such file.
StatusOr<std::string> ReadFile(const std::filesystem::path& path);

// Replaces the file by one with this content and mode, so that a reader, or a machine that stops in
// the middle, sees the old content or the new, never a part. Durable when it returns.
Status WriteFileAtomically(const std::filesystem::path& path, std::string_view content,
                           mode_t mode);

// Makes the folder (mode 0700) if it is missing, and locks it against another process for as long
// as the descriptor lives. kFailedPrecondition names the process that holds it.
StatusOr<FileDescriptor> LockFolder(const std::filesystem::path& folder);

}  // namespace drawbridge
