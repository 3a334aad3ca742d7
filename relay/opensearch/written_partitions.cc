#include "relay/opensearch/written_partitions.h"

#include <algorithm>
#include <utility>

namespace drawbridge {
namespace {

// How long a trial of few records waits for more: of large ones a fetch holds one or two.
constexpr Duration kTrialPatience = std::chrono::seconds(3);

}  // namespace

void WrittenPartitions::Open(Slot slot, std::shared_ptr<const Destination> to) {
  if (partitions_.size() <= slot) partitions_.resize(slot + 1);
  Partition& partition = partitions_[slot];
  const bool is_the_same = partition.to && partition.to->route.key == to->route.key &&
                           partition.to->route.source_epoch == to->route.source_epoch &&
                           partition.to->route.target_topic == to->route.target_topic;
  partition.to = std::move(to);
  const Route& route = partition.to->route;
  partition.stream = &streams_[route.source_topic];
  partition.stream->Join(route.partition);
  if (!is_the_same) {
    partition.storm.Reset();
    partition.letters = LetterBudget(letters_percent_);
    partition.blocked_in.reset();
    partition.is_in_storm = false;
    partition.trial = {};
    partition.own_fault = {};
    partition.is_storm_open = false;
    partition.is_held_by_stream = false;
    partition.prior = PriorWrites(window_bytes_);
  }
  partition.letters.ForgetBegun();
  partition.entries = 0;
  partition.prior.Suspect();
}

void WrittenPartitions::Close(Slot slot) {
  Partition& partition = partitions_[slot];
  if (!partition.to) return;
  partition.stream->Leave(partition.to->route.partition);
  partition.to.reset();
}

bool WrittenPartitions::TakesMore(Slot slot) const {
  const Partition& partition = partitions_[slot];
  if (!partition.blocked_in) return true;
  return partition.entries < (partition.is_in_storm ? StormBreaker::kWindow : 1);
}

Pending WrittenPartitions::Admit(Slot slot, uint32_t window, OffsetRange covered, Record record,
                                 BootTime now) {
  Partition& partition = partitions_[slot];
  ++partition.entries;
  partition.letters.AddRecord(record.offset, now);
  if (partition.is_in_storm && partition.trial.window != window) {
    partition.trial = Trial{.window = window,
                            .refused = std::move(partition.trial.refused),
                            .range = {covered.first, covered.first}};
  }
  partition.trial.last_at = now;
  Pending entry{.slot = slot,
                .to = partition.to,
                .window = window,
                .covered = covered,
                .record = std::move(record),
                .may_be_there = false,
                .refusal = std::nullopt,
                .index = {}};
  entry.may_be_there = partition.prior.MayHave(entry.record.offset, now);
  partition.prior.Sent(covered.end);
  return entry;
}

void WrittenPartitions::BeginLetter(Pending& entry) {
  if (IsOld(entry) || std::exchange(entry.is_in_budget, true)) return;
  partitions_[entry.slot].letters.Begin();
}

void WrittenPartitions::Confirmed(const Pending& entry, BootTime now) {
  if (IsOld(entry)) return;
  Partition& partition = partitions_[entry.slot];
  --partition.entries;
  if (entry.is_in_budget) partition.letters.Keep(entry.record.offset, now);
}

void WrittenPartitions::Release(const Pending& entry) {
  if (IsOld(entry)) return;
  Partition& partition = partitions_[entry.slot];
  --partition.entries;
  if (entry.is_in_budget) partition.letters.GiveBack();
}

void WrittenPartitions::Passed(const Pending& entry, bool was_there) {
  Prove(entry, was_there);
  if (entry.refusal || IsOld(entry)) return;
  NotePass(entry, !was_there);
}

void WrittenPartitions::Found(const Pending& entry) {
  Prove(entry, true);
  NotePass(entry, false);
}

void WrittenPartitions::Prove(const Pending& entry, bool was_there) {
  if (IsOld(entry)) return;
  PriorWrites& prior = partitions_[entry.slot].prior;
  if (was_there) {
    prior.WasThere();
  } else {
    prior.WasMissing(entry.record.bytes());
  }
}

bool WrittenPartitions::IsOnTrial(const Partition& partition, const Pending& entry) {
  return partition.is_in_storm && partition.blocked_in && entry.window > *partition.blocked_in &&
         entry.window == partition.trial.window;
}

void WrittenPartitions::NotePass(const Pending& entry, bool is_new) {
  if (IsOld(entry)) return;
  Partition& partition = partitions_[entry.slot];
  if (partition.is_in_storm) {
    if (!IsOnTrial(partition, entry)) return;
    ++partition.trial.passed;
    if (is_new) ++partition.trial.written;
    OffsetRange& range = partition.trial.range;
    range.end = std::max(range.end, entry.covered.end);
    on_trial_.insert(entry.slot);
    return;
  }
  // What it was blocked for is gone.
  if (partition.blocked_in && entry.window > *partition.blocked_in) partition.blocked_in.reset();
  if (is_new && std::exchange(partition.is_storm_open, false)) partition.storm.Reset();
  // What was there before says little of a storm that may go on.
  if (partition.is_storm_open) return;
  partition.storm.AddGood();
  partition.stream->AddGood();
}

Blame WrittenPartitions::Refused(const Pending& entry, const std::string& cause, BootTime now) {
  Partition& partition = partitions_[entry.slot];
  const OffsetRange& own_fault = partition.own_fault;
  const Offset offset = entry.record.offset;
  const bool is_its_own = own_fault.first <= offset && offset < own_fault.end;
  const bool may_be_a_storm = !is_its_own && !cause.empty();
  if (partition.is_in_storm && may_be_a_storm) {
    return IsOnTrial(partition, entry) ? Blame::kOnTrial : Blame::kIndex;
  }
  // One that is too many is tried again and again, which makes no storm.
  if (partition.letters.IsSpent(offset, now)) return Blame::kTooMany;
  if (may_be_a_storm && IsStorm(partition, entry, cause)) return Blame::kIndex;
  return Blame::kRecord;
}

bool WrittenPartitions::IsStorm(Partition& partition, const Pending& entry,
                                const std::string& cause) {
  bool is_storm = partition.storm.IsStorm(cause);
  bool is_stream_storm = partition.stream->IsStorm(cause);
  if (!is_storm && !is_stream_storm) {
    is_storm = partition.storm.AddBad(cause);
    is_stream_storm = partition.stream->AddBad(entry.to->route.partition, cause);
  }
  partition.is_held_by_stream = is_stream_storm;
  partition.is_in_storm = is_storm || is_stream_storm;
  return partition.is_in_storm;
}

void WrittenPartitions::Hold(Suspect suspect) {
  const Slot slot = suspect.entry.slot;
  partitions_[slot].trial.refused.push_back(std::move(suspect));
  on_trial_.insert(slot);
}

std::vector<Pending> WrittenPartitions::TakeHeld(Slot slot) {
  std::vector<Pending> held;
  if (slot >= partitions_.size()) return held;
  for (Suspect& suspect : std::exchange(partitions_[slot].trial.refused, {})) {
    held.push_back(std::move(suspect.entry));
  }
  return held;
}

std::vector<Judgement> WrittenPartitions::Judge(BootTime now) {
  std::vector<Judgement> judgements;
  std::erase_if(on_trial_, [&](Slot slot) {
    Partition& partition = partitions_[slot];
    if (!partition.is_in_storm) return true;
    Trial& trial = partition.trial;
    const size_t refused = trial.refused.size();
    const size_t tried = trial.passed + refused;
    // Others may say more. What was only found there says nothing of what comes behind it.
    const bool are_all_through = partition.entries <= refused;
    if (refused == 0) {
      if (trial.written == 0 && !are_all_through) return false;
      if (trial.passed > 0) EndStorm(partition, false);
      return true;
    }
    const bool are_bad_records = tried >= StormBreaker::kLeast && refused * 2 < tried;
    const bool may_more_come =
        tried < StormBreaker::kWindow && now - trial.last_at < kTrialPatience;
    if (!are_bad_records && (!are_all_through || may_more_come)) return false;
    judgements.push_back(
        {.slot = slot, .is_storm = !are_bad_records, .refused = std::move(trial.refused)});
    trial.refused.clear();
    if (are_bad_records) {
      partition.own_fault = trial.range;
      EndStorm(partition, true);
    }
    return true;
  });
  return judgements;
}

// For the whole stream only a record can say that it is over which was held for the stream's sake,
// and is new: written, not found there.
void WrittenPartitions::EndStorm(Partition& partition, bool were_bad_records) {
  const bool is_proven = were_bad_records || partition.trial.written > 0;
  partition.is_in_storm = false;
  partition.blocked_in.reset();
  partition.is_storm_open = !is_proven;
  if (is_proven) partition.storm.Reset();
  if (std::exchange(partition.is_held_by_stream, false) && partition.trial.written > 0) {
    partition.stream->Reset();
  }
}

void WrittenPartitions::BlockIn(Slot slot, uint32_t window) {
  Partition& partition = partitions_[slot];
  partition.blocked_in = std::max(partition.blocked_in.value_or(0), window);
  partition.trial = Trial{.refused = std::move(partition.trial.refused)};
  partition.is_storm_open = false;
}

}  // namespace drawbridge
