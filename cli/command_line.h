#pragma once

#include <string>
#include <vector>

#include "cli/failure.h"
#include "cli/terminal.h"

namespace drawbridge::cli {

// Does what one command line says, and gives the exit code. `arguments` begin after the program's
// name.
ExitCode Run(std::vector<std::string> arguments, Terminal& terminal);

}  // namespace drawbridge::cli
