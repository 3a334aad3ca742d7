#include "relay/pipeline/offset_tracker.h"

#include <iterator>

#include <fmt/format.h>

namespace drawbridge {

Status OffsetTracker::Begin(OffsetRange records) {
  if (records.first < read_to_) {
    return {StatusCode::kInternal, Reason::kInternal,
            fmt::format("the source went back from {} to {}", read_to_, records.first)};
  }
  if (records.empty()) return {};
  // Neighbours are one range: the deque is as long as there are islands, not batches.
  if (!unconfirmed_.empty() && unconfirmed_.back().end == records.first) {
    unconfirmed_.back().end = records.end;
  } else {
    unconfirmed_.push_back(records);
  }
  read_to_ = records.end;
  return {};
}

void OffsetTracker::Confirm(OffsetRange records) {
  auto range = std::ranges::upper_bound(unconfirmed_, records.first, {}, &OffsetRange::end);
  while (range != unconfirmed_.end() && range->first < records.end) {
    const OffsetRange before{range->first, std::max(range->first, records.first)};
    const OffsetRange after{std::min(range->end, records.end), range->end};
    if (before.empty() && after.empty()) {
      range = unconfirmed_.erase(range);
    } else if (before.empty()) {
      range->first = after.first;
      ++range;
    } else {
      range->end = before.end;
      ++range;
      if (!after.empty()) range = std::next(unconfirmed_.insert(range, after));
    }
  }
}

void OffsetTracker::ForgetFrom(Offset offset) {
  offset = std::max(offset, checkpoint());
  while (!unconfirmed_.empty() && unconfirmed_.back().first >= offset) unconfirmed_.pop_back();
  if (!unconfirmed_.empty()) {
    unconfirmed_.back().end = std::min(unconfirmed_.back().end, offset);
  }
  read_to_ = std::min(read_to_, offset);
}

}  // namespace drawbridge
