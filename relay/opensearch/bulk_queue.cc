#include "relay/opensearch/bulk_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace drawbridge {
namespace {

constexpr size_t kDocumentOverhead = 350;  // action line, @timestamp and origin

// The first that is due.
std::optional<Bulk> TakeFrom(std::deque<Bulk>& line, BootTime now) {
  const auto due = std::ranges::find_if(line, [&](const Bulk& bulk) { return bulk.due <= now; });
  if (due == line.end()) return std::nullopt;
  Bulk bulk = std::move(*due);
  line.erase(due);
  return bulk;
}

}  // namespace

size_t BulkBytes(const Record& record) {
  return record.value.value_or("").size() + kDocumentOverhead;
}

void BulkQueue::Add(Pending entry, BootTime now) {
  if (open_.entries.empty()) open_.since = now;
  open_.bytes += BulkBytes(entry.record);
  open_.entries.push_back(std::move(entry));
}

void BulkQueue::AddProbe(Pending entry, BootTime now) {
  const auto takes_it = [&](const Bulk& bulk) {
    // What was asked about its records was not asked about this one.
    const bool is_asked_about = bulk.check || bulk.is_checked;
    return bulk.entries.front().slot == entry.slot && bulk.bytes < bytes_max_ && !is_asked_about &&
           !bulk.is_dead && !bulk.failing_since;
  };
  if (probes_.empty() || !takes_it(probes_.back())) {
    Bulk& bulk = probes_.emplace_back();
    bulk.is_probe = true;
    bulk.due = now;
  }
  Bulk& bulk = probes_.back();
  bulk.bytes += BulkBytes(entry.record);
  bulk.entries.push_back(std::move(entry));
}

std::optional<Bulk> BulkQueue::TakeProbe(BootTime now) { return TakeFrom(probes_, now); }

std::optional<Bulk> BulkQueue::TakeDue(bool is_idle, BootTime now) {
  if (std::optional<Bulk> again = TakeFrom(waiting_, now)) return again;
  if (!dead_.empty()) return TakeDead();
  const bool is_worth_it = IsFull() || is_idle || now - open_.since >= kFlushAfter;
  if (open_.entries.empty() || !is_worth_it || has_waiting()) return std::nullopt;
  return TakeOpen();
}

// Only one probe is on its way at a time: what fails in many requests is tried again in few.
bool BulkQueue::TakesIn(const Bulk& waiting, const Bulk& more) const {
  const bool is_new =
      !waiting.check && !more.check && !waiting.failing_since && !more.failing_since;
  return is_new && waiting.is_dead == more.is_dead && waiting.is_checked == more.is_checked &&
         waiting.bytes + more.bytes <= bytes_max_ &&
         waiting.entries.size() + more.entries.size() <= kDocumentsMost;
}

// A letter has its record in base64.
Bulk BulkQueue::TakeDead() {
  Bulk bulk;
  bulk.is_dead = true;
  do {
    bulk.bytes += 2 * BulkBytes(dead_.front().record);
    bulk.entries.push_back(std::move(dead_.front()));
    dead_.pop_front();
  } while (!dead_.empty() && bulk.bytes < bytes_max_ && bulk.entries.size() < kDocumentsMost);
  return bulk;
}

void BulkQueue::Later(Bulk bulk, BootTime due) {
  bulk.due = due;
  std::deque<Bulk>& line = LineOf(bulk);
  if (bulk.is_probe && !line.empty() && TakesIn(line.back(), bulk)) {
    line.back().due = std::min(line.back().due, due);
    line.back().bytes += bulk.bytes;
    std::ranges::move(bulk.entries, std::back_inserter(line.back().entries));
    return;
  }
  line.push_back(std::move(bulk));
}

void BulkQueue::First(Bulk bulk, BootTime due) {
  bulk.due = due;
  std::deque<Bulk>& line = LineOf(bulk);
  line.push_front(std::move(bulk));
}

void BulkQueue::SplitAt(size_t count, Bulk bulk, BootTime due) {
  const auto middle = bulk.entries.begin() + static_cast<std::ptrdiff_t>(count);
  Bulk second;
  second.is_dead = bulk.is_dead;
  second.is_checked = bulk.is_checked;
  second.is_probe = bulk.is_probe;
  second.failing_since = bulk.failing_since;
  second.blamed_at = bulk.blamed_at;
  second.entries.assign(std::make_move_iterator(middle),
                        std::make_move_iterator(bulk.entries.end()));
  bulk.entries.erase(middle, bulk.entries.end());
  for (Bulk* const half : {&bulk, &second}) {
    half->bytes = 0;
    for (const Pending& entry : half->entries) half->bytes += BulkBytes(entry.record);
  }
  First(std::move(second), due);
  First(std::move(bulk), due);
}

std::vector<Pending> BulkQueue::Extract(const std::function<bool(const Pending&)>& is_wanted) {
  std::vector<Pending> extracted;
  ExtractIf(open_.entries, is_wanted, extracted);
  open_.bytes = 0;
  for (const Pending& entry : open_.entries) open_.bytes += BulkBytes(entry.record);
  ExtractIf(dead_, is_wanted, extracted);
  for (std::deque<Bulk>* const line : {&waiting_, &probes_}) {
    for (Bulk& bulk : *line) ExtractIf(bulk.entries, is_wanted, extracted);
    std::erase_if(*line, [](const Bulk& bulk) { return bulk.entries.empty(); });
  }
  return extracted;
}

size_t BulkQueue::requests() const {
  return waiting_.size() + probes_.size() + (dead_.empty() ? 0 : 1) +
         (open_.entries.empty() ? 0 : 1);
}

std::optional<BootTime> BulkQueue::NextProbe() const {
  const auto next = std::ranges::min_element(probes_, {}, &Bulk::due);
  return next == probes_.end() ? std::nullopt : std::optional(next->due);
}

std::optional<BootTime> BulkQueue::NextDue(BootTime now) const {
  std::optional<BootTime> next;
  const auto consider = [&](BootTime time) { next = next ? std::min(*next, time) : time; };
  for (const Bulk& bulk : waiting_) consider(bulk.due);
  if (!dead_.empty()) consider(now);
  if (!open_.entries.empty() && !has_waiting()) consider(open_.since + kFlushAfter);
  return next;
}

}  // namespace drawbridge
