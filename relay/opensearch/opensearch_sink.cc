#include "relay/opensearch/opensearch_sink.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "relay/opensearch/bulk_request.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.opensearch");

constexpr size_t kBulkBytesMost = size_t{5} << 20;  // before compression
constexpr size_t kBulkBytesLeast = size_t{64} << 10;
constexpr size_t kBulkDocumentsMost = 5000;
constexpr Duration kFlushAfter = 1s;
constexpr size_t kDocumentOverhead = 350;  // action line, @timestamp and origin
constexpr const char* kDiverted = "failure_store: kept among the ::failures of its data stream";

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
  return std::unique_ptr<OpenSearchSink>(new OpenSearchSink(
      *std::move(client), std::move(settings), std::move(timer), clock, std::move(letters)));
}

OpenSearchSink::OpenSearchSink(std::unique_ptr<HttpClient> client, OpenSearchSinkSettings settings,
                               FileDescriptor timer, const Clock& clock,
                               std::unique_ptr<TopicLetterSink> letters)
    : client_(std::move(client)),
      settings_(std::move(settings)),
      timer_(std::move(timer)),
      clock_(clock),
      letters_(std::move(letters)),
      shaper_(settings_.relay),
      backoff_(200ms, 10s),
      block_backoff_(2s, 30s),
      addresses_(client_->addresses()),
      trouble_(client_->engine().endpoint.name),
      bulk_bytes_max_(kBulkBytesMost) {
  dead_.is_dead = true;
}

Status OpenSearchSink::Open(Slot slot, const Route& route) {
  StatusOr<IndexTemplate> index = IndexTemplate::Create(route.target_topic);
  if (!index.ok()) return index.status();
  if (writings_.size() <= slot) writings_.resize(slot + 1);
  Writing& writing = writings_[slot];
  // A replay opens the partition anew: what it was blocked for lasts until a record passes.
  const bool is_the_same = writing.to && writing.to->route.key == route.key &&
                           writing.to->route.source_epoch == route.source_epoch &&
                           writing.to->route.target_topic == route.target_topic;
  writing.to = std::make_shared<const Destination>(Destination{route, *std::move(index)});
  writing.stream = &streams_[route.source_topic];
  writing.stream->Join(route.partition);
  if (!is_the_same) {
    writing.storm.Reset();
    writing.blocked_in.reset();
    writing.is_held_by_stream = false;
    writing.prior = PriorWrites(settings_.window_bytes);
  }
  writing.prior.Suspect(clock_.Now());
  return {};
}

// --- Sending ------------------------------------------------------------------------------------

bool OpenSearchSink::IsFull(const Bulk& bulk) const {
  return bulk.bytes >= bulk_bytes_max_ || bulk.entries.size() >= kBulkDocumentsMost;
}

bool OpenSearchSink::MaySend(BootTime now) const {
  if (blocked_until_) return now >= *blocked_until_ && in_flight_.empty();
  return in_flight_.size() < limit_.limit();
}

bool OpenSearchSink::IsReady() const {
  return !IsFull(open_) || (waiting_.empty() && MaySend(clock_.Now()));
}

size_t OpenSearchSink::Submit(Batch& batch, size_t from, uint32_t window) {
  const BootTime now = clock_.Now();
  Writing& writing = writings_[batch.slot];
  size_t taken = 0;
  for (size_t i = from; i < batch.records.size(); ++i) {
    if (writing.blocked_in && writing.entries > 0) break;
    if (IsFull(open_)) {
      if (!waiting_.empty() || !MaySend(now)) break;
      Send(std::exchange(open_, {}), now);
    }
    if (open_.entries.empty()) open_.since = now;
    Entry entry{.slot = batch.slot,
                .to = writing.to,
                .window = window,
                .covered = batch.Covered(i),
                .record = std::move(batch.records[i]),
                .attempts = 0,
                .may_be_there = false,
                .first_seen = {},
                .refusal = std::nullopt,
                .index = {}};
    entry.may_be_there = writing.prior.MayHave(entry.record.offset, now);
    writing.prior.Sent(entry.covered.end);
    open_.bytes += entry.record.value.value_or("").size() + kDocumentOverhead;
    open_.entries.push_back(std::move(entry));
    ++writing.entries;
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
    if (!sent.empty()) Take(std::move(sent.mapped()), answer, now);
  }
  if (letters_) TakePosted();
  SendDue(now);
  SetTimer(now);
  std::ranges::move(done_, std::back_inserter(confirmations));
  done_.clear();
}

