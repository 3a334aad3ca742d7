#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "server/control/relay_session.h"
#include "server/store/rows.h"

// What the server makes of a relay's first words.

namespace drawbridge {

// Decides which relay gets a session. Of two processes under one identity, as after a machine was
// cloned, it lets the one go on that is there. Thread-compatible.
class RelayAdmission {
 public:
  // The process that has a session under the relay's name.
  struct Incumbent {
    std::string boot_id;
    Duration silent_for{};
  };

  // Why a relay gets none; OK: it does. An incumbent that has missed its heartbeats makes way.
  Status Review(const RelayHello& hello, const DesiredState& stored,
                const std::optional<Incumbent>& incumbent, BootTime now);

  // For how long another process has tried to come in under the relay's name; nullopt: none has of
  // late.
  std::optional<Duration> TwinAge(const RelayName& relay, BootTime now) const;

 private:
  struct Twin {
    BootTime first_seen;
    BootTime last_seen;
  };

  std::map<RelayName, Twin> twins_;
};

// What a relay holds, beside what is stored.
struct HeldReview {
  // It knows what the database does not: the database was rolled back, and nothing may go on before
  // all that was issued is fenced.
  bool is_rolled_back = false;
  int64_t newest_incarnation = 0;  // of what it knows
  std::vector<CommitItem> items;   // what was confirmed while nobody listened, under valid tokens
};

HeldReview ReviewHeld(const RelayHello& hello, const DesiredState& stored);

}  // namespace drawbridge
