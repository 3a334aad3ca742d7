#include "relay/opensearch/outcomes.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace drawbridge {

void Outcomes::Confirm(Pending& entry) {
  Confirmation* last = confirmations_.empty() ? nullptr : &confirmations_.back();
  const bool is_next = last != nullptr && last->slot == entry.slot &&
                       last->window == entry.window && !last->failure &&
                       last->range.end == entry.covered.first;
  if (!is_next) {
    confirmations_.push_back({.slot = entry.slot,
                              .window = entry.window,
                              .range = {entry.covered.first, entry.covered.first},
                              .failed_end = {},
                              .records = 0,
                              .bytes = 0,
                              .failure = std::nullopt,
                              .status = {}});
    last = &confirmations_.back();
  }
  last->range.end = entry.covered.end;
  ++last->records;
  last->bytes += entry.record.weight;
  if (entry.refusal) {
    last->dead_letters.push_back(
        {.offset = entry.record.offset, .error = std::move(entry.refusal->group)});
  }
  entry.record = {};
}

void Outcomes::GiveBack(const std::vector<Pending>& entries, const std::map<Slot, Status>& why,
                        Disposition disposition) {
  std::map<std::pair<Slot, uint32_t>, Confirmation> failures;
  for (const Pending& entry : entries) {
    Confirmation& failure = failures[{entry.slot, entry.window}];
    const bool is_first = failure.records == 0;
    if (is_first || entry.covered.first < failure.range.first) failure.range = entry.covered;
    failure.failed_end =
        is_first ? entry.covered.end : std::max(failure.failed_end, entry.covered.end);
    ++failure.records;
    failure.bytes += entry.record.weight;
  }
  for (auto& [which, failure] : failures) {
    failure.slot = which.first;
    failure.window = which.second;
    failure.failure = disposition;
    failure.status = why.at(which.first);
    confirmations_.push_back(std::move(failure));
  }
}

void Outcomes::MoveTo(std::vector<Confirmation>& confirmations) {
  std::ranges::move(confirmations_, std::back_inserter(confirmations));
  confirmations_.clear();
}

}  // namespace drawbridge
