#include "cli/terminal.h"

#include <cstdlib>
#include <iostream>
#include <string_view>
#include <thread>

#include <sys/ioctl.h>
#include <unistd.h>

namespace drawbridge::cli {
namespace {

Terminal::Size SizeOfProcess() {
  winsize window{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0) return {};
  return {window.ws_col, window.ws_row};
}

// https://no-color.org: any value but an empty one says no.
bool WantsColour() {
  const char* no_colour = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): at start
  const char* terminal = std::getenv("TERM");       // NOLINT(concurrency-mt-unsafe): at start
  const bool is_dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  return !is_dumb && (no_colour == nullptr || *no_colour == '\0');
}

}  // namespace

Terminal Terminal::OfProcess() {
  const bool is_interactive = isatty(STDOUT_FILENO) == 1;
  return {std::cin,
          std::cout,
          std::cerr,
          Clock::System(),
          is_interactive,
          is_interactive && WantsColour(),
          SizeOfProcess,
          [](Duration duration) {
            std::this_thread::sleep_for(duration);
            return true;
          }};
}

}  // namespace drawbridge::cli
