#include "tests/server/store/child_process.h"

#include <array>
#include <cstdlib>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

extern char** environ;

namespace drawbridge {

Ended RunStoreProcess(const std::vector<std::string>& words, const std::string& failpoints) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const FileDescriptor reading(ends[0]);
  FileDescriptor writing(ends[1]);

  std::vector<std::string> texts = {STORE_PROCESS};
  texts.insert(texts.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  std::string armed = "DRAWBRIDGE_FAILPOINTS=" + failpoints;
  std::vector<char*> environment = {armed.data()};
  for (char** each = environ; *each != nullptr; ++each) environment.push_back(*each);
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, STORE_PROCESS, &actions, nullptr, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  writing = FileDescriptor();
  if (error != 0) {
    ADD_FAILURE() << "cannot start " << STORE_PROCESS;
    return {};
  }

  Ended ended;
  std::array<char, 4096> part{};
  for (ssize_t size = 0; (size = read(reading.get(), part.data(), part.size())) > 0;) {
    ended.output.append(part.data(), static_cast<size_t>(size));
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFEXITED(status)) ended.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
  return ended;
}

}  // namespace drawbridge
