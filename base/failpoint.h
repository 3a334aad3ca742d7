#pragma once

#include <string_view>

namespace drawbridge {

#if defined(DRAWBRIDGE_FAILPOINTS)
// A named place between two durable steps where a test can make the process die, wait or fail. The
// environment variable DRAWBRIDGE_FAILPOINTS arms them: "store.before_commit=kill:7" kills at the
// seventh passage, "lane.confirmed=sleep:500" sleeps 500 ms at each, "journal.write=error" makes
// the step report an error. Exists in test builds only. Thread-safe.
//
// Returns whether the step shall report an error.
bool Failpoint(std::string_view name);
#else
constexpr bool Failpoint(std::string_view /*name*/) { return false; }
#endif

}  // namespace drawbridge
