#pragma once

#include <functional>
#include <istream>
#include <ostream>

#include "base/clock.h"

namespace drawbridge::cli {

// The world around the program: what it reads, where it writes, what time it is. Tests give it
// another one. References must outlive it. Runs on one thread.
struct Terminal {
  struct Size {
    size_t columns = 80;
    size_t rows = 24;
  };

  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  const Clock& clock;
  // Whether `out` is looked at by a person, so that it can be redrawn and cut to its width.
  bool is_interactive = false;
  bool has_colour = false;
  // How large it is just now. Asked for only if it is interactive.
  std::function<Size()> size;
  // Waits; false when it is time to stop.
  std::function<bool(Duration)> wait;

  // The one that the process has: standard input, output and error.
  static Terminal OfProcess();
};

}  // namespace drawbridge::cli
