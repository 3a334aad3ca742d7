#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "base/file.h"

namespace drawbridge {

// A folder that a test has for itself; it goes with all in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "drawbridge-test-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) {
      std::perror("mkdtemp");
      std::abort();
    }
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  // Makes a file in it, and returns its path.
  std::filesystem::path Write(const std::string& name, std::string_view content,
                              mode_t mode = 0600) const {
    const std::filesystem::path file = path_ / name;
    EXPECT_TRUE(WriteFileAtomically(file, content, mode).ok());
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace drawbridge
