#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <string>

#include "model/ids.h"

namespace drawbridge {

// Tells a systemic error from bad records: when half of a stream's last records would be written
// off for the same reason, it is not the records. Shard limits, closed indexes and broken pipelines
// have all been answered per record with the status of a bad one, and shippers threw the logs of a
// night away.
//
// Counts the last 500 records. Runs on the lane's thread only.
class StormBreaker {
 public:
  static constexpr size_t kWindow = 500;
  // Fewer say nothing: three bad records in a row are three bad records.
  static constexpr size_t kLeast = 20;
  // So many in a row are a storm, however well it went before.
  static constexpr size_t kInARow = kLeast;

  void AddGood();
  // Whether records with this error are to be held back rather than written off, with this one.
  // Errors are told apart by what does not quote the record: see CauseOf.
  bool AddBad(const std::string& cause);
  // The same of those that were added.
  bool IsStorm(const std::string& cause) const;
  // Forgets all: the cause is gone.
  void Reset();

 private:
  void Add(std::string cause);

  std::deque<std::string> last_;  // the error of each; empty: none
  std::map<std::string, size_t> bad_;
  std::string row_;  // the error of the last ones without another between
  size_t in_a_row_ = 0;
};

// The same of a stream, of which each partition has a breaker of its own: a systemic error may show
// in many partitions, a few records of each. A partition that is sick by itself says little of the
// others, so that half of them have to be hit, and three at least.
//
// Runs on the lane's thread only, and knows the lane's partitions of the stream.
class StreamBreaker {
 public:
  static constexpr size_t kPartitionsLeast = 3;

  void Join(PartitionNumber partition) { partitions_.insert(partition); }
  void Leave(PartitionNumber partition);

  void AddGood() { records_.AddGood(); }
  // Of a partition that is not held back yet.
  bool AddBad(PartitionNumber partition, const std::string& cause);
  bool IsStorm(const std::string& cause) const;
  // Forgets all: the cause is gone.
  void Reset();

 private:
  StormBreaker records_;
  std::set<PartitionNumber> partitions_;
  std::map<std::string, std::set<PartitionNumber>> hit_;  // by error
};

}  // namespace drawbridge
