#include "relay/opensearch/opensearch_sink.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "relay/opensearch/bulk_request.h"
#include "relay/opensearch/request_outcome.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

// What the engine has taken it carries out in a moment, or has trouble.
constexpr Duration kAskAgainAfter = 250ms;
// What fails for longer while others pass holds up its own partition only.
constexpr Duration kStuckAfter = 10s;

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
  StatusOr<std::unique_ptr<HttpClient>> client = HttpClient::Open(std::move(engine));
  if (!client.ok()) return client.status();
  FileDescriptor timer(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer.is_open()) {
    return Status(StatusCode::kInternal, Reason::kInternal, "no timer can be had");
  }
  std::unique_ptr<LetterPost> post;
  if (letters) post = std::make_unique<LetterPost>(std::move(letters), settings.bridge);
  return std::unique_ptr<OpenSearchSink>(new OpenSearchSink(
      *std::move(client), std::move(settings), std::move(timer), clock, std::move(post)));
}

OpenSearchSink::OpenSearchSink(std::unique_ptr<HttpClient> client, OpenSearchSinkSettings settings,
                               FileDescriptor timer, const Clock& clock,
                               std::unique_ptr<LetterPost> post)
    : client_(std::move(client)),
      settings_(std::move(settings)),
      timer_(std::move(timer)),
      clock_(clock),
      post_(std::move(post)),
      shaper_(settings_.relay),
      backoff_(200ms, 10s),
      block_backoff_(2s, 30s),
      partitions_(settings_.window_bytes, settings_.letters_percent),
      addresses_(client_->addresses()),
      gate_(settings_.cluster_id, client_->addresses()),
      trouble_(client_->engine().endpoint.name) {}

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

// --- Sending ------------------------------------------------------------------------------------

bool OpenSearchSink::MaySend(BootTime now) const {
  if (blocked_until_) return now >= *blocked_until_ && in_flight_.empty();
  return in_flight_.size() - probes_out_ < limit_.limit();
}

bool OpenSearchSink::MayProbe(BootTime now) const {
  return blocked_until_ ? MaySend(now) : probes_out_ == 0;
}

bool OpenSearchSink::IsReady() const {
  return queue_.HasRoom() || (!queue_.has_waiting() && MaySend(clock_.Now()));
}

size_t OpenSearchSink::Submit(Batch& batch, size_t from, uint32_t window) {
  const BootTime now = clock_.Now();
  size_t taken = 0;
  for (size_t i = from; i < batch.records.size(); ++i) {
    if (!partitions_.TakesMore(batch.slot)) break;
    const bool is_probe = partitions_.IsBlocked(batch.slot);
    if (!is_probe && !queue_.HasRoom()) {
      if (queue_.has_waiting() || !MaySend(now)) break;
      Send(queue_.TakeOpen(), now);
    }
    Pending entry =
        partitions_.Admit(batch.slot, window, batch.Covered(i), std::move(batch.records[i]), now);
    if (is_probe) {
      queue_.AddProbe(std::move(entry), now);
    } else {
      queue_.Add(std::move(entry), now);
    }
    ++taken;
  }
  return taken;
}

void OpenSearchSink::Poll(std::vector<Confirmation>& confirmations) {
  const BootTime now = clock_.Now();
  uint64_t rung = 0;
  while (read(timer_.get(), &rung, sizeof rung) > 0) {
  }
  answers_.clear();
  client_->Poll(answers_);
  for (auto& [id, answer] : answers_) {
    auto sent = in_flight_.extract(id);
    if (sent.empty()) continue;
    if (sent.mapped().bulk.is_probe) --probes_out_;
    Take(std::move(sent.mapped()), answer, now);
  }
  if (post_) TakePosted(now);
  Judge(now);
  SendDue(now);
  SetTimer(now);
  outcomes_.MoveTo(confirmations);
}

