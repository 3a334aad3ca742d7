#include "relay/opensearch/opensearch_sink.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "relay/opensearch/bulk_request.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

// Letters that are on their way are through in a moment.
constexpr Duration kWeighAgainAfter = 250ms;

std::string StormText(const Refusal& refusal) {
  return fmt::format(
      "half of the records are refused for one reason, so it is taken for the "
      "index's and none is written off: mend its mapping or its pipeline ({})",
      refusal.reason);
}

}  // namespace

StatusOr<std::unique_ptr<OpenSearchSink>> OpenSearchSink::Open(
    SearchEngine engine, OpenSearchSinkSettings settings, const Clock& clock,
    std::unique_ptr<TopicLetterSink> letters) {
  std::unique_ptr<LetterPost> post;
  if (letters) post = std::make_unique<LetterPost>(std::move(letters), settings.bridge);
  std::unique_ptr<OpenSearchSink> sink(
      new OpenSearchSink(engine.endpoint.name, std::move(settings), clock, std::move(post)));
  StatusOr<std::unique_ptr<BulkSender>> sender =
      BulkSender::Open(std::move(engine),
                       {.bridge = sink->settings_.bridge,
                        .relay = sink->settings_.relay,
                        .cluster_id = sink->settings_.cluster_id},
                       *sink, sink->trouble_, clock);
  if (!sender.ok()) return sender.status();
  sink->sender_ = *std::move(sender);
  return sink;
}

OpenSearchSink::OpenSearchSink(const std::string& endpoint, OpenSearchSinkSettings settings,
                               const Clock& clock, std::unique_ptr<LetterPost> post)
    : settings_(std::move(settings)),
      clock_(clock),
      post_(std::move(post)),
      shaper_(settings_.relay),
      partitions_(settings_.window_bytes, settings_.letters_percent),
      trouble_(endpoint) {}

Status OpenSearchSink::Open(Slot slot, const Route& route) {
  StatusOr<IndexTemplate> index = IndexTemplate::Create(route.target_topic);
  if (!index.ok()) return index.status();
  const std::map<Slot, Status> read_again = {
      {slot, Status(StatusCode::kCancelled, Reason::kUnavailable, "the partition is read again")}};
  Release(partitions_.TakeHeld(slot), read_again, Disposition::kRetry);
  partitions_.Open(slot,
                   std::make_shared<const Destination>(Destination{route, *std::move(index)}));
  return {};
}

bool OpenSearchSink::IsReady() const { return sender_->IsReady(); }

size_t OpenSearchSink::Submit(Batch& batch, size_t from, uint32_t window) {
  const BootTime now = clock_.Now();
  size_t taken = 0;
  for (size_t i = from; i < batch.records.size(); ++i) {
    if (!partitions_.TakesMore(batch.slot)) break;
    if (!partitions_.IsBlocked(batch.slot) && !sender_->MakeRoom(now)) break;
    // What made room may have been given back, and the partition with it.
    if (!partitions_.TakesMore(batch.slot)) break;
    const bool is_probe = partitions_.IsBlocked(batch.slot);
    Pending entry =
        partitions_.Admit(batch.slot, window, batch.Covered(i), std::move(batch.records[i]), now);
    if (is_probe) {
      sender_->AddProbe(std::move(entry), now);
    } else {
      sender_->Add(std::move(entry), now);
    }
    ++taken;
  }
  return taken;
}

void OpenSearchSink::Poll(std::vector<Confirmation>& confirmations) {
  const BootTime now = clock_.Now();
  sender_->TakeAnswers(now);
  if (post_) TakePosted(now);
  Judge(now);
  sender_->SendDue(now);
  if (post_) post_->Post(clock_.WallNow());
  outcomes_.MoveTo(confirmations);
}

