#include "relay/opensearch/written_partitions.h"

#include <algorithm>
#include <utility>

namespace drawbridge {

void WrittenPartitions::Open(Slot slot, std::shared_ptr<const Destination> to, BootTime now) {
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
    partition.blocked_in.reset();
    partition.is_storm_open = false;
    partition.is_held_by_stream = false;
    partition.prior = PriorWrites(window_bytes_);
  }
  partition.prior.Suspect(now);
}

void WrittenPartitions::Close(Slot slot) {
  Partition& partition = partitions_[slot];
  if (!partition.to) return;
  partition.stream->Leave(partition.to->route.partition);
  partition.to.reset();
}

bool WrittenPartitions::TakesMore(Slot slot) const {
  const Partition& partition = partitions_[slot];
  return !partition.blocked_in || partition.entries == 0;
}

Pending WrittenPartitions::Admit(Slot slot, uint32_t window, OffsetRange covered, Record record,
                                 BootTime now) {
  Partition& partition = partitions_[slot];
  ++partition.entries;
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

void WrittenPartitions::Passed(const Pending& entry, bool was_there, BootTime now) {
  Prove(entry, was_there, now);
  if (entry.refusal || IsOld(entry)) return;
  Unblock(entry, !was_there);
  Partition& partition = partitions_[entry.slot];
  partition.storm.AddGood();
  partition.stream->AddGood();
}

void WrittenPartitions::Found(const Pending& entry, BootTime now) {
  Prove(entry, true, now);
  Unblock(entry, false);
}

void WrittenPartitions::Prove(const Pending& entry, bool was_there, BootTime now) {
  if (IsOld(entry)) return;
  PriorWrites& prior = partitions_[entry.slot].prior;
  if (was_there) {
    prior.WasThere(now);
  } else {
    prior.WasMissing(entry.record.bytes());
  }
}

// What the partition was blocked for is gone. For the whole stream only a record can say so that
// was held for the stream's sake, and is new: written, not found there.
void WrittenPartitions::Unblock(const Pending& entry, bool is_new) {
  Partition& partition = partitions_[entry.slot];
  if (IsOld(entry)) return;
  if (partition.blocked_in && entry.window > *partition.blocked_in) {
    partition.blocked_in.reset();
    partition.is_storm_open = true;
    if (std::exchange(partition.is_held_by_stream, false) && is_new) partition.stream->Reset();
  }
  if (is_new && std::exchange(partition.is_storm_open, false)) partition.storm.Reset();
}

bool WrittenPartitions::IsStorm(const Pending& entry, const std::string& group) {
  Partition& partition = partitions_[entry.slot];
  bool is_storm = partition.storm.IsStorm(group);
  bool is_stream_storm = partition.stream->IsStorm(group);
  if (!is_storm && !is_stream_storm) {
    is_storm = partition.storm.AddBad(group);
    is_stream_storm = partition.stream->AddBad(entry.to->route.partition, group);
  }
  partition.is_held_by_stream = is_stream_storm;
  return is_storm || is_stream_storm;
}

void WrittenPartitions::BlockIn(Slot slot, uint32_t window) {
  Partition& partition = partitions_[slot];
  partition.blocked_in = std::max(partition.blocked_in.value_or(0), window);
  partition.is_storm_open = false;
}

}  // namespace drawbridge
