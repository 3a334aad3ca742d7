#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/ids.h"
#include "model/offset.h"

namespace drawbridge {

// A record as it lies in a FakeLog.
struct FakeRecord {
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  int64_t timestamp_ms = 1'000;
};

// One partition of a source's topic, in memory, with all that brokers do to it: offsets that hold
// no record, retention, compaction, truncation, and another topic of the same name.
class FakeLog {
 public:
  Offset Append(FakeRecord record) {
    const Offset at = end_;
    records_[at] = std::make_shared<const FakeRecord>(std::move(record));
    end_ = Next(end_);
    return at;
  }

  // Records that tell themselves apart by their value, of about `bytes` each.
  void AppendMany(int64_t count, size_t bytes = 0) {
    for (int64_t i = 0; i < count; ++i) {
      FakeRecord record;
      record.value = "record " + std::to_string(end_.value);
      if (record.value->size() < bytes) record.value->resize(bytes, '.');
      record.timestamp_ms = 1'000 + end_.value;
      Append(std::move(record));
    }
  }

  // Offsets without a record, as transaction markers leave them.
  void AppendHole(int64_t offsets) { end_.value += offsets; }

  // Compaction takes a record out.
  void Compact(Offset at) { records_.erase(at); }

  // Retention takes out all below `start`.
  void Expire(Offset start) {
    start_ = std::max(start_, start);
    end_ = std::max(end_, start);
    records_.erase(records_.begin(), records_.lower_bound(start));
  }

  // An unclean leader election loses all from `end` on.
  void Truncate(Offset end) {
    end_ = end;
    records_.erase(records_.lower_bound(end), records_.end());
  }

  // Another record lies where one was: the topic was made again.
  void Replace(Offset at, FakeRecord record) {
    records_[at] = std::make_shared<const FakeRecord>(std::move(record));
  }

  Offset start() const { return start_; }
  Offset end() const { return end_; }
  const std::map<Offset, std::shared_ptr<const FakeRecord>>& records() const { return records_; }

 private:
  Offset start_;
  Offset end_;
  std::map<Offset, std::shared_ptr<const FakeRecord>> records_;
};

// The partitions of a source; they outlive the clients that read them.
using FakeLogs = std::map<PartitionKey, FakeLog>;

}  // namespace drawbridge