// What failed first, then dead letters, then what is new: at once if the engine has nothing to do,
// else when it is worth a request.
void OpenSearchSink::SendDue(BootTime now) {
  for (auto bulk = waiting_.begin(); bulk != waiting_.end() && MaySend(now);) {
    if (bulk->due > now) {
      ++bulk;
      continue;
    }
    Bulk due = std::move(*bulk);
    bulk = waiting_.erase(bulk);
    const size_t before = waiting_.size();
    Send(std::move(due), now);
    if (waiting_.size() != before) break;  // no address can be asked
  }
  if (letters_) {
    PostDead();
  } else if (!dead_.entries.empty() && MaySend(now)) {
    Bulk dead = std::exchange(dead_, {});
    dead_.is_dead = true;
    Send(std::move(dead), now);
  }
  const bool is_worth_it = IsFull(open_) || in_flight_.empty() || now - open_.since >= kFlushAfter;
  if (!open_.entries.empty() && is_worth_it && waiting_.empty() && MaySend(now)) {
    Send(std::exchange(open_, {}), now);
  }
}

void OpenSearchSink::Send(Bulk bulk, BootTime now) {
  const std::optional<size_t> address = addresses_.Choose(now);
  if (!address) {
    bulk.due = addresses_.MayBeAsked();
    waiting_.push_back(std::move(bulk));
    return;
  }
  if (IsSuspect(bulk)) {
    const std::set<std::string> names = NamesOf(bulk);
    if (PresenceCheck::Fits(names)) {
      StartCheck(std::move(bulk), names, *address, now);
    } else {
      Split(std::move(bulk), now);
    }
    return;
  }
  const WallTime wall_now = clock_.WallNow();
  body_.clear();
  std::vector<Entry> framed;
  framed.reserve(bulk.entries.size());
  for (Entry& entry : bulk.entries) {
    const Route& route = entry.to->route;
    if (entry.refusal) {
      AppendCreate(settings_.dead_letter_index,
                   DeadLetterId(settings_.bridge, route, entry.record.offset), body_);
      body_ += DeadLetterDocument(route, entry.record, *entry.refusal, RefusalOf(entry, wall_now),
                                  settings_.relay);
      body_ += '\n';
    } else {
      ++entry.attempts;
      entry.index = entry.to->index.Apply(route.source_topic, entry.record.timestamp_ms);
      const Status shaped =
          AppendRecord(entry.index, route, entry.record, wall_now, shaper_, body_);
      if (!shaped.ok()) {
        const std::string why = shaped.message();
        KeepDead(std::move(entry), {.status = 0,
                                    .type = "drawbridge_refused",
                                    .caused_by = {},
                                    .reason = why,
                                    .group = why});
        continue;
      }
    }
    framed.push_back(std::move(entry));
  }
  bulk.entries = std::move(framed);
  if (bulk.entries.empty()) return;
  bulk.bytes = body_.size();
  StatusOr<std::string> packed = Gzip(body_);
  if (!packed.ok()) {
    Retry(std::move(bulk), 1s, false, now);
    return;
  }
  const uint64_t id = ++last_id_;
  client_->Send(id,
                {.method = "POST",
                 .path = std::string(kBulkPath),
                 .body = *std::move(packed),
                 .content_type = "application/x-ndjson",
                 .is_gzip = true,
                 .opaque_id = fmt::format("{}/{}/{}", settings_.relay, settings_.bridge, id)},
                *address);
  in_flight_.emplace(id, Sent{.bulk = std::move(bulk), .at = now, .address = *address});
}

bool OpenSearchSink::IsSuspect(const Bulk& bulk) const {
  return !bulk.is_checked && !bulk.is_dead &&
         std::ranges::any_of(bulk.entries, &Entry::may_be_there);
}

std::set<std::string> OpenSearchSink::NamesOf(const Bulk& bulk) {
  std::set<std::string> names;
  for (const Entry& entry : bulk.entries) {
    if (!entry.may_be_there) continue;
    names.insert(entry.to->index.Apply(entry.to->route.source_topic, entry.record.timestamp_ms));
  }
  return names;
}

