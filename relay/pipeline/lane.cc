#include "relay/pipeline/lane.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include <fmt/format.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "relay/pipeline/anchor_check.h"
#include "relay/pipeline/held_batches.h"
#include "relay/pipeline/suspect_search.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.pipeline");

constexpr Duration kStuckAfter = 1s;       // at its cap this long without a confirmation: park
constexpr Duration kPublishEvery = 500ms;  // what nobody waits for
constexpr Duration kRetryFirst = 500ms;
constexpr Duration kRetryMost = 10s;
constexpr Duration kLookAgain = 2s;  // at a source that seems truncated, or did not answer
constexpr int kLooksBeforeHalt = 3;  // a fresh leader may report a lower end for a moment

}  // namespace

struct Lane::Partition {
  Partition(Slot number, LanePartition order)
      : slot(number),
        route(std::move(order.route)),
        token(order.last.token),
        is_paused(order.is_paused),
        noted(order.last.to.next),
        progress(std::move(order.last)) {}

  const Slot slot;
  const Route route;
  const FencingToken token;
  bool is_paused = false;
  Offset noted;  // the checkpoint last seen to move
  PartitionProgress progress;

  PartitionState state = PartitionState::kRunning;
  bool is_open = false;  // known to the sink
  bool is_reading = false;
  uint32_t fetch = 0;              // of the newest Assign
  uint32_t window = 0;             // of what is submitted
  std::optional<Anchor> expected;  // the record that the first one read must be

  HeldBatches held;
  size_t in_flight_bytes = 0;
  int64_t in_flight_records = 0;
  // Submitted before a replay, and still with the sink.
  uint32_t first_window = 0;
  size_t overtaken_bytes = 0;
  int64_t overtaken_records = 0;
  std::optional<BootTime> stuck_since;  // at the cap and nothing confirmed since
  size_t parked_at_bytes = 0;           // what was submitted then

  std::optional<Condition> trouble;
  std::optional<BootTime> trouble_since;
  Backoff backoff{kRetryFirst, kRetryMost};
  std::optional<BootTime> retry_at;
  SuspectSearch suspects;
  int suspicious_looks = 0;
  std::optional<BootTime> release_until;

  Offset journaled{-1};
  bool has_told = false;  // that something waits for the server to store it
  std::optional<BootTime> moved_at;
  std::optional<BootTime> waiting_since;
  int64_t records_confirmed = 0;
  int64_t bytes_confirmed = 0;
  int64_t records_filtered = 0;

  size_t submitted_bytes() const { return in_flight_bytes + overtaken_bytes; }
  int64_t submitted_records() const { return in_flight_records + overtaken_records; }
};

Lane::Lane(LaneSettings settings, Source& source, Sink& sink, Journal& journal,
           ProgressBoard& board, const Clock& clock)
    : settings_(settings),
      source_(source),
      sink_(sink),
      journal_(journal),
      board_(board),
      clock_(clock),
      filter_(settings.target_cluster),
      window_(settings.window_bytes),
      now_(clock.Now()),
      publish_at_(now_) {}

// Also when it fails: what it said last is no news of what goes on now.
Lane::~Lane() {
  for (const auto& [key, slot] : by_key_) board_.Remove(key, slots_[slot]->token);
  board_.RemoveLane(settings_.lane);
}

Lane::Partition* Lane::Find(PartitionKey key) {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : slots_[found->second].get();
}

// The partition, if what was read belongs to where it reads now.
Lane::Partition* Lane::Current(Slot slot, uint32_t fetch) {
  Partition* const partition = slot < slots_.size() ? slots_[slot].get() : nullptr;
  const bool is_current =
      partition != nullptr && partition->is_reading && partition->fetch == fetch;
  return is_current ? partition : nullptr;
}

// --- Orders -------------------------------------------------------------------------------------

void Lane::Start(LanePartition order) {
  now_ = clock_.Now();
  const PartitionKey key = order.route.key;
  if (Partition* const before = Find(key)) {
    if (before->token > order.last.token) return;  // told late
    if (before->token == order.last.token) {
      SetPaused(key, order.is_paused);
      if (!std::exchange(before->release_until, std::nullopt)) return;
      if (before->state != PartitionState::kHalted) Resume(*before);
      Publish(*before);
      return;
    }
    Leave(*before);  // another position or owner: what is in flight counts for nothing
  }
  auto free = std::ranges::find_if(slots_, [](const auto& other) { return other == nullptr; });
  if (free == slots_.end()) free = slots_.insert(free, nullptr);
  const auto slot = static_cast<Slot>(free - slots_.begin());
  *free = std::make_unique<Partition>(slot, std::move(order));
  Partition& partition = **free;
  by_key_[key] = slot;
  partition.first_window = partition.window = ++last_window_;
  Resume(partition);
  Publish(partition);
}