void OpenSearchSink::Frame(Bulk& bulk, std::string& body, BootTime now) {
  const WallTime wall_now = clock_.WallNow();
  Turned turned;
  std::vector<Pending> framed;
  framed.reserve(bulk.entries.size());
  for (Pending& entry : bulk.entries) {
    const Route& route = entry.to->route;
    if (entry.refusal) {
      AppendCreate(settings_.dead_letter_index,
                   DeadLetterId(settings_.bridge, route, entry.record.offset), body);
      body += DeadLetterDocument(route, entry.record, *entry.refusal,
                                 entry.At(settings_.bridge, wall_now), settings_.relay);
      body += '\n';
    } else {
      ++entry.attempts;
      entry.index = entry.to->IndexOf(entry.record);
      const Status shaped = AppendRecord(entry.index, route, entry.record, wall_now, shaper_, body);
      if (!shaped.ok()) {
        // No engine is asked, so that no index is at fault.
        const std::string& why = shaped.message();
        Refuse({.entry = std::move(entry),
                .refusal = {.status = 0,
                            .type = "drawbridge_refused",
                            .caused_by = {},
                            .reason = why,
                            .group = why},
                .cause = {}},
               turned, now);
        continue;
      }
    }
    framed.push_back(std::move(entry));
  }
  bulk.entries = std::move(framed);
  GiveBack(std::move(turned), now);
}

// --- Answers ------------------------------------------------------------------------------------

bool OpenSearchSink::TakeItems(Bulk bulk, const std::vector<BulkItem>& items, BootTime now) {
  Turned turned;
  Bulk again;
  again.is_dead = bulk.is_dead;
  again.is_checked = bulk.is_checked;
  again.is_probe = bulk.is_probe;
  bool is_pushed_back = false;
  bool has_passed = false;
  for (size_t i = 0; i < items.size(); ++i) {
    Pending& entry = bulk.entries[i];
    const EngineError& error = items[i].error;
    const ItemOutcome outcome = OutcomeOf(items[i]);
    switch (outcome) {
      case ItemOutcome::kDelivered:
      case ItemOutcome::kThere:
        has_passed = true;
        TakePassed(std::move(entry), items[i], turned);
        break;
      case ItemOutcome::kBackPressure:
      case ItemOutcome::kPassing:
        is_pushed_back = is_pushed_back || outcome == ItemOutcome::kBackPressure;
        TakePassing(std::move(entry), items[i], turned, again, now);
        break;
      case ItemOutcome::kBadRecord:
        if (entry.refusal && !partitions_.IsOld(entry)) {
          turned.blocked.try_emplace(
              entry.slot, StatusCode::kFailedPrecondition, Reason::kRecordRefused,
              fmt::format("the record at offset {} is refused, and so is its dead letter: mend {} "
                          "({})",
                          entry.record.offset, LettersText(), error.Text()));
          turned.failed.push_back(std::move(entry));
        } else {
          Refuse(std::move(entry), error, turned, now);
        }
        break;
      case ItemOutcome::kSystemic:
        TakeSystemic(std::move(entry), error, turned);
        break;
    }
  }
  if (is_pushed_back) sender_->PushedBack();
  if (has_passed && again.entries.empty()) sender_->AllPassed();
  if (!again.entries.empty()) sender_->Again(std::move(again), now);
  GiveBack(std::move(turned), now);
  return has_passed;
}

void OpenSearchSink::TakePassed(Pending entry, const BulkItem& item, Turned& turned) {
  const std::string_view why = WhyNotIndexed(item);
  if (!why.empty() && entry.refusal && !partitions_.IsOld(entry)) {
    turned.blocked.try_emplace(
        entry.slot, StatusCode::kFailedPrecondition, Reason::kRecordRefused,
        fmt::format("the record at offset {} is refused, and its dead letter is not kept: take the "
                    "pipeline from {} ({})",
                    entry.record.offset, LettersText(), why));
    turned.failed.push_back(std::move(entry));
    return;
  }
  partitions_.Passed(entry, item.error.status == 409, clock_.Now());
  // The engine has had it, but no search finds it: it counts as a dead letter.
  if (!why.empty()) entry.refusal.emplace().group = why;
  Confirm(entry);
}

