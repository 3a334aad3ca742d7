#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "relay/pipeline/io.h"
#include "tests/fakes/fake_log.h"

namespace drawbridge {

// A Source over FakeLogs that behaves as a Kafka client does: what was fetched before an Unassign
// still comes, with its old number; a position outside of the log is told once and then nothing
// comes; the end is told each time it is reached. Nothing happens but in Poll and Serve.
// Thread-compatible. The logs and the clock outlive it.
class FakeSource final : public Source {
 public:
  FakeSource(FakeLogs& logs, const Clock& clock) : logs_(logs), clock_(clock) {}

  // --- What a test says ---

  // How many records a batch has at most.
  void SetBatchRecords(size_t most) { batch_records_ = most; }

  // Whether batches reach over offsets without records that follow, also when they hold no record
  // at all. Kafka clients leave these to the next batch or to the end of the partition.
  void SetReadsOverHoles(bool reads) { reads_over_holes_ = reads; }

  // The next Assign fails.
  void FailNextAssign(Status status) { assign_failure_ = std::move(status); }

  // Tells a fault of a partition that is read, at the next Serve.
  void Break(PartitionKey key, Status status, bool halts = false) {
    for (const auto& [slot, reader] : readers_) {
      if (reader.key != key) continue;
      faults_.push_back(
          SourceFault{.slot = slot, .fetch = reader.fetch, .status = status, .halts = halts});
    }
  }

  // The next answer about a position outside of the log does not say where the log is.
  void ForgetWatermarks() { knows_watermarks_ = false; }

  // Goes on at another offset by itself, as no source should.
  void LeaveOut(PartitionKey key, Offset until) {
    for (auto& [slot, reader] : readers_) {
      if (reader.key == key) reader.position = until;
    }
  }

  // Fetches one batch of each partition; Poll would do it when it has nothing.
  void Fetch() {
    for (auto& [slot, reader] : readers_) FetchFrom(slot, reader);
  }

  void SetTrouble(std::optional<Condition> trouble) { trouble_ = std::move(trouble); }

  // --- What a test sees ---

  // How often a partition was assigned, and where last.
  int assigns(PartitionKey key) const { return Count(assigns_, key); }
  std::optional<Offset> assigned_at(PartitionKey key) const {
    const auto found = assigned_at_.find(key);
    return found == assigned_at_.end() ? std::nullopt : std::optional(found->second);
  }
  bool is_read(PartitionKey key) const {
    return std::ranges::any_of(readers_, [&](const auto& one) { return one.second.key == key; });
  }

  // Records given out whose owner lives.
  int64_t records_out() const { return *records_out_; }

  // --- Source ---

  Status Assign(Slot slot, const Route& route, Offset from, uint32_t fetch) override {
    if (assign_failure_) return *std::exchange(assign_failure_, std::nullopt);
    ++assigns_[route.key];
    assigned_at_[route.key] = from;
    Reader& reader = readers_[slot] = {};
    reader.key = route.key;
    reader.fetch = fetch;
    reader.position = from;
    return {};
  }

  void Unassign(Slot slot) override { readers_.erase(slot); }

  void Poll(size_t bytes_max, std::vector<SourceEvent>& events) override {
    for (size_t bytes = 0; bytes < bytes_max;) {
      if (fetched_.empty()) Fetch();
      if (fetched_.empty()) return;
      if (const auto* batch = std::get_if<Batch>(&fetched_.front())) {
        for (const Record& record : batch->records) bytes += record.bytes();
      }
      events.push_back(std::move(fetched_.front()));
      fetched_.pop_front();
    }
  }

  void Serve(std::vector<SourceEvent>& events) override {
    for (SourceFault& fault : faults_) events.emplace_back(std::move(fault));
    faults_.clear();
  }

  LogView View(Slot slot) const override {
    const auto found = readers_.find(slot);
    if (found == readers_.end()) return {};
    const FakeLog& log = logs_[found->second.key];
    return {.start = log.start(), .end = log.end()};
  }

