#include "relay/pipeline/suspect_search.h"

#include <algorithm>

namespace drawbridge {
namespace {

constexpr int kRefusalsLeast = 2;
// Records that were refused together are sent again in this many parts, then one by one.
constexpr int64_t kParts = 32;

}  // namespace

bool SuspectSearch::Refused(const Confirmation& failure) {
  const Offset record{failure.range.end.value - 1};
  const bool was_alone = until_ && part_max_ == 1;
  refusals_ = refused_ == record ? refusals_ + 1 : 1;
  refused_ = record;
  if (was_alone && refusals_ >= kRefusalsLeast) return true;
  part_max_ = until_ ? 1 : static_cast<size_t>(std::max<int64_t>(1, failure.records / kParts));
  until_ = std::max(until_.value_or(Offset{0}), failure.failed_end);
  return false;
}

void SuspectSearch::Passed(Offset checkpoint) {
  if (refused_ && checkpoint > *refused_) refused_.reset();
  if (until_ && checkpoint >= *until_) until_.reset();
}

void SuspectSearch::Reset() { *this = {}; }

}  // namespace drawbridge