// What fails in passing goes again, slower.
void OpenSearchSink::TakePassing(Pending entry, const BulkItem& item, Turned& turned, Bulk& again,
                                 BootTime now) {
  const EngineError& error = item.error;
  const bool is_too_much = OutcomeOf(item) == ItemOutcome::kBackPressure;
  if (!entry.failing_since) entry.failing_since = now;
  if (partitions_.IsOld(entry)) {
    // Nobody waits for it: it is read again, and shall hold nothing up by then.
    turned.why_old.try_emplace(entry.slot, StatusCode::kUnavailable, Reason::kBrokerError,
                               error.Text());
    turned.old.push_back(std::move(entry));
    return;
  }
  if (IsStuck(entry, is_too_much, now)) {
    TakeSystemic(std::move(entry), error, turned);
    return;
  }
  trouble_.Note(is_too_much ? Reason::kThrottled : Reason::kBrokerError, error.Text(), false, now);
  if (error.status >= 500) {
    // One of its copies may have it.
    entry.may_be_there = true;
    again.Doubt();
  }
  // Others wait for an engine that has too much to do, but not for one record for ever.
  const bool is_long = now - *entry.failing_since >= BulkSender::kThrottledLong;
  again.is_probe = again.is_probe || !is_too_much || is_long;
  again.bytes += BulkBytes(entry.record);
  again.entries.push_back(std::move(entry));
}

// Whether it is time to give back a record that the engine fails at: its partition is blocked
// already, or others have passed for long while it failed. What there was no room for has been
// beside the others meanwhile for as long as it had waited with them.
bool OpenSearchSink::IsStuck(const Pending& entry, bool is_pushed_back, BootTime now) const {
  if (!is_pushed_back && partitions_.IsBlocked(entry.slot)) return true;
  const Duration patience =
      is_pushed_back ? 2 * BulkSender::kThrottledLong : BulkSender::kStuckAfter;
  return now - *entry.failing_since >= patience && sender_->HavePassedSince(*entry.failing_since);
}

void OpenSearchSink::TakeFound(std::vector<Pending> entries) {
  for (Pending& entry : entries) {
    partitions_.Found(entry, clock_.Now());
    Confirm(entry);
  }
}

void OpenSearchSink::TakeRefused(Pending entry, const EngineError& error, BootTime now) {
  Turned turned;
  if (entry.refusal && !partitions_.IsOld(entry)) {
    turned.blocked.try_emplace(
        entry.slot, StatusCode::kFailedPrecondition,
        error.status == 413 ? Reason::kRecordTooLarge : Reason::kRecordRefused,
        fmt::format("the record at offset {} is refused, and so is its dead letter: raise "
                    "http.max_content_length of the engine, or mend {} ({})",
                    entry.record.offset, LettersText(), error.Text()));
    turned.failed.push_back(std::move(entry));
  } else if (error.status != 413 && OutcomeOf({.error = error}) == ItemOutcome::kSystemic) {
    TakeSystemic(std::move(entry), error, turned);  // what is before the engine may say it of all
  } else {
    Refuse(std::move(entry), error, turned, now);
  }
  GiveBack(std::move(turned), now);
}

void OpenSearchSink::TakeFailed(Pending entry, const Status& why, BootTime now) {
  Turned turned;
  if (partitions_.IsOld(entry)) {
    turned.why_old.try_emplace(entry.slot, why);
    turned.old.push_back(std::move(entry));
  } else {
    turned.blocked.try_emplace(
        entry.slot, StatusCode::kFailedPrecondition, why.reason(),
        fmt::format("the engine takes others, but not {} at offset {}: {}",
                    entry.refusal ? "the dead letter of the record" : "the record",
                    entry.record.offset, why.message()));
    turned.failed.push_back(std::move(entry));
  }
  GiveBack(std::move(turned), now);
}

// The index takes nobody's records.
void OpenSearchSink::TakeSystemic(Pending entry, const EngineError& error, Turned& turned) {
  if (partitions_.IsOld(entry)) {
    turned.why_old.try_emplace(entry.slot, StatusCode::kUnavailable, Reason::kBrokerError,
                               error.Text());
    turned.old.push_back(std::move(entry));
    return;
  }
  const bool is_not_allowed = error.status == 403 && error.type == "security_exception";
  turned.blocked.try_emplace(
      entry.slot, StatusCode::kFailedPrecondition,
      is_not_allowed ? Reason::kAuthorizationFailed : Reason::kBrokerError,
      IsFloodStage(error)
          ? fmt::format("the engine's disk is full, and its indexes are locked: make room there "
                        "({})",
                        error.Text())
          : fmt::format("the engine takes no record for {}: {}",
                        entry.refusal ? LettersText() : entry.index, error.Text()));
  turned.failed.push_back(std::move(entry));
}

