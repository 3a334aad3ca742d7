#pragma once

#include <string>

#include "base/secret.h"
#include "cli/failure.h"
#include "cli/terminal.h"

namespace drawbridge::cli {

// Reads a secret from a file, or from standard input if `file` is "-": never from an argument,
// which every user of the machine can see. `option` names the option that was given, for messages.
// Empty secrets, and those that are no UTF-8, are refused.
Result<Secret> ReadSecret(Terminal& terminal, const std::string& file, const std::string& option);

// The same without the line end that editors and `echo` leave behind.
Result<Secret> ReadPassword(Terminal& terminal, const std::string& file, const std::string& option);

}  // namespace drawbridge::cli
