#include "base/process.h"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace drawbridge {

Status HardenProcess() {
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) {
    return {StatusCode::kInternal,
            fmt::format("cannot forbid core files: {}", std::generic_category().message(errno))};
  }
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return {StatusCode::kInternal,
            fmt::format("cannot refuse debuggers: {}", std::generic_category().message(errno))};
  }
  return {};
}

}  // namespace drawbridge
