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
  // Nothing is told any more, until it is.
  void FallSilent() { is_silent_ = true; }
  void Speak() { is_silent_ = false; }

  // Records that it took so far.
  size_t taken() const { return taken_; }

  const std::vector<Route>& opened() const { return opened_; }

  Status Open(Slot, const Route& route) override {
    opened_.push_back(route);
    return {};
  }

  size_t Submit(Batch& batch, size_t from, uint32_t window) override {
    size_t i = from;
    for (; i < batch.records.size() && untold_ < capacity_; ++i, ++untold_) {
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
      batch.records[i].owner.reset();
      Tell(std::move(told));
    }
    taken_ += i - from;
    return i - from;
  }

  void Poll(std::vector<Confirmation>& confirmations) override {
    if (is_silent_) return;
    for (Confirmation& told : told_) confirmations.push_back(std::move(told));
    told_.clear();
    untold_ = 0;
  }

  bool IsReady() const override { return true; }
  std::optional<Condition> Trouble() const override { return std::nullopt; }
  std::vector<int> descriptors() const override { return {}; }

 private:
  // As Kafka's sink does: what follows one another and ends alike is told as one.
  void Tell(Confirmation told) {
    Confirmation* const last = told_.empty() ? nullptr : &told_.back();
    const bool joins = last != nullptr && last->slot == told.slot && last->window == told.window &&
                       last->failure == told.failure &&
                       (told.failure || last->range.end == told.range.first);
    if (!joins) {
      told_.push_back(std::move(told));
      return;
    }
    (told.failure ? last->failed_end : last->range.end) = told.range.end;
    ++last->records;
    last->bytes += told.bytes;
  }

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
  size_t untold_ = 0;
  size_t taken_ = 0;
};

}  // namespace drawbridge
