#pragma once

#include <filesystem>
#include <istream>
#include <string>

#include "base/status.h"

namespace drawbridge::cli {

// More than any input is, so that the wrong file, or one without an end, does not fill the memory.
inline constexpr size_t kInputBytesMax = size_t{2} << 20;

// The content of a file or a pipe that a person names. It may be empty.
StatusOr<std::string> ReadInput(const std::filesystem::path& path);

// The rest of a stream, which messages call `name`.
StatusOr<std::string> ReadInput(std::istream& stream, const std::string& name);

}  // namespace drawbridge::cli