void OpenSearchSink::SendDue(BootTime now) {
  if (blocked_until_ && MaySend(now)) {
    // In turn: it may be one of them that blocks.
    tries_probe_ = !tries_probe_;
    std::optional<Bulk> next = tries_probe_ ? queue_.TakeProbe(now) : queue_.TakeDue(true, now);
    if (!next) next = tries_probe_ ? queue_.TakeDue(true, now) : queue_.TakeProbe(now);
    if (next) Send(*std::move(next), now);
  }
  while (MayProbe(now)) {
    std::optional<Bulk> probe = queue_.TakeProbe(now);
    if (!probe || !Send(*std::move(probe), now)) break;
  }
  while (MaySend(now)) {
    std::optional<Bulk> bulk = queue_.TakeDue(in_flight_.empty(), now);
    if (!bulk || !Send(*std::move(bulk), now)) break;
  }
  if (post_) post_->Post(clock_.WallNow());
}

// False if no address can be asked at present: the request waits.
bool OpenSearchSink::Send(Bulk bulk, BootTime now) {
  const std::optional<size_t> address = addresses_.Choose(now);
  if (!address) {
    queue_.Later(std::move(bulk), addresses_.MayBeAsked());
    return false;
  }
  if (!gate_.IsKnown(*address, now)) {
    AskWho(std::move(bulk), *address, now);
    return true;
  }
  if (IsSuspect(bulk)) {
    SendCheck(std::move(bulk), *address, now);
    return true;
  }
  bulk.check.reset();  // those that it was about may have been given back
  if (!Frame(bulk, now)) return true;
  StatusOr<std::string> packed = Gzip(body_);
  if (!packed.ok()) {
    Retry(std::move(bulk), packed.status(), 1s, false, now);
    return true;
  }
  const uint64_t id = ++last_id_;
  client_->Send(
      id,
      {.method = "POST",
       .path = std::string(kBulkPath),
       .body = *std::move(packed),
       .content_type = "application/x-ndjson",
       .is_gzip = true,
       .opaque_id = fmt::format("{}{}/{}", TaskPrefix(settings_.bridge), settings_.relay, id)},
      *address);
  Await(id, {.bulk = std::move(bulk), .at = now, .address = *address});
  return true;
}

void OpenSearchSink::Await(uint64_t id, Sent sent) {
  if (sent.bulk.is_probe) ++probes_out_;
  in_flight_.emplace(id, std::move(sent));
}

void OpenSearchSink::AskWho(Bulk bulk, size_t address, BootTime now) {
  const uint64_t id = ++last_id_;
  client_->Send(id, ClusterGate::Question(), address);
  Await(id, {.bulk = std::move(bulk), .at = now, .address = address, .asks_who = true});
}

void OpenSearchSink::TakeWho(Sent sent, const HttpAnswer& answer, BootTime now) {
  if (answer.status == 0) {
    StandDown(sent.address, now);
    trouble_.Note(answer.failure.reason(), answer.failure.message(), false, now);
    Retry(std::move(sent.bulk), answer.failure, {}, false, now);
    return;
  }
  if (answer.status != 200) {
    TakeRefused(std::move(sent), answer, now);
    return;
  }
  const Status known = gate_.Take(sent.address, answer, now);
  if (known.ok()) {
    Send(std::move(sent.bulk), now);
    return;
  }
  if (client_->addresses() > 1) {
    StandDown(sent.address, now);
    trouble_.Note(known.reason(), known.message(), false, now);
    Retry(std::move(sent.bulk), known, {}, false, now);
    return;
  }
  BlockAll(std::move(sent.bulk), known.reason(), known.message(), now);
}