void Lane::SetPaused(PartitionKey key, bool is_paused) {
  Partition* const partition = Find(key);
  if (partition == nullptr || partition->is_paused == is_paused) return;
  partition->is_paused = is_paused;
  if (partition->release_until) return;
  if (is_paused) {
    StopReading(*partition);
    partition->retry_at.reset();
    partition->trouble.reset();
    // Pausing is also how an operator says that the cause of a halt is mended: resuming tries
    // again, and whatever still holds halts it again.
    partition->suspects.Reset();
    partition->suspicious_looks = 0;
    partition->state = PartitionState::kPaused;
  } else {
    Resume(*partition);
  }
  Publish(*partition);
}

void Lane::Release(PartitionKey key, BootTime until) {
  Partition* const partition = Find(key);
  if (partition == nullptr) return;
  StopReading(*partition);
  DropHeld(*partition);  // the next owner reads it
  partition->retry_at.reset();
  partition->release_until = until;
}

void Lane::Stored(PartitionKey key, FencingToken token, Offset next) {
  Partition* const partition = Find(key);
  if (partition == nullptr || partition->token != token) return;
  partition->progress.Stored(next);
  partition->has_told = false;
  NoteProgress(*partition);
}

std::vector<ReleasedPartition> Lane::TakeReleased() { return std::exchange(released_, {}); }

// --- One partition's position -------------------------------------------------------------------

// Makes the partition known to the sink, and reads it unless it is paused. Time has passed: whether
// the source is still what it was is looked at again.
void Lane::Resume(Partition& partition) {
  partition.retry_at.reset();
  if (Status opened = sink_.Open(partition.slot, partition.route); !opened.ok()) {
    partition.is_open = false;
    Replay(partition, At(partition, Side::kTarget, opened));
    return;
  }
  if (!std::exchange(partition.is_open, true)) partition.trouble.reset();
  if (partition.is_paused) {
    partition.trouble.reset();
    partition.state = PartitionState::kPaused;
  } else {
    partition.expected = partition.progress.checkpoint().anchor;
    Reset(partition);
  }
}

// (Re)starts reading behind what is in flight, or below that at the anchor, to compare it.
void Lane::Reset(Partition& partition) {
  partition.retry_at.reset();
  if (partition.expected) {
    partition.state = PartitionState::kChecking;
    Read(partition, std::min(partition.expected->offset, partition.progress.read_to()));
  } else {
    partition.state = PartitionState::kRunning;
    Read(partition, partition.progress.read_to());
  }
}

void Lane::Read(Partition& partition, Offset from) {
  partition.fetch = ++last_fetch_;
  partition.is_reading = true;
  if (Status assigned = source_.Assign(partition.slot, partition.route, from, partition.fetch);
      !assigned.ok()) {
    Replay(partition, At(partition, Side::kSource, assigned));
  }
}

void Lane::StopReading(Partition& partition) {
  if (!partition.is_reading) return;
  partition.is_reading = false;
  source_.Unassign(partition.slot);
}

// Gives up what was read and not submitted: it will be read again. The partition is not read.
void Lane::DropHeld(Partition& partition) {
  if (partition.held.empty()) return;
  partition.progress.ForgetFrom(partition.held.next());
  window_.GiveBack(partition.held.Clear());
}

// Forgets what was read beyond the checkpoint, and reads it again after a while.
void Lane::Replay(Partition& partition, Condition trouble) {
  StopReading(partition);
  DropHeld(partition);
  partition.progress.ForgetFrom(partition.progress.checkpoint().next);
  partition.window = ++last_window_;
  partition.overtaken_bytes += std::exchange(partition.in_flight_bytes, 0);
  partition.overtaken_records += std::exchange(partition.in_flight_records, 0);
  partition.stuck_since.reset();
  partition.state = PartitionState::kRetrying;
  if (!partition.release_until) partition.retry_at = now_ + partition.backoff.Next();
  if (!partition.trouble || partition.trouble->reason != trouble.reason) {
    partition.trouble_since = now_;
    kLog.Warn("partition is replayed", {{"stream", partition.route.key.stream},
                                        {"topic", partition.route.source_topic},
                                        {"partition", partition.route.partition},
                                        {"reason", Name(trouble.reason)},
                                        {"text", trouble.text}});
  }
  partition.trouble = std::move(trouble);
  Publish(partition);
}