void OpenSearchSink::StartCheck(Bulk bulk, const std::set<std::string>& names, size_t address,
                                BootTime now) {
  std::vector<std::string> ids;
  for (const Entry& entry : bulk.entries) {
    if (entry.may_be_there) ids.push_back(DocumentId(entry.to->route, entry.record.offset));
  }
  AskOn({.bulk = std::move(bulk),
         .at = now,
         .address = address,
         .check = PresenceCheck(names, std::move(ids))});
}

void OpenSearchSink::AskOn(Sent sent) {
  const uint64_t id = ++last_id_;
  client_->Send(id, sent.check->Next(), sent.address);
  in_flight_.emplace(id, std::move(sent));
}

void OpenSearchSink::TakeCheck(Sent sent, const HttpAnswer& answer, BootTime now) {
  if (answer.status != 0 && answer.status < 500) addresses_.Answered(sent.address);
  switch (sent.check->Take(answer)) {
    case PresenceCheck::Verdict::kGoOn:
      AskOn(std::move(sent));
      return;
    case PresenceCheck::Verdict::kUnclear:
      // It says the same of all requests: who may not come in, or what is no engine.
      if (answer.status == 401 || answer.status == 404 || answer.status == 429 ||
          answer.status / 100 == 3) {
        TakeRefused(std::move(sent), answer, now);
        return;
      }
      if (answer.status == 0) StandDown(sent.address, now);
      trouble_.Note(sent.check->status().reason(), sent.check->status().message(), false, now);
      Retry(std::move(sent.bulk), {}, true, now);
      return;
    case PresenceCheck::Verdict::kDone:
      break;
  }
  if (!sent.check->status().ok() && !std::exchange(has_said_blind_, true)) {
    kLog.Warn(
        "the engine does not let us look for records that may be there already",
        {{"endpoint", client_->engine().endpoint.name}, {"text", sent.check->status().message()}});
  }
  const std::set<std::string>& present = sent.check->present();
  if (!present.empty()) {
    std::vector<Entry> missing;
    for (Entry& entry : sent.bulk.entries) {
      if (present.contains(DocumentId(entry.to->route, entry.record.offset))) {
        Prove(entry, true, now);
        Passed(entry, false);
        Confirm(entry);
      } else {
        missing.push_back(std::move(entry));
      }
    }
    sent.bulk.entries = std::move(missing);
  }
  sent.bulk.is_checked = true;
  if (!sent.bulk.entries.empty()) {
    Send(std::move(sent.bulk), now);
    return;
  }
  blocked_until_.reset();
  block_backoff_.Reset();
  backoff_.Reset();
  trouble_.Passed();
}

void OpenSearchSink::Prove(const Entry& entry, bool was_there, BootTime now) {
  Writing& writing = writings_[entry.slot];
  if (entry.to != writing.to) return;
  if (was_there) {
    writing.prior.WasThere(now);
  } else {
    writing.prior.WasMissing(entry.record.bytes());
  }
}

void OpenSearchSink::SetTimer(BootTime now) const {
  std::optional<BootTime> next;
  const auto consider = [&](BootTime time) { next = next ? std::min(*next, time) : time; };
  for (const Bulk& bulk : waiting_) consider(bulk.due);
  if (!open_.entries.empty()) consider(open_.since + kFlushAfter);
  if (next && blocked_until_) next = std::max(*next, *blocked_until_);
  itimerspec when{};
  if (next) {
    // What waits for an answer is rung for by the client.
    const Duration wait = std::max<Duration>(*next - now, 10ms);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(wait);
    when.it_value = {.tv_sec = seconds.count(), .tv_nsec = (wait - seconds).count()};
  }
  timerfd_settime(timer_.get(), 0, &when, nullptr);
}

void OpenSearchSink::StandDown(size_t address, BootTime now) {
  limit_.PushedBack();
  addresses_.StayedAway(address, now);
}

// --- Answers ------------------------------------------------------------------------------------

void OpenSearchSink::Take(Sent sent, const HttpAnswer& answer, BootTime now) {
  if (sent.check) {
    TakeCheck(std::move(sent), answer, now);
    return;
  }
  if (answer.status == 0) {
    StandDown(sent.address, now);
    trouble_.Note(answer.failure.reason(), answer.failure.message(), false, now);
    Retry(std::move(sent.bulk), {}, true, now);
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
    Retry(std::move(sent.bulk), {}, true, now);
    return;
  }
  Failpoint("opensearch.answered");
  limit_.Answered(now - sent.at, in_flight_.size() + 1);
  blocked_until_.reset();
  block_backoff_.Reset();
  bulk_bytes_max_ = std::min(kBulkBytesMost, bulk_bytes_max_ + bulk_bytes_max_ / 20);
  TakeItems(std::move(sent.bulk), *items, now);
}

