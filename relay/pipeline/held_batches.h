#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "model/offset.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// What a lane has read of a partition and not submitted yet, in the order of its offsets. Bytes are
// what InFlightWindow counts. Runs on the lane's thread only.
class HeldBatches {
 public:
  // Keeps a batch that has records, in parts of so many at most; returns its bytes.
  size_t Add(Batch batch, size_t part_max);

  bool empty() const { return parts_.empty(); }
  size_t bytes() const { return bytes_; }
  // What is left of the next part, and from where on. Only if there is one.
  size_t next_bytes() const { return parts_.front().bytes; }
  Offset next() const { return parts_.front().batch.Covered(parts_.front().from).first; }

  struct Submitted {
    size_t records = 0;
    size_t bytes = 0;
    bool is_all = false;  // of the part
  };
  // Hands over the next part, or as much of it as the sink takes. Only if there is one.
  Submitted SubmitNext(Sink& sink, uint32_t window);

  // Drops all; returns its bytes.
  size_t Clear();

 private:
  struct Part {
    Batch batch;
    size_t from = 0;
    size_t bytes = 0;  // from there on
  };

  std::deque<Part> parts_;
  size_t bytes_ = 0;
};

}  // namespace drawbridge
