#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "relay/opensearch/pending.h"

namespace drawbridge {

// What a sink has to send, in three lines: requests that are sent again, dead letters, and new
// records, which gather until they are worth a request. Beside them are probes: of partitions that
// are blocked, and of what the engine fails at while others pass. They are never in a request with
// others. Its sizes are bytes before compression.
//
// Runs on the lane's thread only.
class BulkQueue {
 public:
  static constexpr size_t kBytesMost = size_t{5} << 20;
  static constexpr size_t kDocumentsMost = 5000;
  static constexpr Duration kFlushAfter = std::chrono::seconds(1);

  // Whether a new record finds room without a request being sent before.
  bool HasRoom() const { return !IsFull(); }
  void Add(Pending entry, BootTime now);
  void AddDead(Pending entry) { dead_.push_back(std::move(entry)); }
  void AddProbe(Pending entry, BootTime now);

  // What failed first, then dead letters, then what is new: that at once when the engine is idle,
  // else when a request is full or a second old, and none that failed waits. nullopt: nothing is
  // due.
  std::optional<Bulk> TakeDue(bool is_idle, BootTime now);
  std::optional<Bulk> TakeProbe(BootTime now);
  // What is new, at once: to make room.
  Bulk TakeOpen() { return std::exchange(open_, {}); }

  // Sends it again, at `due` or behind all that waits.
  void Later(Bulk bulk, BootTime due);
  // The same before all that waits.
  void First(Bulk bulk, BootTime due);
  // Sends it again in halves, before all that waits: one of its records is at fault, or it is too
  // large.
  void Split(Bulk bulk, BootTime due) {
    const size_t half = bulk.entries.size() / 2;
    SplitAt(half, std::move(bulk), due);
  }
  // The same in two parts: so many of its entries, and the rest.
  void SplitAt(size_t count, Bulk bulk, BootTime due);

  // Takes out all that `is_wanted`.
  std::vector<Pending> Extract(const std::function<bool(const Pending&)>& is_wanted);

  // A request of so many bytes was too large: those to come are smaller, and grow again as they
  // pass.
  void WasTooLarge(size_t bytes) { bytes_max_ = std::clamp(bytes / 2, kBytesLeast, bytes_max_); }
  void Passed() { bytes_max_ = std::min(kBytesMost, bytes_max_ + bytes_max_ / 20); }

  // Whether a request waits to be sent again: new records wait for it.
  bool has_waiting() const { return !waiting_.empty(); }
  // How many there are to send, what gathers among them.
  size_t requests() const;
  // When something is due; nullopt: nothing is here.
  std::optional<BootTime> NextDue(BootTime now) const;
  std::optional<BootTime> NextProbe() const;

 private:
  static constexpr size_t kBytesLeast = size_t{64} << 10;

  bool IsFull() const {
    return open_.bytes >= bytes_max_ || open_.entries.size() >= kDocumentsMost;
  }
  Bulk TakeDead();
  bool TakesIn(const Bulk& waiting, const Bulk& more) const;
  std::deque<Bulk>& LineOf(const Bulk& bulk) { return bulk.is_probe ? probes_ : waiting_; }

  size_t bytes_max_ = kBytesMost;
  Bulk open_;
  std::deque<Pending> dead_;
  std::deque<Bulk> waiting_;
  std::deque<Bulk> probes_;
};

// About what a record takes in a request, before compression.
size_t BulkBytes(const Record& record);

}  // namespace drawbridge