// The record is the engine's to refuse; unless too many are.
void OpenSearchSink::Refuse(Pending entry, const EngineError& error, Turned& turned, BootTime now) {
  Refusal refusal{.status = error.status,
                  .type = error.type,
                  .caused_by = error.caused_by,
                  .reason = error.Text(),
                  .group = ErrorGroup(error)};
  Refuse({.entry = std::move(entry), .refusal = std::move(refusal), .cause = CauseOf(error)},
         turned, now);
}

void OpenSearchSink::Refuse(Suspect suspect, Turned& turned, BootTime now) {
  Pending& entry = suspect.entry;
  if (!partitions_.IsOld(entry)) {
    Weigh(std::move(suspect), turned, now);
    return;
  }
  turned.why_old.try_emplace(entry.slot, StatusCode::kUnavailable, Reason::kRecordRefused,
                             suspect.refusal.reason);
  turned.old.push_back(std::move(entry));
}

// Whether a refused record is written off, or what of its partition is held back.
void OpenSearchSink::Weigh(Suspect suspect, Turned& turned, BootTime now) {
  Pending& entry = suspect.entry;
  const Refusal& refusal = suspect.refusal;
  const auto block = [&](const std::string& why) {
    turned.blocked.try_emplace(entry.slot, StatusCode::kFailedPrecondition, Reason::kRecordRefused,
                               why);
    turned.failed.push_back(std::move(entry));
  };
  switch (partitions_.Refused(entry, suspect.cause, now)) {
    case Blame::kRecord:
      KeepDead(std::move(entry), std::move(suspect.refusal));
      return;
    case Blame::kIndex:
      block(StormText(refusal));
      return;
    case Blame::kOnTrial:
      partitions_.Hold(std::move(suspect));
      return;
    case Blame::kTooMany:
      // Those before it would be given back with it, and never be kept.
      if (partitions_.IsWritingLetters(entry.slot)) {
        turned.later.push_back(std::move(entry));
        return;
      }
      block(
          fmt::format("more than {} % of the partition's records of the last hour would become "
                      "dead letters: mend the index's mapping or its pipeline, or raise "
                      "target.dead_letter_max_percent ({})",
                      settings_.letters_percent, refusal.reason));
      return;
  }
}

// Ends the trials of which enough is known.
void OpenSearchSink::Judge(BootTime now) {
  for (Judgement& judgement : partitions_.Judge(now)) {
    Turned turned;
    for (Suspect& suspect : judgement.refused) {
      if (!judgement.is_storm) {
        // Once more before it is written off: it may have been mended meanwhile.
        turned.later.push_back(std::move(suspect.entry));
        continue;
      }
      turned.blocked.try_emplace(judgement.slot, StatusCode::kFailedPrecondition,
                                 Reason::kRecordRefused, StormText(suspect.refusal));
      turned.failed.push_back(std::move(suspect.entry));
    }
    GiveBack(std::move(turned), now);
  }
}

void OpenSearchSink::KeepDead(Pending entry, Refusal refusal) {
  partitions_.BeginLetter(entry);
  if (!entry.refusal) entry.first_seen = clock_.WallNow();
  entry.refusal = std::move(refusal);
  if (post_) {
    post_->Add(std::move(entry));
  } else {
    sender_->AddDead(std::move(entry));
  }
}

// Where dead letters are, for whoever reads why they are refused there.
std::string OpenSearchSink::LettersText() const {
  return post_ ? "the topic " + post_->topic() : settings_.dead_letter_index;
}