void Lane::Halt(Partition& partition, Condition trouble) {
  Replay(partition, std::move(trouble));
  partition.retry_at.reset();
  partition.state = PartitionState::kHalted;
  kLog.Error("partition is halted", {{"stream", partition.route.key.stream},
                                     {"topic", partition.route.source_topic},
                                     {"partition", partition.route.partition},
                                     {"reason", Name(partition.trouble->reason)},
                                     {"text", partition.trouble->text}});
  Publish(partition);
}

void Lane::Leave(Partition& partition) {
  StopReading(partition);
  window_.GiveBack(partition.held.bytes());
  board_.Remove(partition.route.key, partition.token);
  if (partition.is_open) sink_.Close(partition.slot);
  by_key_.erase(partition.route.key);
  slots_[partition.slot].reset();
}

// --- A turn -------------------------------------------------------------------------------------

BootTime Lane::Step() {
  now_ = clock_.Now();
  const bool has_confirmed = HandleConfirmations();
  RunTimers();
  for (const auto& partition : slots_) {
    if (partition && !partition->held.empty()) SubmitHeld(*partition);
  }

  events_.clear();
  source_.Serve(events_);
  const bool wants_more = WantsMore();
  if (wants_more) {
    // A small part of what a partition may have in flight, so that batches fit into it.
    const size_t cap = window_.PartitionCap(by_key_.size());
    source_.Poll(std::min(settings_.poll_bytes, cap / 8), events_);
  }
  for (SourceEvent& event : events_) {
    std::visit([this](auto& happened) { Handle(happened); }, event);
  }
  if (now_ >= publish_at_) PublishAll();
  const bool has_more = has_confirmed || (wants_more && !events_.empty());
  return has_more ? now_ : NextTurn();
}

bool Lane::HandleConfirmations() {
  confirmations_.clear();
  sink_.Poll(confirmations_);
  for (const Confirmation& confirmation : confirmations_) Handle(confirmation);
  return !confirmations_.empty();
}

void Lane::Handle(const Confirmation& confirmation) {
  window_.GiveBack(confirmation.bytes);
  Partition* const partition =
      confirmation.slot < slots_.size() ? slots_[confirmation.slot].get() : nullptr;
  if (partition == nullptr || confirmation.window < partition->first_window) return;
  if (confirmation.window != partition->window) {  // was sent again since
    partition->overtaken_bytes -= std::min(partition->overtaken_bytes, confirmation.bytes);
    partition->overtaken_records -= confirmation.records;
    partition->stuck_since.reset();
    return;
  }

  partition->in_flight_bytes -= std::min(partition->in_flight_bytes, confirmation.bytes);
  partition->in_flight_records -= confirmation.records;
  if (confirmation.failure) {
    HandleFailure(*partition, confirmation);
    return;
  }
  Failpoint("lane.confirmed");
  // First: once confirmed, the checkpoint may pass them.
  for (const DeadLetter& letter : confirmation.dead_letters) {
    partition->progress.PassDeadLetter(letter.offset, letter.error);
  }
  partition->progress.Confirm(confirmation.range);
  partition->records_confirmed +=
      confirmation.records - static_cast<int64_t>(confirmation.dead_letters.size());
  partition->bytes_confirmed +=
      static_cast<int64_t>(confirmation.bytes) -
      confirmation.records * static_cast<int64_t>(InFlightWindow::kRecordOverhead);
  partition->stuck_since.reset();
  NoteProgress(*partition);
}

void Lane::HandleFailure(Partition& partition, const Confirmation& failure) {
  Condition trouble = At(partition, Side::kTarget, failure.status);
  if (*failure.failure == Disposition::kRefuse) {
    const Offset record{failure.range.end.value - 1};
    trouble.text = failure.records == 1 ? fmt::format("offset {}: {}", record, trouble.text)
                                        : fmt::format("offset {}, or one of those sent with it: {}",
                                                      record, trouble.text);
    if (partition.suspects.Refused(failure)) {
      trouble.text += "; then pause and resume the stream";
      Halt(partition, std::move(trouble));
      return;
    }
  }
  Replay(partition, std::move(trouble));
}

