#include "tests/cli/verb_fixture.h"

#include <cstdlib>
#include <fstream>

namespace drawbridge::cli {

TestFolder::TestFolder() {
  std::string name = testing::TempDir() + "drawbridge-cli-XXXXXX";
  path_ = mkdtemp(name.data());
}

TestFolder::~TestFolder() { std::filesystem::remove_all(path_); }

std::string TestFolder::Write(const std::string& name, const std::string& content) const {
  std::ofstream(path_ / name, std::ios::binary) << content;
  return path_ / name;
}

VerbTest::VerbTest()
    : terminal_{in_,
                out_,
                err_,
                clock_,
                false,
                false,
                [] {
                  return Terminal::Size{80, 24};
                },
                [](Duration) { return false; }},
      context_file_(folder_.Write("context.yaml", server_.ContextText())) {}

ExitCode VerbTest::Run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--context", context_file_});
  return RunBare(arguments);
}

ExitCode VerbTest::RunBare(const std::vector<std::string>& arguments) {
  out_.str("");
  err_.str("");
  return cli::Run(arguments, terminal_);
}

}  // namespace drawbridge::cli
