#include "server/control/condition_ages.h"

#include <utility>

namespace drawbridge {

ConditionAges::Key::Key(const Condition& condition)
    : bridge(condition.bridge),
      side(condition.side),
      reason(condition.reason),
      stream(condition.stream),
      partition(condition.partition),
      topic(condition.topic) {}

void ConditionAges::See(const std::vector<SeenCondition>& conditions, BootTime now) {
  std::map<Key, BootTime> since;
  for (const SeenCondition& seen : conditions) {
    const Key key(seen.condition);
    const auto known = since_.find(key);
    since.emplace(key, known == since_.end() ? now : known->second);
  }
  since_ = std::move(since);
}

void ConditionAges::AddTo(std::vector<SeenCondition>& conditions, BootTime now) const {
  for (SeenCondition& seen : conditions) {
    if (seen.condition.age) continue;
    const auto known = since_.find(Key(seen.condition));
    if (known != since_.end()) seen.condition.age = now - known->second;
  }
}

}  // namespace drawbridge