// A letter that is not in the topic is written anew when its record is replayed: after a while, or,
// where the topic is at fault, one record of its partition at a time.
void OpenSearchSink::TakePosted(BootTime now) {
  std::map<Slot, Status> retried;
  std::vector<Pending> to_retry;
  Turned turned;
  for (LetterPost::Posted& posted : post_->Poll()) {
    Pending& entry = posted.entry;
    if (!posted.failure) {
      Confirm(entry);
    } else if (partitions_.IsOld(entry)) {
      turned.why_old.try_emplace(entry.slot, posted.status);
      turned.old.push_back(std::move(entry));
    } else if (posted.failure == Disposition::kRetry) {
      retried.try_emplace(entry.slot, posted.status);
      to_retry.push_back(std::move(entry));
    } else {
      turned.blocked.try_emplace(
          entry.slot, StatusCode::kFailedPrecondition, posted.status.reason(),
          fmt::format("the record at offset {} is refused, and so is its dead letter, or one that "
                      "was sent with it: mend {}{}, and all goes on by itself ({})",
                      entry.record.offset, LettersText(),
                      posted.status.reason() == Reason::kRecordTooLarge
                          ? ", or keep dead letters in an index (dead_letter_index)"
                          : "",
                      posted.status.message()));
      turned.failed.push_back(std::move(entry));
    }
  }
  if (!retried.empty()) Fail(retried, std::move(to_retry), Disposition::kRetry);
  GiveBack(std::move(turned), now);
}

// --- What becomes of records --------------------------------------------------------------------

void OpenSearchSink::Confirm(Pending& entry) {
  partitions_.Confirmed(entry, clock_.Now());
  outcomes_.Confirm(entry);
}

void OpenSearchSink::GiveBack(Turned turned, BootTime now) {
  if (!turned.later.empty()) {
    Bulk later;
    later.is_probe = true;
    for (const Pending& entry : turned.later) later.bytes += BulkBytes(entry.record);
    later.entries = std::move(turned.later);
    sender_->Later(std::move(later), now + kWeighAgainAfter);
  }
  Release(turned.old, turned.why_old, Disposition::kRetry);
  if (!turned.blocked.empty()) {
    Fail(turned.blocked, std::move(turned.failed), Disposition::kBlock);
  }
}

// Gives back these, and all that the sink has of their partitions but for what is on its way: they
// are read again, one record at a time where the partition is blocked.
void OpenSearchSink::Fail(const std::map<Slot, Status>& failed, std::vector<Pending> entries,
                          Disposition disposition) {
  const auto is_failed = [&](const Pending& entry) { return failed.contains(entry.slot); };
  std::ranges::move(sender_->Extract(is_failed), std::back_inserter(entries));
  for (const auto& [slot, status] : failed) {
    std::ranges::move(partitions_.TakeHeld(slot), std::back_inserter(entries));
  }
  if (post_) std::ranges::move(post_->Extract(is_failed), std::back_inserter(entries));
  if (disposition == Disposition::kBlock) {
    for (const auto& [slot, status] : failed) partitions_.Block(slot);
    for (const Pending& entry : entries) partitions_.Block(entry);
  }
  Release(entries, failed, disposition);
}

void OpenSearchSink::Release(const std::vector<Pending>& entries, const std::map<Slot, Status>& why,
                             Disposition disposition) {
  for (const Pending& entry : entries) partitions_.Release(entry);
  outcomes_.GiveBack(entries, why, disposition);
}

// What is on its way goes on as its own, and is confirmed to nobody who minds.
void OpenSearchSink::Close(Slot slot) {
  const std::map<Slot, Status> left = {
      {slot, Status(StatusCode::kCancelled, Reason::kUnavailable, "the partition has left")}};
  Fail(left, {}, Disposition::kRetry);
  partitions_.Close(slot);
}

std::optional<Condition> OpenSearchSink::Trouble() const {
  const BootTime now = clock_.Now();
  if (std::optional<Condition> trouble = trouble_.At(now)) {
    trouble->blocks = trouble->blocks && sender_->is_idle() && (!post_ || post_->is_idle());
    return trouble;
  }
  if (std::optional<Condition> trouble = post_ ? post_->Trouble() : std::nullopt) return trouble;
  if (const auto away = sender_->LongestAway(now)) {
    if (auto trouble = trouble_.OfAddress(away->why, away->since, now)) return trouble;
  }
  return trouble_.BlindnessAt(now);
}

std::vector<int> OpenSearchSink::descriptors() const {
  std::vector<int> descriptors = sender_->descriptors();
  if (post_) std::ranges::copy(post_->descriptors(), std::back_inserter(descriptors));
  return descriptors;
}

}  // namespace drawbridge
