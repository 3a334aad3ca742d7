#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/failure.h"
#include "cli/json.h"
#include "cli/table.h"
#include "drawbridge/v1/bridge.pb.h"
#include "drawbridge/v1/stream.pb.h"

namespace drawbridge::cli {

// What the server last said, and whether it still says something.
struct FleetSnapshot {
  v1::ListBridgesResponse bridges;
  v1::ListStreamsResponse streams;
  // When the server said so; nullopt: it has said nothing yet.
  std::optional<BootTime> seen_at;
  // Why it says nothing at present; nullopt: it does.
  std::optional<Problem> away;
};

// One line per stream, under a summary: state, lag, rates, the age of it all, the last problem.
// Bridges without a stream, and what is wrong with a bridge as a whole, have lines of their own.
// While the server is away the values stay, growing old visibly.
std::vector<std::string> StatusLines(const FleetSnapshot& fleet, WallTime wall_now, BootTime now,
                                     const TableStyle& style);

// The same for scripts: {"at", "server": {"reachable", "age_seconds", "error"}, "bridges",
// "streams"}.
Json StatusJson(const FleetSnapshot& fleet, WallTime wall_now, BootTime now);

}  // namespace drawbridge::cli
