#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "relay/pipeline/io.h"
#include "tests/fakes/fake_log.h"

namespace drawbridge {

// A Sink whose records can be read again: it appends them to a FakeLog, whatever their slot, and
// confirms them at the next Poll. The log outlives it.
class LogSink final : public Sink {
 public:
  explicit LogSink(FakeLog& log) : log_(log) {}

  // Takes no more than so many records before the next Poll.
  void SetCapacity(size_t records) { capacity_ = records; }
  // What is written from here on is refused.
  void Refuse(Disposition disposition, Status status) {
    refusal_.emplace(disposition, std::move(status));
  }
  // Nothing is told any more.
  void FallSilent() { is_silent_ = true; }

  const std::vector<Route>& opened() const { return opened_; }

  Status Open(Slot, const Route& route) override {
    opened_.push_back(route);
    return {};
  }

  size_t Submit(Batch& batch, size_t from, uint32_t window) override {
    size_t i = from;
    for (; i < batch.records.size() && told_.size() < capacity_; ++i) {
      const Record& record = batch.records[i];
      Confirmation told{.slot = batch.slot,
                        .window = window,
                        .range = batch.Covered(i),
                        .failed_end = batch.Covered(i).end,
                        .records = 1,
                        .bytes = record.weight,
                        .failure = std::nullopt,
                        .status = {}};
      if (refusal_) {
        told.failure = refusal_->first;
        told.status = refusal_->second;
      } else {
        log_.Append(Copy(record));
      }
      told_.push_back(std::move(told));
      batch.records[i].owner.reset();
    }
    return i - from;
  }

  void Poll(std::vector<Confirmation>& confirmations) override {
    if (is_silent_) return;
    for (Confirmation& told : told_) confirmations.push_back(std::move(told));
    told_.clear();
  }

  bool IsReady() const override { return true; }
  std::optional<Condition> Trouble() const override { return std::nullopt; }
  std::vector<int> descriptors() const override { return {}; }

 private:
  static FakeRecord Copy(const Record& record) {
    FakeRecord copy;
    if (record.key) copy.key = std::string(*record.key);
    if (record.value) copy.value = std::string(*record.value);
    for (const Header& header : record.headers) {
      copy.headers.emplace_back(
          header.name, header.value ? std::optional<std::string>(*header.value) : std::nullopt);
    }
    copy.timestamp_ms = record.timestamp_ms;
    return copy;
  }

  FakeLog& log_;
  size_t capacity_ = 1'000;
  std::optional<std::pair<Disposition, Status>> refusal_;
  bool is_silent_ = false;
  std::vector<Route> opened_;
  std::vector<Confirmation> told_;
};

}  // namespace drawbridge