void Lane::Handle(Batch& batch) {
  Partition* const partition = Current(batch.slot, batch.fetch);
  if (partition == nullptr) return;
  if (partition->expected && !PassesAnchorCheck(*partition, batch)) return;

  const Offset next = partition->progress.read_to();
  std::erase_if(batch.records, [&](const Record& record) { return record.offset < next; });
  for (const FilteredRange& run : filter_.Apply(batch)) {
    partition->records_filtered += run.records;
    partition->progress.PassFiltered(run);
  }
  batch.from = std::max(batch.from, next);
  if (Status begun = partition->progress.Begin(batch); !begun.ok()) {
    Replay(*partition, At(*partition, Side::kRelay, begun));
    return;
  }
  if (partition->trouble && partition->trouble->side == Side::kSource) partition->trouble.reset();
  if (batch.read_to >= next) partition->suspicious_looks = 0;
  if (batch.records.empty()) {
    NoteProgress(*partition);
    return;
  }
  const size_t part_max =
      partition->suspects.is_on() ? partition->suspects.part_max() : batch.records.size();
  window_.Take(partition->held.Add(std::move(batch), part_max));
  SubmitHeld(*partition);
}

void Lane::SubmitHeld(Partition& partition) {
  const size_t cap = window_.PartitionCap(by_key_.size());
  const auto has_room = [&] {
    if (partition.suspects.is_on()) return partition.submitted_records() == 0;
    const size_t submitted = partition.submitted_bytes();
    return submitted == 0 || submitted + partition.held.next_bytes() <= cap;
  };
  while (!partition.held.empty() && sink_.IsReady() && has_room()) {
    const HeldBatches::Submitted submitted = partition.held.SubmitNext(sink_, partition.window);
    partition.in_flight_bytes += submitted.bytes;
    partition.in_flight_records += static_cast<int64_t>(submitted.records);
    if (!submitted.is_all) break;
  }
  // By its own cap: where the sink has no room, it has none for the neighbours either. A suspect
  // with nothing held is sent a part at a time, and waits for no room.
  const bool is_held_back = partition.held.empty()
                                ? !partition.suspects.is_on() && partition.submitted_bytes() >= cap
                                : !has_room();
  if (!is_held_back) partition.stuck_since.reset();
  if (is_held_back && !partition.stuck_since) partition.stuck_since = now_;
}

// Another turn at the source is worth it while the lane has room, and while nobody who still moves
// waits for room of its own: the source's queue is one for all partitions.
bool Lane::WantsMore() const {
  if (window_.is_full() || !sink_.IsReady()) return false;
  const size_t held_max = window_.bytes_max() / 4;
  return std::ranges::none_of(slots_, [&](const auto& partition) {
    return partition && partition->is_reading && partition->held.bytes() > held_max;
  });
}

void Lane::ParkStuck(Partition& partition) {
  if (!partition.stuck_since || !partition.is_reading) return;
  if (now_ - *partition.stuck_since < kStuckAfter) return;
  StopReading(partition);
  DropHeld(partition);  // its neighbours need the room
  partition.stuck_since.reset();
  partition.parked_at_bytes = partition.submitted_bytes();
  partition.state = PartitionState::kParked;
  kLog.Info("partition is parked", {{"topic", partition.route.source_topic},
                                    {"partition", partition.route.partition},
                                    {"in_flight", partition.in_flight_records}});
  Publish(partition);
}

void Lane::RunTimers() {
  const size_t cap = window_.PartitionCap(by_key_.size());
  const std::optional<Condition> trouble = sink_.Trouble();
  // Nothing is confirmed then, however long one waits.
  const bool is_closed = trouble && trouble->blocks;
  for (size_t i = 0; i < slots_.size(); ++i) {
    Partition* const partition = slots_[i].get();
    if (partition == nullptr) continue;
    if (by_key_.size() > 1) ParkStuck(*partition);
    if (partition->state == PartitionState::kParked && !partition->release_until &&
        !partition->is_paused &&
        partition->submitted_bytes() <= std::min(cap, partition->parked_at_bytes) / 2) {
      Reset(*partition);
    }
    if (partition->retry_at && now_ >= *partition->retry_at) Resume(*partition);
    if (partition->release_until &&
        (partition->submitted_records() == 0 || is_closed || now_ >= *partition->release_until)) {
      released_.push_back({.key = partition->route.key,
                           .token = partition->token,
                           .last = partition->progress.Commit()});
      Leave(*partition);
    }
  }
}