// Writes the request's body. What no engine must get is taken out of it; false if nothing is left.
bool OpenSearchSink::Frame(Bulk& bulk, BootTime now) {
  const WallTime wall_now = clock_.WallNow();
  Turned turned;
  body_.clear();
  std::vector<Pending> framed;
  framed.reserve(bulk.entries.size());
  for (Pending& entry : bulk.entries) {
    const Route& route = entry.to->route;
    if (entry.refusal) {
      AppendCreate(settings_.dead_letter_index,
                   DeadLetterId(settings_.bridge, route, entry.record.offset), body_);
      body_ += DeadLetterDocument(route, entry.record, *entry.refusal,
                                  entry.At(settings_.bridge, wall_now), settings_.relay);
      body_ += '\n';
    } else {
      ++entry.attempts;
      entry.index = entry.to->IndexOf(entry.record);
      const Status shaped =
          AppendRecord(entry.index, route, entry.record, wall_now, shaper_, body_);
      if (!shaped.ok()) {
        // No engine is asked, so that no index is at fault.
        const std::string why = shaped.message();
        Weigh({.entry = std::move(entry),
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
  bulk.bytes = body_.size();
  GiveBack(std::move(turned), now);
  return !bulk.entries.empty();
}

bool OpenSearchSink::IsSuspect(const Bulk& bulk) {
  return !bulk.is_checked && !bulk.is_dead &&
         std::ranges::any_of(bulk.entries, &Pending::may_be_there);
}

// Asks what the next step of the request's check is.
void OpenSearchSink::SendCheck(Bulk bulk, size_t address, BootTime now) {
  if (!bulk.check) {
    std::set<std::string> names;
    std::vector<std::string> ids;
    for (const Pending& entry : bulk.entries) {
      if (!entry.may_be_there) continue;
      names.insert(entry.to->IndexOf(entry.record));
      ids.push_back(DocumentId(entry.to->route, entry.record.offset));
    }
    if (!PresenceCheck::Fits(names)) {
      queue_.Split(std::move(bulk), now);
      return;
    }
    bulk.check = PresenceCheck(TaskPrefix(settings_.bridge), names, std::move(ids));
  }
  const uint64_t id = ++last_id_;
  client_->Send(id, bulk.check->Next(), address);
  Await(id, {.bulk = std::move(bulk), .at = now, .address = address});
}

void OpenSearchSink::TakeCheck(Sent sent, const HttpAnswer& answer, BootTime now) {
  if (answer.status != 0 && answer.status < 500) addresses_.Answered(sent.address);
  Bulk& bulk = sent.bulk;
  switch (bulk.check->Take(answer)) {
    case PresenceCheck::Verdict::kGoOn:
      SendCheck(std::move(bulk), sent.address, now);
      return;
    case PresenceCheck::Verdict::kWait:
      trouble_.Note(Reason::kThrottled,
                    "the engine has not carried out yet all that was sent to it before: what is "
                    "sent again waits for that",
                    false, now);
      queue_.Later(std::move(bulk), now + kAskAgainAfter);
      return;
    case PresenceCheck::Verdict::kUnclear:
      // It says the same of all requests: who may not come in, or what is no engine.
      if (answer.status == 401 || answer.status == 404 || answer.status == 429 ||
          answer.status / 100 == 3) {
        TakeRefused(std::move(sent), answer, now);
        return;
      }
      if (answer.status == 0) StandDown(sent.address, now);
      {
        const Status why = bulk.check->status();
        trouble_.Note(why.reason(), why.message(), false, now);
        Retry(std::move(bulk), why, {}, true, now);
      }
      return;
    case PresenceCheck::Verdict::kDone:
      break;
  }
  const PresenceCheck check = *std::exchange(bulk.check, std::nullopt);
  bulk.is_checked = true;
  if (check.has_looked()) trouble_.Looked(check.status(), now);
  std::vector<Pending> present;
  ExtractIf(
      bulk.entries,
      [&](const Pending& entry) {
        return check.present().contains(DocumentId(entry.to->route, entry.record.offset));
      },
      present);
  for (Pending& entry : present) {
    partitions_.Found(entry);
    Confirm(entry);
  }
  if (!bulk.entries.empty()) {
    Send(std::move(bulk), now);
    return;
  }
  blocked_until_.reset();
  block_backoff_.Reset();
  backoff_.Reset();
  trouble_.Passed();
}

void OpenSearchSink::SetTimer(BootTime now) const {
  // While none may be sent an answer has to come first, for which the client rings.
  const BootTime soonest = blocked_until_.value_or(now);
  std::optional<BootTime> next;
  if (MaySend(soonest)) next = queue_.NextDue(now);
  if (const std::optional<BootTime> probe = queue_.NextProbe(); probe && MayProbe(soonest)) {
    next = std::min(*probe, next.value_or(*probe));
  }
  itimerspec when{};
  if (next) {
    const Duration wait = std::max<Duration>(std::max(*next, soonest) - now, 10ms);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(wait);
    when.it_value = {.tv_sec = seconds.count(), .tv_nsec = (wait - seconds).count()};
  }
  timerfd_settime(timer_.get(), 0, &when, nullptr);
}

void OpenSearchSink::StandDown(size_t address, BootTime now) {
  limit_.PushedBack();
  addresses_.StayedAway(address, now);
  gate_.Forget(address);
}

// --- Answers ------------------------------------------------------------------------------------

void OpenSearchSink::Take(Sent sent, const HttpAnswer& answer, BootTime now) {
  if (sent.asks_who) {
    TakeWho(std::move(sent), answer, now);
    return;
  }
  if (sent.bulk.check) {
    TakeCheck(std::move(sent), answer, now);
    return;
  }
  if (answer.status == 0) {
    if (!IsAlone(sent.bulk)) {
      StandDown(sent.address, now);
      trouble_.Note(answer.failure.reason(), answer.failure.message(), false, now);
    }
    Retry(std::move(sent.bulk), answer.failure, {}, true, now);
    return;
  }
  if (answer.status != 200) {
    TakeRefused(std::move(sent), answer, now);
    return;
  }
  addresses_.Answered(sent.address);
  const StatusOr<std::vector<BulkItem>> items = ReadItems(answer.body, sent.bulk.entries.size());
  if (!items.ok()) {
    // It may have been done or not: sent again, it is there or is made.
    trouble_.Note(items.status().reason(), items.status().message(), false, now);
    Retry(std::move(sent.bulk), items.status(), {}, true, now);
    return;
  }
  Failpoint("opensearch.answered");
  if (!sent.bulk.is_probe) limit_.Answered(now - sent.at, in_flight_.size() - probes_out_ + 1);
  // It takes requests; what it says of their records is another matter.
  if (std::exchange(blocked_until_, std::nullopt)) trouble_.Passed();
  block_backoff_.Reset();
  queue_.Passed();
  TakeItems(std::move(sent.bulk), *items, now);
}

void OpenSearchSink::TakeItems(Bulk bulk, const std::vector<BulkItem>& items, BootTime now) {
  Turned turned;
  Bulk again;
  again.is_dead = bulk.is_dead;
  again.is_checked = bulk.is_checked;
  bool is_pushed_back = false;
  bool has_passed = false;
  for (size_t i = 0; i < items.size(); ++i) {
    Pending& entry = bulk.entries[i];
    const EngineError& error = items[i].error;
    switch (OutcomeOf(items[i])) {
      case ItemOutcome::kDelivered:
      case ItemOutcome::kThere:
        has_passed = true;
        passed_at_ = now;
        partitions_.Passed(entry, error.status == 409);
        // The engine has had it, but no search finds it: it counts as a dead letter.
        if (const std::string_view why = WhyNotIndexed(items[i]); !why.empty()) {
          entry.refusal.emplace().group = why;
        }
        Confirm(entry);
        break;
      case ItemOutcome::kBackPressure:
        is_pushed_back = true;
        [[fallthrough]];
      case ItemOutcome::kPassing:
        if (partitions_.IsOld(entry)) {
          // Nobody waits for it: it is read again, and shall hold nothing up by then.
          turned.why_old.try_emplace(entry.slot, StatusCode::kUnavailable, Reason::kBrokerError,
                                     error.Text());
          turned.old.push_back(std::move(entry));
          break;
        }
        if (!is_pushed_back && IsStuck(entry, now)) {
          TakeSystemic(std::move(entry), error, turned);
          break;
        }
        trouble_.Note(is_pushed_back ? Reason::kThrottled : Reason::kBrokerError, error.Text(),
                      false, now);
        if (error.status >= 500) {
          // One of its copies may have it.
          entry.may_be_there = true;
          again.Doubt();
        }
        again.bytes += BulkBytes(entry.record);
        again.entries.push_back(std::move(entry));
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
  again.is_probe = bulk.is_probe || !is_pushed_back;
  if (is_pushed_back) limit_.PushedBack();
  if (has_passed && again.entries.empty()) {
    trouble_.Passed();
    backoff_.Reset();
  }
  if (!again.entries.empty()) queue_.Later(std::move(again), now + backoff_.Next());
  GiveBack(std::move(turned), now);
}

// Whether it is time to give back a record that the engine fails at: its partition is blocked
// already, or others have passed for long while it failed.
bool OpenSearchSink::IsStuck(Pending& entry, BootTime now) const {
  if (!entry.failing_since) entry.failing_since = now;
  const bool is_alone = passed_at_ && *passed_at_ > *entry.failing_since;
  return partitions_.IsBlocked(entry.slot) ||
         (is_alone && now - *entry.failing_since >= kStuckAfter);
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
  if (partitions_.IsOld(entry)) {
    turned.why_old.try_emplace(entry.slot, StatusCode::kUnavailable, Reason::kRecordRefused,
                               error.Text());
    turned.old.push_back(std::move(entry));
    return;
  }
  Refusal refusal{.status = error.status,
                  .type = error.type,
                  .caused_by = error.caused_by,
                  .reason = error.Text(),
                  .group = ErrorGroup(error)};
  Weigh({.entry = std::move(entry), .refusal = std::move(refusal), .cause = CauseOf(error)}, turned,
        now);
}

// Whether a refused record is written off, or what of its partition is held back.
void OpenSearchSink::Weigh(Suspect suspect, Turned& turned, BootTime now) {
  Pending& entry = suspect.entry;
  const Refusal& refusal = suspect.refusal;
  const auto block = [&](std::string why) {
    turned.blocked.try_emplace(entry.slot, StatusCode::kFailedPrecondition, Reason::kRecordRefused,
                               std::move(why));
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
  for (Judgement& judgement : partitions_.Judge()) {
    Turned turned;
    for (Suspect& suspect : judgement.refused) {
      if (!judgement.is_storm) {
        Weigh(std::move(suspect), turned, now);
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
    queue_.AddDead(std::move(entry));
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
                      "was sent with it: mend {}, and all goes on by itself ({})",
                      entry.record.offset, LettersText(), posted.status.message()));
      turned.failed.push_back(std::move(entry));
    }
  }
  if (!retried.empty()) Fail(retried, std::move(to_retry), Disposition::kRetry);
  GiveBack(std::move(turned), now);
}

void OpenSearchSink::TakeRefused(Sent sent, const HttpAnswer& answer, BootTime now) {
  const EngineError error = ReadError(answer.status, answer.body);
  const RequestOutcome outcome = OutcomeOfRequest(error, client_->addresses() > 1);
  const Duration least = answer.retry_after.value_or(Duration::zero());
  Bulk bulk = std::move(sent.bulk);
  const Status why(StatusCode::kUnavailable, outcome.reason, outcome.text);
  const bool is_alone = IsAlone(bulk);
  if (!is_alone && outcome.remedy != RequestRemedy::kSplit &&
      outcome.remedy != RequestRemedy::kBlock) {
    trouble_.Note(outcome.reason, outcome.text, false, now);
  }
  switch (outcome.remedy) {
    case RequestRemedy::kSplit:
      TakeBadRequest(std::move(bulk), error, now);
      return;
    case RequestRemedy::kSlower:
      if (!is_alone) limit_.PushedBack();
      Retry(std::move(bulk), why, std::max<Duration>(least, 1s), false, now);
      return;
    case RequestRemedy::kElsewhere:
      if (!is_alone) StandDown(sent.address, now);
      Retry(std::move(bulk), why, least, true, now);
      return;
    case RequestRemedy::kBlock:
      BlockAll(std::move(bulk), outcome.reason, outcome.text, now);
      return;
  }
}

// One of its records is refused, or all are too much at once.
void OpenSearchSink::TakeBadRequest(Bulk bulk, const EngineError& error, BootTime now) {
  if (error.status == 413) queue_.WasTooLarge(bulk.bytes);
  if (bulk.entries.size() > 1) {
    queue_.Split(std::move(bulk), now);
    return;
  }
  Turned turned;
  Pending& only = bulk.entries.front();
  if (bulk.is_dead && !partitions_.IsOld(only)) {
    turned.blocked.try_emplace(
        only.slot, StatusCode::kFailedPrecondition,
        error.status == 413 ? Reason::kRecordTooLarge : Reason::kRecordRefused,
        fmt::format("the record at offset {} is refused, and so is its dead letter: raise "
                    "http.max_content_length of the engine, or mend {} ({})",
                    only.record.offset, LettersText(), error.Text()));
    turned.failed.push_back(std::move(only));
  } else if (error.status != 413 && OutcomeOf({.error = error}) == ItemOutcome::kSystemic) {
    TakeSystemic(std::move(only), error, turned);  // what is before the engine may say it of all
  } else {
    Refuse(std::move(only), error, turned, now);
  }
  GiveBack(std::move(turned), now);
}

void OpenSearchSink::Retry(Bulk bulk, const Status& why, Duration least, bool is_ambiguous,
                           BootTime now) {
  if (is_ambiguous) {
    for (Pending& entry : bulk.entries) entry.may_be_there = true;
    bulk.Doubt();
  }
  if (!bulk.failing_since) bulk.failing_since = now;
  if (now - *bulk.failing_since >= kStuckAfter) {
    if (IsAlone(bulk)) {
      Isolate(std::move(bulk), why, now);
      return;
    }
    // It may be the engine or the request: others go ahead and tell.
    bulk.is_probe = true;
  }
  queue_.Later(std::move(bulk), now + std::max(least, backoff_.Next()));
}

// No request passes: one is tried now and then.
void OpenSearchSink::BlockAll(Bulk bulk, Reason reason, std::string text, BootTime now) {
  bulk.Doubt();  // by then it may be another index that is written
  if (!bulk.failing_since) bulk.failing_since = now;
  if (IsAlone(bulk)) {
    Isolate(std::move(bulk), {StatusCode::kFailedPrecondition, reason, std::move(text)}, now);
    return;
  }
  blocked_until_ = now + block_backoff_.Next();
  trouble_.Note(reason, std::move(text), true, now);
  if (now - *bulk.failing_since < kStuckAfter) {
    queue_.First(std::move(bulk), *blocked_until_);
    return;
  }
  if (!std::exchange(bulk.is_probe, true)) {
    // It is another's turn, which may pass.
    block_backoff_.Reset();
    blocked_until_ = now + block_backoff_.Next();
  }
  queue_.Later(std::move(bulk), *blocked_until_);
}

// Whether others have passed while this request failed: then it is not the engine.
bool OpenSearchSink::IsAlone(const Bulk& bulk) const {
  return bulk.failing_since && passed_at_ && *passed_at_ > *bulk.failing_since;
}

// Finds the record for which a request is refused, by halves, and gives it back.
void OpenSearchSink::Isolate(Bulk bulk, const Status& why, BootTime now) {
  bulk.is_probe = true;
  if (bulk.entries.size() > 1) {
    queue_.Split(std::move(bulk), now);
    return;
  }
  Turned turned;
  Pending& only = bulk.entries.front();
  if (partitions_.IsOld(only)) {
    turned.why_old.try_emplace(only.slot, why);
    turned.old.push_back(std::move(only));
  } else {
    turned.blocked.try_emplace(
        only.slot, StatusCode::kFailedPrecondition, why.reason(),
        fmt::format("the engine takes others, but not {} at offset {}: {}",
                    bulk.is_dead ? "the dead letter of the record" : "the record",
                    only.record.offset, why.message()));
    turned.failed.push_back(std::move(only));
  }
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
    queue_.Later(std::move(later), now + kAskAgainAfter);
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
  std::ranges::move(queue_.Extract(is_failed), std::back_inserter(entries));
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
  std::optional<Condition> trouble = trouble_.At(now);
  if (!trouble) {
    trouble = post_ ? post_->Trouble() : std::nullopt;
    return trouble ? trouble : trouble_.BlindnessAt(now);
  }
  trouble->blocks = trouble->blocks && in_flight_.empty() && (!post_ || post_->is_idle());
  return trouble;
}

std::vector<int> OpenSearchSink::descriptors() const {
  std::vector<int> descriptors{client_->descriptor(), timer_.get()};
  if (post_) std::ranges::copy(post_->descriptors(), std::back_inserter(descriptors));
  return descriptors;
}

}  // namespace drawbridge
