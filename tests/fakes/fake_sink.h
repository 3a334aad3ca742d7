#pragma once

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "relay/pipeline/io.h"

namespace drawbridge {

// A Sink that holds what it takes until a test says what becomes of it, in whatever order. It fails
// the test when the lane breaks its side of the contract: records for a slot that was not opened,
// or offsets that do not rise under one window number. Thread-compatible.
class FakeSink final : public Sink {
 public:
  // A record that the target has.
  struct Written {
    Offset offset;
    uint32_t window = 0;
    std::optional<std::string> value;
  };

  static constexpr OffsetRange kAll{{0}, {std::numeric_limits<int64_t>::max()}};

  // --- What a test says ---

  // The target has the records of the range. Of those submitted under several windows, all.
  void Confirm(PartitionKey key, OffsetRange range = kAll) {
    Settle(key, [&](const Pending& one) { return Holds(range, one.offset); });
  }
  void Confirm(PartitionKey key, Offset offset) { Confirm(key, {offset, Next(offset)}); }

  // The target has the oldest `records` of those submitted.
  void ConfirmOldest(PartitionKey key, size_t records) {
    Settle(key, [&](const Pending&) { return records > 0 && records-- > 0; });
  }

  // The target does not have the records of the range: as Kafka's sink does it, one failure says so
  // for all that follow one another.
  void Fail(PartitionKey key, OffsetRange range, Disposition disposition,
            Status status = {StatusCode::kUnavailable, Reason::kBrokerError, "no leader"},
            bool is_written = false) {
    std::optional<Confirmation> failure;
    const auto chosen = [&](const Pending& one) {
      return Holds(range, one.offset) && (!failure || failure->window == one.window);
    };
    Extract(key, chosen, [&](Pending one) {
      if (!failure) {
        failure = one.ToConfirmation();
      } else {
        ++failure->records;
        failure->failed_end = one.covered.end;
        failure->bytes += one.bytes;
      }
      if (is_written) Write(std::move(one));
    });
    ASSERT_TRUE(failure) << "nothing to fail";
    failure->failure = disposition;
    failure->status = std::move(status);
    told_.push_back(std::move(*failure));
  }
  void Fail(PartitionKey key, Offset offset, Disposition disposition) {
    Fail(key, {offset, Next(offset)}, disposition);
  }

  // From now on what is taken is confirmed by the next Poll, but for partitions that are stuck.
  void SetAutomatic(bool is_automatic) { is_automatic_ = is_automatic; }
  void Stick(PartitionKey key) { stuck_.insert(key); }
  void Loosen(PartitionKey key) { stuck_.erase(key); }

  // At most this many records are held at a time.
  void SetCapacity(size_t records) { capacity_ = records; }
  void SetReady(bool is_ready) { is_ready_ = is_ready; }
  // Open fails until it is called with nullopt.
  void RefuseOpen(std::optional<Status> status) { open_refusal_ = std::move(status); }
  void SetTrouble(std::optional<Condition> trouble) { trouble_ = std::move(trouble); }

  // --- What a test sees ---

  // In the order in which the target has them.
  const std::vector<Written>& written(PartitionKey key) { return written_[key]; }
  std::vector<int64_t> written_offsets(PartitionKey key) {
    std::vector<int64_t> offsets;
    for (const Written& one : written_[key]) offsets.push_back(one.offset.value);
    return offsets;
  }

  // Submitted and neither confirmed nor failed, in the order of submission.
  std::vector<int64_t> pending_offsets(PartitionKey key) const {
    std::vector<int64_t> offsets;
    for (const Pending& one : pending_) {
      if (one.key == key) offsets.push_back(one.offset.value);
    }
    return offsets;
  }
  size_t pending() const { return pending_.size(); }
  size_t pending_bytes() const {
    size_t bytes = 0;
    for (const Pending& one : pending_) bytes += one.bytes;
    return bytes;
  }

  // Under how many window numbers records of a partition were submitted, and the newest one.
  size_t windows(PartitionKey key) { return newest_[key].size(); }
  uint32_t newest_window(PartitionKey key) {
    return newest_[key].empty() ? 0 : newest_[key].rbegin()->first;
  }
  int opens() const { return opens_; }

  // --- Sink ---