// --- What the source says -----------------------------------------------------------------------

// Whether the batch may be carried: the record that the checkpoint rests on is still the same, or
// cannot be compared. Takes the anchor's record out.
bool Lane::PassesAnchorCheck(Partition& partition, Batch& batch) {
  if (batch.records.empty()) return batch.read_to > partition.expected->offset;
  const AnchorVerdict verdict = CheckAnchor(*partition.expected, batch.records.front());
  if (verdict == AnchorVerdict::kDifferent) {
    Halt(partition,
         At(partition, Side::kSource,
            {StatusCode::kFailedPrecondition, Reason::kSourceChanged,
             fmt::format("the record at offset {} is not the one delivered before: the topic was "
                         "re-created or another cluster answers; look at the source. To carry a "
                         "topic that was made anew, take it out of this bridge and give it one "
                         "of its own",
                         partition.expected->offset)}));
    return false;
  }
  if (verdict == AnchorVerdict::kUnknown) {
    kLog.Info("anchor expired", {{"topic", partition.route.source_topic},
                                 {"partition", partition.route.partition},
                                 {"offset", partition.expected->offset}});
  }
  partition.expected.reset();
  partition.state = PartitionState::kRunning;
  return true;
}

void Lane::Handle(const OutOfRange& event) {
  Partition* const partition = Current(event.slot, event.fetch);
  if (partition == nullptr) return;
  if (event.log_end && *event.log_end < event.asked) {
    SuspectTruncation(*partition, *event.log_end);
    return;
  }
  if (!event.log_start || *event.log_start <= event.asked) {
    // The answer was too old to say more: look again.
    StopReading(*partition);
    partition->retry_at = now_ + kLookAgain / 2;
    return;
  }
  partition->expected.reset();  // below the log start: it cannot be compared any more
  const Offset before = partition->progress.read_to();
  partition->progress.PassGap(*event.log_start);
  if (*event.log_start > before) {
    kLog.Warn("source lost records before they were read",
              {{"stream", partition->route.key.stream},
               {"topic", partition->route.source_topic},
               {"partition", partition->route.partition},
               {"from", before},
               {"to", *event.log_start}});
  }
  NoteProgress(*partition);
  StopReading(*partition);
  Reset(*partition);
}

void Lane::SuspectTruncation(Partition& partition, Offset log_end) {
  StopReading(partition);
  if (++partition.suspicious_looks < kLooksBeforeHalt) {
    partition.retry_at = now_ + kLookAgain;
    return;
  }
  Halt(partition, At(partition, Side::kSource,
                     {StatusCode::kFailedPrecondition, Reason::kSourceChanged,
                      fmt::format("the log ends at {}, below the checkpoint {}: the topic was "
                                  "truncated or re-created; look at the source. To carry a topic "
                                  "that was made anew, take it out of this bridge and give it one "
                                  "of its own",
                                  log_end, partition.progress.checkpoint().next)}));
}

void Lane::Handle(const EndOfPartition& event) {
  Partition* const partition = Current(event.slot, event.fetch);
  if (partition == nullptr) return;
  if (event.at < partition->progress.checkpoint().next) {
    SuspectTruncation(*partition, event.at);
    return;
  }
  partition->suspicious_looks = 0;
  if (partition->expected) {
    partition->expected.reset();  // read over its place, and nothing was there
    partition->state = PartitionState::kRunning;
  }
  if (partition->trouble && partition->trouble->side == Side::kSource) {
    partition->trouble.reset();
    partition->backoff.Reset();
  }
  partition->progress.ReadUpTo(event.at);
  NoteProgress(*partition);
}

// Nothing tells that it has passed on a partition without new records: reading is tried again, and
// an end of the partition says that all is well.
void Lane::Handle(const SourceFault& event) {
  Partition* const partition = Current(event.slot, event.fetch);
  if (partition == nullptr) return;
  Condition trouble = At(*partition, Side::kSource, event.status);
  if (event.halts) {
    Halt(*partition, std::move(trouble));
    return;
  }
  if (!partition->trouble || partition->trouble->reason != trouble.reason) {
    partition->trouble_since = now_;
    kLog.Warn("source refuses a partition", {{"topic", partition->route.source_topic},
                                             {"partition", partition->route.partition},
                                             {"reason", Name(trouble.reason)},
                                             {"text", trouble.text}});
  }
  partition->trouble = std::move(trouble);
  StopReading(*partition);
  partition->retry_at = now_ + partition->backoff.Next();
  Publish(*partition);
}

