#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "model/checkpoint.h"
#include "relay/pipeline/echo_filter.h"
#include "relay/pipeline/in_flight_window.h"
#include "relay/pipeline/io.h"
#include "relay/pipeline/journal.h"
#include "relay/pipeline/partition_progress.h"
#include "relay/pipeline/progress_board.h"

namespace drawbridge {

// One partition for a lane to carry.
struct LanePartition {
  Route route;
  // Where to go on, and what was passed below that and is not stored yet: the next commit carries
  // it.
  CommitItem last;
  bool is_paused = false;
};

struct LaneSettings {
  uint64_t lane = 0;  // stands for it on the board
  BridgeId bridge;
  std::optional<ClusterKey> target_cluster;  // set: its own records are not sent back to it
  size_t window_bytes = size_t{64} << 20;
  size_t poll_bytes = size_t{4} << 20;  // how much one turn takes from the source
};

// A partition that the lane has let go of: nothing of it is in flight.
struct ReleasedPartition {
  PartitionKey key;
  FencingToken token;
  CommitItem last;
};

// Carries a share of a bridge's partitions: takes batches from the source, submits them to the
// sink, and moves each checkpoint over what the sink has confirmed, noting it in the journal and on
// the board. It never passes a record that is not confirmed. What a partition meets (an error, a
// record that is refused, a target side that is stuck) stops that partition alone.
//
// One turn is one Step(); it never waits, so that the thread that calls it waits in one place for
// both ends and for orders. Runs on that thread only. The source, the sink, the journal and the
// board outlive it.
class Lane {
 public:
  Lane(LaneSettings settings, Source& source, Sink& sink, Journal& journal, ProgressBoard& board,
       const Clock& clock);
  ~Lane();

  // Takes on a partition; if it has it under an older token, what was read under that is forgotten
  // without a commit.
  void Start(LanePartition partition);
  // Keeps the partition but does not read it, and the reverse. Of a halted partition the pause
  // takes the halt away: resuming tries again.
  void SetPaused(PartitionKey key, bool is_paused);
  // Stops reading; when all in flight is confirmed, or `until` has come, or the sink's trouble
  // blocks, it is released.
  void Release(PartitionKey key, BootTime until);
  // The server has stored a commit.
  void Stored(PartitionKey key, FencingToken token, Offset next);
  void SetWindow(size_t bytes_max) { window_.SetLimit(bytes_max); }

  // Does what can be done without waiting. Returns the latest moment of the next turn, if nothing
  // becomes readable before; that moment may be now.
  BootTime Step();

  // What was released since the last call.
  std::vector<ReleasedPartition> TakeReleased();

  size_t partitions() const { return by_key_.size(); }

 private:
  struct Partition;

  Partition* Find(PartitionKey key);
  Partition* Current(Slot slot, uint32_t fetch);
  void Resume(Partition& partition);
  void Reset(Partition& partition);
  void Read(Partition& partition, Offset from);
  void StopReading(Partition& partition);
  void DropHeld(Partition& partition);
  void Replay(Partition& partition, Condition trouble);
  void Halt(Partition& partition, Condition trouble);
  void Leave(Partition& partition);

  bool HandleConfirmations();
  void Handle(const Confirmation& confirmation);
  void HandleFailure(Partition& partition, const Confirmation& failure);
  void Handle(Batch& batch);
  void Handle(const OutOfRange& event);
  void Handle(const EndOfPartition& event);
  void Handle(const SourceFault& event);
  bool PassesAnchorCheck(Partition& partition, Batch& batch);
  void SuspectTruncation(Partition& partition, Offset log_end);

  void SubmitHeld(Partition& partition);
  bool WantsMore() const;
  void ParkStuck(Partition& partition);
  void RunTimers();
  void NoteProgress(Partition& partition);
  void Publish(Partition& partition);
  void PublishAll();
  Condition At(const Partition& partition, Side side, const Status& status) const;
  BootTime NextTurn() const;

  LaneSettings settings_;
  Source& source_;
  Sink& sink_;
  Journal& journal_;
  ProgressBoard& board_;
  const Clock& clock_;
  const EchoFilter filter_;
  InFlightWindow window_;
  std::vector<std::unique_ptr<Partition>> slots_;  // empty ones wait for use
  std::map<PartitionKey, Slot> by_key_;
  std::vector<ReleasedPartition> released_;
  std::vector<Confirmation> confirmations_;
  std::vector<SourceEvent> events_;
  uint32_t last_fetch_ = 0;
  uint32_t last_window_ = 0;
  BootTime now_;
  BootTime publish_at_;
};

}  // namespace drawbridge