  Status Open(Slot slot, const Route& route) override {
    ++opens_;
    if (open_refusal_) return *open_refusal_;
    routes_[slot] = route;
    return {};
  }

  size_t Submit(Batch& batch, size_t from, uint32_t window) override {
    const auto route = routes_.find(batch.slot);
    if (route == routes_.end()) {
      ADD_FAILURE() << "slot " << batch.slot << " was not opened";
      return 0;
    }
    if (!is_ready_) return 0;
    size_t i = from;
    for (; i < batch.records.size() && pending_.size() < capacity_; ++i) {
      Record& record = batch.records[i];
      Offset& newest = newest_[route->second.key].try_emplace(window, Offset{-1}).first->second;
      EXPECT_GT(record.offset.value, newest.value) << "window " << window;
      newest = record.offset;
      pending_.push_back({.key = route->second.key,
                          .slot = batch.slot,
                          .window = window,
                          .offset = record.offset,
                          .covered = batch.Covered(i),
                          .bytes = record.weight,
                          .value = Text(record.value),
                          .owner = std::move(record.owner)});
    }
    return i - from;
  }

  void Poll(std::vector<Confirmation>& confirmations) override {
    if (is_automatic_) {
      Settle(std::nullopt, [&](const Pending& one) { return !stuck_.contains(one.key); });
    }
    confirmations.insert(confirmations.end(), told_.begin(), told_.end());
    told_.clear();
  }

  bool IsReady() const override { return is_ready_; }
  std::optional<Condition> Trouble() const override { return trouble_; }
  std::vector<int> descriptors() const override { return {}; }

 private:
  struct Pending {
    PartitionKey key;
    Slot slot = 0;
    uint32_t window = 0;
    Offset offset;
    OffsetRange covered;
    size_t bytes = 0;
    std::optional<std::string> value;
    RecordOwner owner{nullptr, [](void*) {}};

    Confirmation ToConfirmation() const {
      return {.slot = slot,
              .window = window,
              .range = covered,
              .failed_end = covered.end,
              .records = 1,
              .bytes = bytes,
              .failure = std::nullopt,
              .status = {}};
    }
  };

  static bool Holds(OffsetRange range, Offset offset) {
    return range.first <= offset && offset < range.end;
  }

  static std::optional<std::string> Text(std::optional<std::string_view> text) {
    return text ? std::optional<std::string>(*text) : std::nullopt;
  }

  // Takes the chosen records out, in the order of submission.
  template <typename Chosen, typename Take>
  void Extract(std::optional<PartitionKey> key, const Chosen& chosen, const Take& take) {
    std::deque<Pending> rest;
    for (Pending& one : pending_) {
      if ((!key || one.key == *key) && chosen(one)) {
        take(std::move(one));
      } else {
        rest.push_back(std::move(one));
      }
    }
    pending_ = std::move(rest);
  }

  template <typename Chosen>
  void Settle(std::optional<PartitionKey> key, const Chosen& chosen) {
    Extract(key, chosen, [this](Pending one) {
      Tell(one.ToConfirmation());
      Write(std::move(one));
    });
  }

  void Write(Pending one) {
    written_[one.key].push_back(
        {.offset = one.offset, .window = one.window, .value = std::move(one.value)});
  }

  // Merges what is adjacent.
  void Tell(Confirmation confirmation) {
    if (!told_.empty()) {
      Confirmation& last = told_.back();
      if (last.slot == confirmation.slot && last.window == confirmation.window && !last.failure &&
          last.range.end == confirmation.range.first) {
        last.range.end = confirmation.range.end;
        last.records += confirmation.records;
        last.bytes += confirmation.bytes;
        return;
      }
    }
    told_.push_back(std::move(confirmation));
  }

  std::map<Slot, Route> routes_;
  std::deque<Pending> pending_;
  std::vector<Confirmation> told_;
  std::map<PartitionKey, std::vector<Written>> written_;
  std::map<PartitionKey, std::map<uint32_t, Offset>> newest_;  // by window
  std::set<PartitionKey> stuck_;
  std::optional<Status> open_refusal_;
  std::optional<Condition> trouble_;
  size_t capacity_ = std::numeric_limits<size_t>::max();
  bool is_automatic_ = false;
  bool is_ready_ = true;
  int opens_ = 0;
};

}  // namespace drawbridge