// --- What others see ----------------------------------------------------------------------------

void Lane::NoteProgress(Partition& partition) {
  const Offset next = partition.progress.checkpoint().next;
  if (next > partition.noted) {
    partition.noted = next;
    partition.moved_at = now_;
    partition.backoff.Reset();
    partition.suspects.Passed(next);
    if (partition.trouble && partition.trouble->side != Side::kSource) partition.trouble.reset();
  }
  if (next > partition.journaled) {
    if (const auto entry = partition.progress.Entry()) {
      journal_.Write(*entry);
      partition.journaled = next;
    }
  }
  // At once, but not at every confirmation while the server has not answered.
  if (partition.progress.has_unstored() && !std::exchange(partition.has_told, true)) {
    Publish(partition);
  }
}

Condition Lane::At(const Partition& partition, Side side, const Status& status) const {
  return {.side = side,
          .reason = status.reason(),
          .text = status.message(),
          .bridge = settings_.bridge,
          .stream = partition.route.key.stream,
          .partition = partition.route.partition,
          .topic = partition.route.source_topic,
          .age = std::nullopt,
          .blocks = false};
}

void Lane::Publish(Partition& partition) {
  const LogView log = source_.View(partition.slot);
  const Offset read_to = partition.progress.read_to();
  const bool waits = partition.in_flight_records > 0 || !partition.held.empty() ||
                     (log.end && *log.end > read_to) ||
                     partition.state == PartitionState::kRetrying;
  if (!waits) partition.waiting_since.reset();
  if (waits && !partition.waiting_since) partition.waiting_since = now_;
  const auto since = [&](std::optional<BootTime> time) {
    return time ? std::optional<Duration>(now_ - *time) : std::nullopt;
  };
  PartitionNews news{.at = now_,
                     .commit = partition.progress.Commit(),
                     .must_commit = partition.progress.has_unstored(),
                     .report = {.key = partition.route.key,
                                .token = partition.token,
                                .confirmed = partition.progress.checkpoint().next,
                                .read_position = read_to,
                                .log_start = log.start,
                                .log_end = log.end,
                                .oldest_unconfirmed_ms = partition.progress.oldest_unconfirmed_ms(),
                                .in_flight_records = partition.in_flight_records,
                                .in_flight_bytes = static_cast<int64_t>(partition.in_flight_bytes),
                                .since_moved = since(partition.moved_at),
                                .since_source_seen = source_.SinceSeen(partition.slot, now_),
                                .waiting_for = since(partition.waiting_since),
                                .state = partition.state,
                                .records_confirmed = partition.records_confirmed,
                                .bytes_confirmed = partition.bytes_confirmed,
                                .records_filtered = partition.records_filtered},
                     .conditions = {}};
  if (partition.trouble) {
    news.conditions.push_back(*partition.trouble);
    news.conditions.back().age = since(partition.trouble_since);
  }
  board_.Put(std::move(news));
}

void Lane::PublishAll() {
  publish_at_ = now_ + kPublishEvery;
  for (const auto& partition : slots_) {
    if (partition) Publish(*partition);
  }
  std::vector<Condition> conditions;
  for (const auto& trouble : {source_.Trouble(), sink_.Trouble()}) {
    if (!trouble) continue;
    conditions.push_back(*trouble);
    conditions.back().bridge = settings_.bridge;
  }
  board_.PutLane(settings_.lane, {.at = now_,
                                  .bridge = settings_.bridge,
                                  .conditions = std::move(conditions),
                                  .buffered_bytes = static_cast<int64_t>(window_.bytes())});
}

BootTime Lane::NextTurn() const {
  BootTime next = publish_at_;
  for (const auto& partition : slots_) {
    if (!partition) continue;
    if (partition->retry_at) next = std::min(next, *partition->retry_at);
    if (partition->release_until) next = std::min(next, *partition->release_until);
    if (partition->stuck_since && partition->is_reading && by_key_.size() > 1) {
      next = std::min(next, std::max(now_, *partition->stuck_since + kStuckAfter));
    }
  }
  return next;
}

}  // namespace drawbridge