void OpenSearchSink::TakeItems(Bulk bulk, const std::vector<BulkItem>& items, BootTime now) {
  std::map<Slot, Status> blocked;
  std::vector<Entry> failed;
  std::map<Slot, Status> given_back;
  std::vector<Entry> old;
  Bulk again;
  again.is_dead = bulk.is_dead;
  again.is_checked = bulk.is_checked;
  bool is_pushed_back = false;
  bool has_passed = false;
  for (size_t i = 0; i < items.size(); ++i) {
    Entry& entry = bulk.entries[i];
    Writing& writing = writings_[entry.slot];
    const EngineError& error = items[i].error;
    switch (OutcomeOf(items[i])) {
      case ItemOutcome::kDelivered:
      case ItemOutcome::kThere:
        has_passed = true;
        Prove(entry, items[i].error.status == 409, now);
        if (!entry.refusal && !IsOld(entry)) {
          Passed(entry, error.status != 409);
          writing.storm.AddGood();
          writing.stream->AddGood();
        }
        // The engine has it, but no search finds it: it counts as a dead letter.
        if (items[i].is_diverted) entry.refusal.emplace().group = kDiverted;
        Confirm(entry);
        break;
      case ItemOutcome::kBackPressure:
        is_pushed_back = true;
        [[fallthrough]];
      case ItemOutcome::kPassing:
        trouble_.Note(is_pushed_back ? Reason::kThrottled : Reason::kBrokerError, error.Text(),
                      false, now);
        if (error.status >= 500) {
          // One of its copies may have it.
          entry.may_be_there = true;
          again.is_checked = false;
        }
        again.bytes += entry.record.value.value_or("").size() + kDocumentOverhead;
        again.entries.push_back(std::move(entry));
        break;
      case ItemOutcome::kBadRecord:
        if (!entry.refusal || IsOld(entry)) {
          Refuse(std::move(entry), error, blocked);
          break;
        }
        blocked.try_emplace(
            entry.slot,
            Status(StatusCode::kFailedPrecondition, Reason::kRecordRefused,
                   fmt::format("the record at offset {} is refused, and so is its dead letter in "
                               "{}: {}",
                               entry.record.offset, LettersText(), error.Text())));
        failed.push_back(std::move(entry));
        break;
      case ItemOutcome::kSystemic: {
        if (IsOld(entry)) {
          given_back.try_emplace(entry.slot, StatusCode::kUnavailable, Reason::kBrokerError,
                                 error.Text());
          old.push_back(std::move(entry));
          break;
        }
        const std::string text =
            IsFloodStage(error)
                ? fmt::format(
                      "the engine's disk is full, and its indexes are locked: make room "
                      "there ({})",
                      error.Text())
                : fmt::format("the engine takes no record for {}: {}",
                              entry.refusal ? LettersText() : entry.index, error.Text());
        blocked.try_emplace(entry.slot,
                            Status(StatusCode::kFailedPrecondition,
                                   error.status == 403 && error.type == "security_exception"
                                       ? Reason::kAuthorizationFailed
                                       : Reason::kBrokerError,
                                   text));
        failed.push_back(std::move(entry));
        break;
      }
    }
  }
  if (is_pushed_back) limit_.PushedBack();
  if (has_passed && again.entries.empty()) {
    trouble_.Passed();
    backoff_.Reset();
  }
  if (!again.entries.empty()) Retry(std::move(again), {}, false, now);
  GiveBack(old, given_back, Disposition::kRetry);
  if (!blocked.empty()) Fail(blocked, std::move(failed));
}

// Whether the lane has given the record up since: it is read again, here or elsewhere.
bool OpenSearchSink::IsOld(const Entry& entry) const {
  return entry.to != writings_[entry.slot].to;
}

// What the partition was blocked for is gone. For the whole stream only a record can say so that
// was held for the stream's sake, and is `is_new`: written, not found there.
void OpenSearchSink::Passed(const Entry& entry, bool is_new) {
  Writing& writing = writings_[entry.slot];
  if (IsOld(entry) || !writing.blocked_in || entry.window <= *writing.blocked_in) return;
  writing.blocked_in.reset();
  writing.storm.Reset();
  if (std::exchange(writing.is_held_by_stream, false) && is_new) writing.stream->Reset();
}

