#pragma once

#include <algorithm>
#include <cstddef>

namespace drawbridge {

// Bounds what a lane holds between reading and confirmation: bytes of records and the bookkeeping
// around each (two library objects, a header, our own), for the lane and for each partition, so
// that one partition whose target side is stuck cannot take the room of its neighbours.
//
// Runs on the lane's thread only.
class InFlightWindow {
 public:
  static constexpr size_t kRecordOverhead = 800;
  static constexpr size_t kPartitionFloor = size_t{1} << 20;

  explicit InFlightWindow(size_t bytes_max) : bytes_max_(bytes_max) {}

  void SetLimit(size_t bytes_max) { bytes_max_ = bytes_max; }
  void Take(size_t bytes) { bytes_ += bytes; }
  void GiveBack(size_t bytes) { bytes_ -= std::min(bytes_, bytes); }

  bool is_full() const { return bytes_ >= bytes_max_; }
  size_t bytes() const { return bytes_; }
  size_t bytes_max() const { return bytes_max_; }

  // A partition's cap, when `partitions` share the lane: an equal share, so that all of them stuck
  // just fill it, but never so little that one of them could not move.
  size_t PartitionCap(size_t partitions) const {
    return partitions <= 1 ? bytes_max_ : std::max(bytes_max_ / partitions, kPartitionFloor);
  }

 private:
  size_t bytes_max_;
  size_t bytes_ = 0;
};

}  // namespace drawbridge
