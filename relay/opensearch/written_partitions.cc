#include "relay/opensearch/written_partitions.h"

#include <algorithm>
#include <utility>

namespace drawbridge {
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
  if (partition.is_in_storm) partition.trial.Admit(window, covered.first, now);
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

void WrittenPartitions::Passed(const Pending& entry, bool was_there, BootTime now) {
  Prove(entry, was_there, now);
  if (entry.refusal || IsOld(entry)) return;
  NotePass(entry, !was_there);
}

void WrittenPartitions::Found(const Pending& entry, BootTime now) {
  Prove(entry, true, now);
  NotePass(entry, false);
}

void WrittenPartitions::Prove(const Pending& entry, bool was_there, BootTime now) {
  if (IsOld(entry)) return;
  PriorWrites& prior = partitions_[entry.slot].prior;
  if (was_there) {
    prior.WasThere();
  } else {
    prior.WasMissing(entry.record.bytes(), now);
  }
}

bool WrittenPartitions::IsOnTrial(const Partition& partition, const Pending& entry) {
  return partition.is_in_storm && partition.blocked_in && entry.window > *partition.blocked_in &&
         partition.trial.IsOf(entry.window);
}

void WrittenPartitions::NotePass(const Pending& entry, bool is_new) {
  if (IsOld(entry)) return;
  Partition& partition = partitions_[entry.slot];
  if (partition.is_in_storm) {
    if (!IsOnTrial(partition, entry)) return;
    partition.trial.AddPassed(entry.covered.end, is_new);
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
  partitions_[slot].trial.Hold(std::move(suspect));
  on_trial_.insert(slot);
}

std::vector<Pending> WrittenPartitions::TakeHeld(Slot slot) {
  std::vector<Pending> held;
  if (slot >= partitions_.size()) return held;
  for (Suspect& suspect : partitions_[slot].trial.TakeHeld()) {
    held.push_back(std::move(suspect.entry));
  }
  return held;
}

std::vector<Judgement> WrittenPartitions::Judge(BootTime now) {
  std::vector<Judgement> judgements;
  for (const Slot slot : std::exchange(on_trial_, {})) {
    Partition& partition = partitions_[slot];
    if (!partition.is_in_storm) continue;
    switch (partition.trial.Judge(partition.entries, now)) {
      case StormTrial::Verdict::kPending:
        on_trial_.insert(slot);
        break;
      case StormTrial::Verdict::kNone:
        break;
      case StormTrial::Verdict::kOver:
        EndStorm(partition, false);
        break;
      case StormTrial::Verdict::kBadRecords:
        judgements.push_back(
            {.slot = slot, .is_storm = false, .refused = partition.trial.TakeHeld()});
        partition.own_fault = partition.trial.range();
        EndStorm(partition, true);
        break;
      case StormTrial::Verdict::kStorm:
        judgements.push_back(
            {.slot = slot, .is_storm = true, .refused = partition.trial.TakeHeld()});
        break;
    }
  }
  return judgements;
}

// For the whole stream only a record can say that it is over which was held for the stream's sake,
// and is new: written, not found there.
void WrittenPartitions::EndStorm(Partition& partition, bool were_bad_records) {
  const bool is_proven = were_bad_records || partition.trial.has_written();
  partition.is_in_storm = false;
  partition.blocked_in.reset();
  partition.is_storm_open = !is_proven;
  if (is_proven) partition.storm.Reset();
  if (std::exchange(partition.is_held_by_stream, false) && partition.trial.has_written()) {
    partition.stream->Reset();
  }
}

void WrittenPartitions::BlockIn(Slot slot, uint32_t window) {
  Partition& partition = partitions_[slot];
  partition.blocked_in = std::max(partition.blocked_in.value_or(0), window);
  partition.trial.Restart();
  partition.is_storm_open = false;
}

}  // namespace drawbridge