// The record is the engine's to refuse; unless half of all are refused for the same.
void OpenSearchSink::Refuse(Entry entry, const EngineError& error,
                            std::map<Slot, Status>& blocked) {
  if (IsOld(entry)) {
    const std::map<Slot, Status> why = {
        {entry.slot, Status(StatusCode::kUnavailable, Reason::kRecordRefused, error.Text())}};
    std::vector<Entry> old;
    old.push_back(std::move(entry));
    GiveBack(old, why, Disposition::kRetry);
    return;
  }
  Writing& writing = writings_[entry.slot];
  Refusal refusal{.status = error.status,
                  .type = error.type,
                  .caused_by = error.caused_by,
                  .reason = error.Text(),
                  .group = ErrorGroup(error)};
  bool is_storm = writing.storm.IsStorm(refusal.group);
  bool is_stream_storm = writing.stream->IsStorm(refusal.group);
  if (!is_storm && !is_stream_storm) {
    is_storm = writing.storm.AddBad(refusal.group);
    is_stream_storm = writing.stream->AddBad(entry.to->route.partition, refusal.group);
  }
  writing.is_held_by_stream = is_stream_storm;
  if (is_storm || is_stream_storm) {
    const Slot slot = entry.slot;
    blocked.try_emplace(
        slot, Status(StatusCode::kFailedPrecondition, Reason::kRecordRefused,
                     fmt::format("half of the records are refused for one reason, so it is taken "
                                 "for the index's and none is written off: {}",
                                 error.Text())));
    // Among the dead letters Fail finds it and gives it back.
  }
  KeepDead(std::move(entry), std::move(refusal));
}

void OpenSearchSink::KeepDead(Entry entry, Refusal refusal) {
  if (!entry.refusal) entry.first_seen = clock_.WallNow();
  entry.refusal = std::move(refusal);
  dead_.bytes += entry.record.bytes() + kDocumentOverhead;
  dead_.entries.push_back(std::move(entry));
}

RefusedAt OpenSearchSink::RefusalOf(const Entry& entry, WallTime now) const {
  return {.bridge = settings_.bridge,
          .index = entry.index,
          .attempts = entry.attempts,
          .first_seen = entry.first_seen,
          .last_seen = now};
}

// Where dead letters are, for whoever reads why they are refused there.
std::string OpenSearchSink::LettersText() const {
  return letters_ ? "the topic " + letters_->topic() : settings_.dead_letter_index;
}

void OpenSearchSink::PostDead() {
  const WallTime now = clock_.WallNow();
  auto next = dead_.entries.begin();
  for (; next != dead_.entries.end(); ++next) {
    Entry& entry = *next;
    const std::optional<uint64_t> number =
        letters_->Submit(entry.record, entry.to->route, *entry.refusal, RefusalOf(entry, now));
    if (!number) break;
    Record counted;  // its bytes are the letter's now
    counted.offset = entry.record.offset;
    counted.weight = entry.record.weight;
    entry.record = std::move(counted);
    posted_.emplace(*number, std::move(entry));
  }
  dead_.entries.erase(dead_.entries.begin(), next);
  if (dead_.entries.empty()) dead_.bytes = 0;
}

// A letter that is not in the topic is written anew when its record is replayed: after a while, or,
// where the topic is at fault, one record of its partition at a time.
void OpenSearchSink::TakePosted() {
  std::vector<TopicLetterSink::Result> results;
  letters_->Poll(results);
  std::map<Slot, Status> retried;
  std::map<Slot, Status> blocked;
  std::vector<Entry> to_retry;
  std::vector<Entry> to_block;
  for (const TopicLetterSink::Result& result : results) {
    auto posted = posted_.extract(result.number);
    if (posted.empty()) continue;
    Entry& entry = posted.mapped();
    if (!result.failure) {
      Confirm(entry);
    } else if (result.failure == Disposition::kRetry) {
      retried.try_emplace(entry.slot, result.status);
      to_retry.push_back(std::move(entry));
    } else {
      blocked.try_emplace(
          entry.slot, StatusCode::kFailedPrecondition, result.status.reason(),
          fmt::format("the record at offset {} is refused, and so is its dead letter, or one that "
                      "was sent with it, in {}: {}",
                      entry.record.offset, LettersText(), result.status.message()));
      to_block.push_back(std::move(entry));
    }
  }
  if (!retried.empty()) Fail(retried, std::move(to_retry), Disposition::kRetry);
  if (!blocked.empty()) Fail(blocked, std::move(to_block));
}

