#pragma once

#include <filesystem>

#include "base/secret.h"
#include "base/status.h"

namespace drawbridge {

// Who besides the owner may be able to read a file with a key in it.
enum class Readers { kOwner, kOwnerAndGroup };

// The content of a small file that holds a key. kNotFound if there is none; kFailedPrecondition if
// more than `readers` can read it or anyone else can write it, if it belongs to another user (but
// root), or is no plain file of at most 64 KiB.
StatusOr<Secret> ReadPrivateFile(const std::filesystem::path& file, Readers readers);

// Makes the folder, for the owner alone, if it is missing.
Status MakePrivateFolder(const std::filesystem::path& folder);

}  // namespace drawbridge
