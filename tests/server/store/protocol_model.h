#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/server/store/commit_rule.h"

namespace drawbridge {

// What the parties do; every rule can be switched off, and the world made worse.
struct Protocol {
  CommitRule commit;
  bool rewind_raises_epoch = true;
  bool restore_raises_incarnation = true;
  bool commits_only_confirmed = true;

  // Relays read before they deliver. Else the two are one step, and the search goes deeper.
  bool reads_ahead = false;
  // A relay may begin one record after its start, as one would with a journal that is not its own,
  // or with a "latest" that is resolved again.
  bool relays_begin_too_far = false;
  // A relay may claim what the owner was given.
  bool relays_pose_as_owner = false;
};

enum class Promise {
  kNothingUnconfirmedIsPassed,   // every offset below the checkpoint is at the target
  kNoCommitMovesACheckpointBack  // only a rewind or a restore does
};

struct SearchResult {
  bool is_kept = true;
  size_t states = 0;  // that were gone on from
  // The shortest way to break the promise, as sentences.
  std::vector<std::string> counter_example;
};

// Looks at every state that one partition of three records, two relays and a server can come to in
// `depth` steps, breadth first, with at most two handovers, two rewinds to the beginning, one
// backup and its restore. Commits may be late and doubled without limit; relays may die at any
// time.
SearchResult Search(const Protocol& protocol, Promise promise, int depth);

}  // namespace drawbridge
