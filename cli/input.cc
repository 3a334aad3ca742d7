#include "cli/input.h"

#include <cerrno>
#include <fstream>
#include <system_error>

#include <fmt/format.h>

namespace drawbridge::cli {

StatusOr<std::string> ReadInput(const std::filesystem::path& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (file) return ReadInput(file, path.string());
  const int error = errno == 0 ? ENOENT : errno;
  return Status(
      error == ENOENT ? StatusCode::kNotFound : StatusCode::kUnavailable,
      fmt::format("cannot read {}: {}", path.string(), std::generic_category().message(error)));
}

StatusOr<std::string> ReadInput(std::istream& stream, const std::string& name) {
  errno = 0;
  std::string text(kInputBytesMax + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) {
    return Status(StatusCode::kUnavailable,
                  fmt::format("cannot read {}: {}", name,
                              std::generic_category().message(errno == 0 ? EIO : errno)));
  }
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() <= kInputBytesMax) return text;
  return Status(
      StatusCode::kInvalidArgument,
      fmt::format("{} holds more than {} MiB: is it the right file?", name, kInputBytesMax >> 20));
}

}  // namespace drawbridge::cli
