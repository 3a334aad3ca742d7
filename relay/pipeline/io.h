#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "model/observation.h"
#include "model/offset.h"
#include "model/provenance.h"
#include "relay/pipeline/record.h"

// The two ends of a lane. A new kind of source or target implements one of these in a folder of its
// own; nothing here or in the lane changes for it. Both speak of batches and ranges of offsets, and
// the lane looks at a record's bytes only to filter it and to take its anchor.
//
// All calls come from the lane's one thread, and none of them waits: a lane waits in one place, for
// the descriptors of both ends. The one exception is a Poll that has to ask where logs begin: it
// waits for one answer, about all partitions that are out of range.

namespace drawbridge {

// A partition within its lane: small, dense, used again after the partition has left.
using Slot = uint32_t;

// What a slot reads and writes.
struct Route {
  PartitionKey key;
  std::string source_topic;
  std::string target_topic;
  PartitionNumber partition = 0;  // the same at both ends
  int source_epoch = 1;
  ClusterKey source_cluster = 0;
  bool stamps_provenance = true;  // whether the sink adds the provenance header
};

// Records of one partition in the order of their offsets, and how far it has been read with them.
// Records may be missing between offsets (transaction markers, compaction): `from` to `read_to` is
// covered without a hole.
struct Batch {
  Slot slot = 0;
  uint32_t fetch = 0;  // which Assign it belongs to
  Offset from;         // where the partition was before
  Offset read_to;      // where it is with this batch
  std::vector<Record> records;

  // The offsets that record `i` stands for: its own and those without a record before it.
  OffsetRange Covered(size_t i) const {
    return {i == 0 ? from : Next(records[i - 1].offset), Next(records[i].offset)};
  }
};

// The position asked for does not exist any more, or not yet.
struct OutOfRange {
  Slot slot = 0;
  uint32_t fetch = 0;
  Offset asked;
  std::optional<Offset> log_start;  // unset: the source did not say
  std::optional<Offset> log_end;
};

// The partition has been read to its end.
struct EndOfPartition {
  Slot slot = 0;
  uint32_t fetch = 0;
  Offset at;
};

// Something is wrong with one partition at the source. Reading goes on by itself when it has
// passed, unless it halts: then the source is not what it was, and the operator is asked.
struct SourceFault {
  Slot slot = 0;
  uint32_t fetch = 0;
  Status status;
  bool halts = false;
};

using SourceEvent = std::variant<Batch, OutOfRange, EndOfPartition, SourceFault>;

// What a source knows about a partition's log without asking.
struct LogView {
  std::optional<Offset> start;
  std::optional<Offset> end;
};

// Where records come from.
class Source {
 public:
  virtual ~Source() = default;

  // Reads the slot's partition from `from` on. `fetch` comes back in everything read under it, so
  // that what is still on its way from an earlier position can be told apart.
  virtual Status Assign(Slot slot, const Route& route, Offset from, uint32_t fetch) = 0;

  // Stops reading the slot's partition. Harmless if it is not read.
  virtual void Unassign(Slot slot) = 0;

  // Appends what has arrived, about `bytes_max` of it.
  virtual void Poll(size_t bytes_max, std::vector<SourceEvent>& events) = 0;

  // Serves logs, statistics and errors; called at every turn, also while records are not wanted.
  virtual void Serve(std::vector<SourceEvent>& events) = 0;

  virtual LogView View(Slot slot) const = 0;

  // How long ago the source last answered for the slot; nullopt: never.
  virtual std::optional<Duration> SinceSeen(Slot slot, BootTime now) const = 0;

  // What is wrong with the source as a whole at present.
  virtual std::optional<Condition> Trouble() const = 0;

  // Readable when something has arrived since Poll and Serve last found nothing.
  virtual std::vector<int> descriptors() const = 0;
};

// What the lane does about a record that was not written.
enum class Disposition {
  kRetry,   // passing: replay after a while
  kRefuse,  // the fault of this record, or of one sent with it: the lane finds out which one it is
            // by sending fewer at a time, and halts the partition there
  kBlock,   // the target's fault: replay after a while, and say so
};

// A record that the target refused for good, and keeps among its dead letters.
struct DeadLetter {
  Offset offset;
  std::string error;  // as in DeadLetters
};

// A range of one partition was durably written, or its first record was not. `window` is the number
// that the records were submitted under; what carries an older one is of the past.
struct Confirmation {
  Slot slot = 0;
  uint32_t window = 0;
  OffsetRange range;  // written; or, for a failure, what the first failed record covers
  Offset failed_end;  // of a failure: behind the last of the records that failed with the first
  int64_t records = 0;
  size_t bytes = 0;  // what Submit counted for them
  std::optional<Disposition> failure;
  Status status;  // of the failure
  // Of the range: they are confirmed as the others are, since they are as durable.
  std::vector<DeadLetter> dead_letters = {};
};

// Where records go. Writes to a partition keep their order as far as the target lets them.
class Sink {
 public:
  virtual ~Sink() = default;

  // Makes the slot's partition known, before anything is submitted for it.
  virtual Status Open(Slot slot, const Route& route) = 0;

  // Takes records from `from` on, with their owners, and returns how many: fewer than there are
  // when it is full. What it took comes back in a Confirmation, each record exactly once.
  virtual size_t Submit(Batch& batch, size_t from, uint32_t window) = 0;

  // Appends what is known by now. Confirmations of adjacent records are merged.
  virtual void Poll(std::vector<Confirmation>& confirmations) = 0;

  // Whether records can be submitted at present: of any slot, or of none (a client that is rebuilt
  // serves all of them).
  virtual bool IsReady() const = 0;

  // What is wrong with the target at present, beside failures of records. It blocks while nothing
  // passes and nothing is on its way: then a lane that gives a partition back does not wait.
  virtual std::optional<Condition> Trouble() const = 0;

  // The slot's partition has left: what is not on its way may be dropped, and comes back as failed.
  virtual void Close(Slot /*slot*/) {}

  // Readable when Poll has something.
  virtual std::vector<int> descriptors() const = 0;
};

}  // namespace drawbridge