void OpenSearchSink::TakeRefused(Sent sent, const HttpAnswer& answer, BootTime now) {
  const EngineError error = ReadError(answer.status, answer.body);
  const std::string text = error.Text();
  const Duration least = answer.retry_after.value_or(Duration::zero());
  Bulk bulk = std::move(sent.bulk);
  switch (error.status) {
    case 413:
      bulk_bytes_max_ = std::max(kBulkBytesLeast, bulk.bytes / 2);
      [[fallthrough]];
    case 400:
      if (bulk.entries.size() > 1) {
        Split(std::move(bulk), now);
        return;
      }
      if (bulk.is_dead && !IsOld(bulk.entries.front())) {
        const Entry& letter = bulk.entries.front();
        const std::map<Slot, Status> blocked = {
            {letter.slot,
             Status(StatusCode::kFailedPrecondition,
                    error.status == 413 ? Reason::kRecordTooLarge : Reason::kRecordRefused,
                    fmt::format("the record at offset {} is refused, and so is its dead letter: "
                                "raise http.max_content_length of the engine, or mend {} ({})",
                                letter.record.offset, LettersText(), text))}};
        Fail(blocked, std::move(bulk.entries));
        return;
      }
      {
        std::map<Slot, Status> blocked;
        Refuse(std::move(bulk.entries.front()), error, blocked);
        if (!blocked.empty()) Fail(blocked, {});
      }
      return;
    case 401:
      BlockAll(std::move(bulk), Reason::kAuthenticationFailed,
               fmt::format("the engine does not know us: set the endpoint's credential again ({})",
                           text),
               now);
      return;
    case 403:
      BlockAll(std::move(bulk), Reason::kAuthorizationFailed,
               fmt::format("the engine refuses us: grant the endpoint's user the right to create "
                           "documents in the indexes ({})",
                           text),
               now);
      return;
    case 429:
      limit_.PushedBack();
      trouble_.Note(Reason::kThrottled, fmt::format("the engine asks for less ({})", text), false,
                    now);
      Retry(std::move(bulk), std::max<Duration>(least, 1s), false, now);
      return;
    default:
      break;
  }
  if (error.status >= 500 && error.status != 501) {
    StandDown(sent.address, now);
    trouble_.Note(Reason::kBrokerError, fmt::format("the engine answers {}", text), false, now);
    Retry(std::move(bulk), least, true, now);
    return;
  }
  if (client_->addresses() > 1) {
    // The others may be the engine.
    StandDown(sent.address, now);
    trouble_.Note(Reason::kBrokerError,
                  fmt::format("one of the addresses does not take documents: check it, and for a "
                              "proxy before it ({})",
                              text),
                  false, now);
    Retry(std::move(bulk), least, true, now);
    return;
  }
  BlockAll(std::move(bulk), Reason::kBrokerError,
           fmt::format("what answers there does not take documents: check the endpoint's address, "
                       "and for a proxy before it ({})",
                       text),
           now);
}

// Finds the one that is refused: in the one half or in the other.
void OpenSearchSink::Split(Bulk bulk, BootTime now) {
  const auto middle = bulk.entries.begin() + static_cast<std::ptrdiff_t>(bulk.entries.size() / 2);
  Bulk second;
  second.is_dead = bulk.is_dead;
  second.is_checked = bulk.is_checked;
  second.due = bulk.due = now;
  second.entries.assign(std::make_move_iterator(middle),
                        std::make_move_iterator(bulk.entries.end()));
  bulk.entries.erase(middle, bulk.entries.end());
  waiting_.push_front(std::move(second));
  waiting_.push_front(std::move(bulk));
}

void OpenSearchSink::Retry(Bulk bulk, Duration least, bool is_ambiguous, BootTime now) {
  if (is_ambiguous) {
    for (Entry& entry : bulk.entries) entry.may_be_there = true;
    bulk.is_checked = false;
  }
  bulk.due = now + std::max(least, backoff_.Next());
  waiting_.push_back(std::move(bulk));
}

// No request passes: one is tried now and then.
void OpenSearchSink::BlockAll(Bulk bulk, Reason reason, std::string text, BootTime now) {
  blocked_until_ = now + block_backoff_.Next();
  trouble_.Note(reason, std::move(text), true, now);
  bulk.due = *blocked_until_;
  bulk.is_checked = false;  // by then it may be another index that is written
  waiting_.push_front(std::move(bulk));
}

