#pragma once

#include <CLI/CLI.hpp>

namespace drawbridge {

// Lets a program's `--config` file be YAML: a key per long flag without its dashes, and what
// belongs to a subcommand below the subcommand's name. A key that no flag has is an error, like a
// flag that does not exist.
void ReadYamlSettings(CLI::App& app);

}  // namespace drawbridge
