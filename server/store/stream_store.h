#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "model/dead_letter.h"
#include "model/observation.h"
#include "server/store/reader.h"
#include "server/store/rows.h"
#include "server/store/writer.h"

namespace drawbridge {

// A stream that a survey found, and what is to be stored of it.
struct LearntStream {
  std::string topic;
  std::string target_topic;
  int target_partitions = 0;
  // Partitions that are not stored yet, with where they start.
  std::vector<std::pair<PartitionNumber, Offset>> new_partitions;
  std::string topic_id = {};  // empty, or one that is known already: keep what is stored
};

// What the server takes over from a survey.
struct Learnt {
  BridgeId bridge;
  std::string source_cluster_id;  // empty: keep what is stored
  std::string target_cluster_id;
  bool resolves_start = false;
  std::vector<LearntStream> streams;
};

// Streams and their partitions, made from surveys. Thread-safe.
class StreamStore {
 public:
  StreamStore(Writer& writer, Reader& reader, const Clock& clock)
      : writer_(writer), reader_(reader), clock_(clock) {}

  // Stores what is new. A partition that is there keeps its checkpoint: a start is resolved once.
  Status Learn(const Learnt& learnt);

  // Another topic is where the stream's was, or none: a stream that is made for it from here on is
  // of another life (source_epoch). The stream itself stays what it is.
  Status EndLife(StreamId stream);

  StatusOr<Receipt> SetPaused(StreamId stream, const std::string& name, bool is_paused,
                              const Mutation& mutation);

  // Gaps from the `offset`-th on, oldest first; empty names mean any.
  StatusOr<std::vector<StoredGap>> Gaps(const std::string& bridge, const std::string& topic,
                                        int64_t offset, int64_t limit);

  // Dead letters from the `offset`-th group on, the newest first; empty names mean any.
  StatusOr<std::vector<StoredDeadLetters>> DeadLettersOf(const std::string& bridge,
                                                         const std::string& topic, int64_t offset,
                                                         int64_t limit);

  // A retry of dead letters of the bridge has brought these into the target.
  StatusOr<Receipt> AddRetried(const std::string& bridge, const std::vector<RetriedGroup>& groups,
                               const Mutation& mutation);

  // Offsets in gaps, records filtered and dead letters that are still such, per stream.
  struct Passed {
    StreamId stream;
    int64_t gap_offsets = 0;
    int64_t filtered_records = 0;
    int64_t dead_letters = 0;
  };
  StatusOr<std::vector<Passed>> PassedByStream();

 private:
  Writer& writer_;
  Reader& reader_;
  const Clock& clock_;
};

}  // namespace drawbridge