// --- What becomes of records --------------------------------------------------------------------

void OpenSearchSink::Confirm(Entry& entry) {
  --writings_[entry.slot].entries;
  Confirmation* last = done_.empty() ? nullptr : &done_.back();
  const bool is_next = last != nullptr && last->slot == entry.slot &&
                       last->window == entry.window && !last->failure &&
                       last->range.end == entry.covered.first;
  if (!is_next) {
    done_.push_back({.slot = entry.slot,
                     .window = entry.window,
                     .range = {entry.covered.first, entry.covered.first},
                     .failed_end = {},
                     .records = 0,
                     .bytes = 0,
                     .failure = std::nullopt,
                     .status = {}});
    last = &done_.back();
  }
  last->range.end = entry.covered.end;
  ++last->records;
  last->bytes += entry.record.weight;
  if (entry.refusal) {
    last->dead_letters.push_back(
        {.offset = entry.record.offset, .error = std::move(entry.refusal->group)});
  }
  entry.record = {};
}

// Gives back all that the sink has of these partitions, but for what is on its way: they are read
// again, one record at a time until one passes.
void OpenSearchSink::Fail(const std::map<Slot, Status>& failed, std::vector<Entry> entries,
                          Disposition disposition) {
  const auto collect = [&](Bulk& bulk) {
    const auto kept =
        std::stable_partition(bulk.entries.begin(), bulk.entries.end(),
                              [&](const Entry& entry) { return !failed.contains(entry.slot); });
    entries.insert(entries.end(), std::make_move_iterator(kept),
                   std::make_move_iterator(bulk.entries.end()));
    bulk.entries.erase(kept, bulk.entries.end());
  };
  collect(open_);
  collect(dead_);
  for (Bulk& bulk : waiting_) collect(bulk);
  std::erase_if(waiting_, [](const Bulk& bulk) { return bulk.entries.empty(); });

  if (disposition == Disposition::kBlock) {
    for (const auto& [slot, status] : failed) writings_[slot].blocked_in = 0;
    for (const Entry& entry : entries) {
      std::optional<uint32_t>& blocked_in = writings_[entry.slot].blocked_in;
      blocked_in = std::max(blocked_in.value_or(0), entry.window);
    }
  }
  GiveBack(entries, failed, disposition);
}

void OpenSearchSink::GiveBack(const std::vector<Entry>& entries, const std::map<Slot, Status>& why,
                              Disposition disposition) {
  std::map<std::pair<Slot, uint32_t>, Confirmation> failures;
  for (const Entry& entry : entries) {
    --writings_[entry.slot].entries;
    Confirmation& failure = failures[{entry.slot, entry.window}];
    const bool is_first = failure.records == 0;
    if (is_first || entry.covered.first < failure.range.first) failure.range = entry.covered;
    failure.failed_end =
        is_first ? entry.covered.end : std::max(failure.failed_end, entry.covered.end);
    ++failure.records;
    failure.bytes += entry.record.weight;
  }
  for (auto& [which, failure] : failures) {
    failure.slot = which.first;
    failure.window = which.second;
    failure.failure = disposition;
    failure.status = why.at(which.first);
    done_.push_back(std::move(failure));
  }
}

// What is on its way goes on as its own, and is confirmed to nobody who minds.
void OpenSearchSink::Close(Slot slot) {
  Writing& writing = writings_[slot];
  if (!writing.to) return;
  writing.stream->Leave(writing.to->route.partition);
  const std::map<Slot, Status> left = {
      {slot, Status(StatusCode::kCancelled, Reason::kUnavailable, "the partition has left")}};
  Fail(left, {}, Disposition::kRetry);
  writing.to.reset();
}

std::optional<Condition> OpenSearchSink::Trouble() const {
  std::optional<Condition> trouble = trouble_.At(clock_.Now());
  if (!trouble) return letters_ ? letters_->Trouble() : trouble;
  trouble->blocks = trouble->blocks && in_flight_.empty() && posted_.empty();
  return trouble;
}

std::vector<int> OpenSearchSink::descriptors() const {
  std::vector<int> descriptors{client_->descriptor(), timer_.get()};
  if (letters_) std::ranges::copy(letters_->descriptors(), std::back_inserter(descriptors));
  return descriptors;
}

}  // namespace drawbridge