  std::optional<Duration> SinceSeen(Slot slot, BootTime now) const override {
    const auto found = readers_.find(slot);
    if (found == readers_.end() || !found->second.seen_at) return std::nullopt;
    return now - *found->second.seen_at;
  }

  std::optional<Condition> Trouble() const override { return trouble_; }
  std::vector<int> descriptors() const override { return {}; }

 private:
  struct Reader {
    PartitionKey key;
    uint32_t fetch = 0;
    Offset position;
    std::optional<Offset> end_told;
    bool is_lost = false;  // outside of the log, and told so
    std::optional<BootTime> seen_at;
  };

  static int Count(const std::map<PartitionKey, int>& counts, PartitionKey key) {
    const auto found = counts.find(key);
    return found == counts.end() ? 0 : found->second;
  }

  void FetchFrom(Slot slot, Reader& reader) {
    const FakeLog& log = logs_[reader.key];
    if (reader.is_lost) return;
    if (reader.position < log.start() || reader.position > log.end()) {
      reader.is_lost = true;
      OutOfRange lost{.slot = slot,
                      .fetch = reader.fetch,
                      .asked = reader.position,
                      .log_start = log.start(),
                      .log_end = log.end()};
      if (!std::exchange(knows_watermarks_, true)) lost.log_start = lost.log_end = std::nullopt;
      fetched_.emplace_back(lost);
      return;
    }
    if (Batch batch = Read(slot, reader, log); batch.read_to > batch.from) {
      reader.position = batch.read_to;
      reader.seen_at = clock_.Now();
      fetched_.emplace_back(std::move(batch));
    } else if (reader.end_told != log.end()) {
      reader.position = log.end();
      reader.end_told = log.end();
      reader.seen_at = clock_.Now();
      fetched_.emplace_back(EndOfPartition{.slot = slot, .fetch = reader.fetch, .at = log.end()});
    }
  }

  Batch Read(Slot slot, const Reader& reader, const FakeLog& log) const {
    Batch batch{.slot = slot,
                .fetch = reader.fetch,
                .from = reader.position,
                .read_to = reader.position,
                .records = {}};
    auto at = log.records().lower_bound(reader.position);
    for (; at != log.records().end() && batch.records.size() < batch_records_; ++at) {
      Give(at->first, at->second, batch);
      batch.read_to = Next(at->first);
    }
    if (reads_over_holes_) batch.read_to = at == log.records().end() ? log.end() : at->first;
    return batch;
  }

  void Give(Offset offset, const std::shared_ptr<const FakeRecord>& stored, Batch& batch) const {
    Record record;
    record.offset = offset;
    record.timestamp_ms = stored->timestamp_ms;
    if (stored->key) record.key = *stored->key;
    if (stored->value) record.value = *stored->value;
    if (!stored->headers.empty()) {
      auto views = std::make_unique<Header[]>(stored->headers.size());
      for (size_t i = 0; i < stored->headers.size(); ++i) {
        views[i].name = stored->headers[i].first;
        if (stored->headers[i].second) views[i].value = *stored->headers[i].second;
      }
      record.headers = {views.get(), stored->headers.size()};
      record.header_storage = std::move(views);
    }
    ++*records_out_;
    record.owner = RecordOwner(new Lent{stored, records_out_}, [](void* lent) {
      --*static_cast<Lent*>(lent)->count;
      delete static_cast<Lent*>(lent);
    });
    batch.records.push_back(std::move(record));
  }

  struct Lent {
    std::shared_ptr<const FakeRecord> record;
    std::shared_ptr<int64_t> count;
  };

  FakeLogs& logs_;
  const Clock& clock_;
  size_t batch_records_ = 100;
  bool reads_over_holes_ = false;
  bool knows_watermarks_ = true;
  std::map<Slot, Reader> readers_;
  std::deque<SourceEvent> fetched_;
  std::deque<SourceFault> faults_;
  std::optional<Status> assign_failure_;
  std::optional<Condition> trouble_;
  std::map<PartitionKey, int> assigns_;
  std::map<PartitionKey, Offset> assigned_at_;
  std::shared_ptr<int64_t> records_out_ = std::make_shared<int64_t>(0);
};

}  // namespace drawbridge
