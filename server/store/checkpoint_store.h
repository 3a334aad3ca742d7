#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/checkpoint.h"
#include "server/store/rows.h"
#include "server/store/writer.h"

namespace drawbridge {

// A partition to be given to a relay, or to nobody.
struct Reassignment {
  PartitionKey key;
  FencingToken expected;  // if the partition has another one by now, it stays as it is
  std::optional<RelayName> owner;
  std::string reason;  // for the log: "granted", "released", "lease expired"
};

// The checkpoints: the only way to move one, and the only way to change who may. Thread-safe.
class CheckpointStore {
 public:
  CheckpointStore(Writer& writer, const Clock& clock) : writer_(writer), clock_(clock) {}

  // Moves checkpoints of partitions that `relay` owns, each by one compare-and-set on the token,
  // the owner and the start of the confirmed range; what it passes over is stored with it. `done`
  // gets one result per item, after the COMMIT, on the writer's thread.
  void Commit(RelayName relay, std::vector<CommitItem> items,
              std::function<void(std::vector<CommitResult>)> done);

  // Changes owners: epoch + 1, start at the checkpoint. Returns the partitions that were changed,
  // as they are stored by then. One whose new owner was revoked meanwhile stays as it is.
  StatusOr<std::vector<StoredPartition>> Reassign(const std::vector<Reassignment>& reassignments);

  // Fences everything that was issued before: after a restore, or when a relay proves that the
  // database was rolled back. Returns the new incarnation.
  StatusOr<int64_t> BumpIncarnation(const std::string& reason, int64_t at_least);

 private:
  Writer& writer_;
  const Clock& clock_;
};

}  // namespace drawbridge
