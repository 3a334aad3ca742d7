#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/resource.h>

#include "cli/command_line.h"
#include "cli/session.h"

int main(int argc, char** argv) {
  using namespace drawbridge;  // NOLINT(google-build-using-namespace)
  // The program holds secrets while it runs: none may end up in a core file.
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  // What gRPC would log comes as an error of the call. Who wants it sets the variable.
  setenv("GRPC_VERBOSITY", "NONE", 0);  // NOLINT(concurrency-mt-unsafe): no thread runs yet
  cli::Terminal terminal = cli::Terminal::OfProcess();
  try {
    return static_cast<int>(cli::Run({argv + 1, argv + argc}, terminal));
  } catch (const std::exception& error) {
    terminal.err << fmt::format(
        "error: INTERNAL: {}; this is a fault of drawbridge: please "
        "report it\n",
        error.what());
    return static_cast<int>(cli::ExitCode::kRefused);
  }
}
