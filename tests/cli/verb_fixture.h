#pragma once

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "cli/command_line.h"
#include "cli/terminal.h"
#include "tests/cli/fake_server.h"

namespace drawbridge::cli {

// A clock that stands until it is turned.
class StandingClock final : public Clock {
 public:
  WallTime WallNow() const override { return wall_; }
  BootTime Now() const override { return now_; }

  void Advance(Duration duration) {
    wall_ += std::chrono::duration_cast<std::chrono::microseconds>(duration);
    now_ += duration;
  }

 private:
  WallTime wall_{std::chrono::sys_days{std::chrono::March / 14 / 2026} + std::chrono::hours{9}};
  BootTime now_{std::chrono::hours{1}};
};

// A folder that goes with the test.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  // Writes a file and gives its path.
  std::string Write(const std::string& name, const std::string& content) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Runs command lines against a fake server, as main() would.
class VerbTest : public testing::Test {
 protected:
  VerbTest();

  // Without "drawbridge", and with the fake server's context.
  ExitCode Run(std::vector<std::string> arguments);
  // With nothing added.
  ExitCode RunBare(const std::vector<std::string>& arguments);

  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }
  nlohmann::json OutJson() const { return nlohmann::json::parse(out()); }
  nlohmann::json ErrJson() const { return nlohmann::json::parse(err()); }

  FakeServer server_;
  TestFolder folder_;
  StandingClock clock_;
  std::istringstream in_;
  std::ostringstream out_;
  std::ostringstream err_;
  Terminal terminal_;
  std::string context_file_;
};

}  // namespace drawbridge::cli
