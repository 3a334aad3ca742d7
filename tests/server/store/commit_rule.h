#pragma once

#include <optional>

#include "model/checkpoint.h"

namespace drawbridge {

// The rule by which a checkpoint moves, written down once more, apart from the store's SQL: the
// search in protocol_model_test shows that the rule keeps the promise, and commit_rule_test that
// the store keeps the rule. Each part can be switched off, to see what it is there for.
struct CommitRule {
  bool checks_incarnation = true;
  bool checks_epoch = true;
  bool checks_owner = true;
  bool checks_base = true;
  bool is_monotonic = true;
};

// Relays are numbered.
struct CheckpointRow {
  FencingToken token;
  std::optional<int> owner;
  Offset next;
};

struct CommitAttempt {
  FencingToken token;
  int sender = 0;
  Offset base;
  Offset next;
};

inline CommitOutcome Judge(const CheckpointRow& row, const CommitAttempt& attempt,
                           const CommitRule& rule = {}) {
  if (rule.checks_incarnation && attempt.token.incarnation != row.token.incarnation) {
    return CommitOutcome::kStaleIncarnation;
  }
  if (rule.checks_epoch && attempt.token.epoch != row.token.epoch) {
    return CommitOutcome::kStaleEpoch;
  }
  if (rule.checks_owner && attempt.sender != row.owner) return CommitOutcome::kNotOwner;
  if (rule.is_monotonic && attempt.next < row.next) return CommitOutcome::kRegression;
  if (rule.checks_base && attempt.base > row.next) return CommitOutcome::kNotContiguous;
  return CommitOutcome::kStored;
}

}  // namespace drawbridge
