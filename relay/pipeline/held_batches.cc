#include "relay/pipeline/held_batches.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "relay/pipeline/in_flight_window.h"

namespace drawbridge {

size_t HeldBatches::Add(Batch batch, size_t part_max) {
  const size_t bytes_before = bytes_;
  const size_t count = batch.records.size();
  part_max = std::max<size_t>(part_max, 1);
  for (size_t first = 0; first < count; first += part_max) {
    const size_t end = first + std::min(part_max, count - first);
    const bool is_last = end == count;
    Part part;
    part.batch = {.slot = batch.slot,
                  .fetch = batch.fetch,
                  .from = batch.Covered(first).first,
                  .read_to = is_last ? batch.read_to : Next(batch.records[end - 1].offset),
                  .records = {}};
    for (size_t i = first; i < end; ++i) {
      batch.records[i].weight = batch.records[i].bytes() + InFlightWindow::kRecordOverhead;
      part.bytes += batch.records[i].weight;
    }
    bytes_ += part.bytes;
    if (first == 0 && is_last) {
      part.batch.records = std::move(batch.records);
    } else {
      std::ranges::move(batch.records.begin() + static_cast<std::ptrdiff_t>(first),
                        batch.records.begin() + static_cast<std::ptrdiff_t>(end),
                        std::back_inserter(part.batch.records));
    }
    parts_.push_back(std::move(part));
    if (is_last) break;
  }
  return bytes_ - bytes_before;
}

HeldBatches::Submitted HeldBatches::SubmitNext(Sink& sink, uint32_t window) {
  auto& [batch, from, left] = parts_.front();
  Submitted submitted;
  submitted.records = sink.Submit(batch, from, window);
  for (size_t i = 0; i < submitted.records; ++i) {
    submitted.bytes += batch.records[from + i].weight;
  }
  from += submitted.records;
  left -= submitted.bytes;
  bytes_ -= submitted.bytes;
  submitted.is_all = from == batch.records.size();
  if (submitted.is_all) parts_.pop_front();
  return submitted;
}

size_t HeldBatches::Clear() {
  parts_.clear();
  return std::exchange(bytes_, 0);
}

}  // namespace drawbridge
