#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>

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
  static constexpr size_t kInARow = 50;

  void AddGood();
  // Whether records with this error are to be held back rather than written off.
  bool AddBad(const std::string& group);
  // Forgets all: the cause is gone.
  void Reset();

 private:
  void Add(std::string group);

  std::deque<std::string> last_;  // the error of each; empty: none
  std::map<std::string, size_t> bad_;
  std::string row_;  // the error of the last ones without another between
  size_t in_a_row_ = 0;
};

}  // namespace drawbridge
