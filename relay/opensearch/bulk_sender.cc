#include "relay/opensearch/bulk_sender.h"

#include <algorithm>
#include <set>

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
// Of a request of which nothing is heard for so long the address hangs.
constexpr Duration kLateAfter = 10s;
// So many requests are tried before all that fail are taken for the engine's fault.
constexpr size_t kTellersLeast = 8;

}  // namespace

StatusOr<std::unique_ptr<BulkSender>> BulkSender::Open(SearchEngine engine,
                                                       BulkSenderSettings settings,
                                                       BulkOwner& owner, EngineTrouble& trouble,
                                                       const Clock& clock) {
  StatusOr<std::unique_ptr<HttpClient>> client = HttpClient::Open(std::move(engine));
  if (!client.ok()) return client.status();
  FileDescriptor timer(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer.is_open()) {
    return Status(StatusCode::kInternal, Reason::kInternal, "no timer can be had");
  }
  return std::unique_ptr<BulkSender>(new BulkSender(*std::move(client), std::move(settings),
                                                    std::move(timer), owner, trouble, clock));
}

BulkSender::BulkSender(std::unique_ptr<HttpClient> client, BulkSenderSettings settings,
                       FileDescriptor timer, BulkOwner& owner, EngineTrouble& trouble,
                       const Clock& clock)
    : client_(std::move(client)),
      settings_(std::move(settings)),
      timer_(std::move(timer)),
      owner_(owner),
      trouble_(trouble),
      clock_(clock),
      backoff_(200ms, 10s),
      block_backoff_(2s, 30s),
      addresses_(client_->addresses()),
      gate_(settings_.cluster_id, client_->addresses()) {}

// How many requests are on their way, but for those that are late.
size_t BulkSender::OnTheirWay(bool are_probes) const {
  return static_cast<size_t>(std::ranges::count_if(in_flight_, [&](const auto& sent) {
    return sent.second.bulk.is_probe == are_probes && !sent.second.is_late;
  }));
}

bool BulkSender::MaySend(BootTime now) const {
  if (!blocked_until_) return OnTheirWay(false) < limit_.limit();
  return now >= *blocked_until_ && OnTheirWay(false) + OnTheirWay(true) == 0;
}

// One probe at a time.
bool BulkSender::MayProbe(BootTime now) const {
  return blocked_until_ ? MaySend(now) : OnTheirWay(true) == 0;
}

bool BulkSender::IsReady() const {
  return queue_.HasRoom() || (!queue_.has_waiting() && MaySend(clock_.Now()));
}

bool BulkSender::MakeRoom(BootTime now) {
  if (queue_.HasRoom()) return true;
  if (queue_.has_waiting() || !MaySend(now)) return false;
  Send(queue_.TakeOpen(), now);
  return true;
}

void BulkSender::AllPassed() {
  trouble_.Passed();
  backoff_.Reset();
}

void BulkSender::TakeAnswers(BootTime now) {
  uint64_t rung = 0;
  while (read(timer_.get(), &rung, sizeof rung) > 0) {
  }
  answers_.clear();
  client_->Poll(answers_);
  for (auto& [id, answer] : answers_) {
    auto sent = in_flight_.extract(id);
    if (sent.empty()) continue;
    Take(std::move(sent.mapped()), std::move(answer), now);
  }
}

// A load balancer may have lost a request, or an address have gone silent: its engine works on the
// request, or does not, and others may do so better.
void BulkSender::FindLate(BootTime now) {
  bool has_late = false;
  for (auto& [id, sent] : in_flight_) {
    if (sent.is_late || now - sent.WaitsSince() < kLateAfter) continue;
    sent.is_late = has_late = true;
    if (IsBlamed(sent.bulk)) continue;
    const Status why(
        StatusCode::kUnavailable, Reason::kUnreachable,
        fmt::format("{}: no answer to a request for {} s: check that the engine is "
                    "up and not overloaded, and the firewalls between",
                    client_->engine().endpoint.opensearch().addresses[sent.address],
                    std::chrono::duration_cast<std::chrono::seconds>(kLateAfter).count()));
    addresses_.StayedAway(sent.address, why, sent.WaitsSince(), now);
    gate_.Forget(sent.address);
    trouble_.Note(why.reason(), why.message(), false, now);
  }
  if (has_late) limit_.PushedBack();
}

void BulkSender::SendDue(BootTime now) {
  FindLate(now);
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
  SetTimer(now);
}

// Of the document that it is sent as.
std::string BulkSender::IdOf(const Pending& entry) const {
  const Route& route = entry.to->route;
  return entry.refusal ? DeadLetterId(settings_.bridge, route, entry.record.offset)
                       : DocumentId(route, entry.record.offset);
}

// False if no address can be asked at present: the request waits.
bool BulkSender::Send(Bulk bulk, BootTime now) {
  const std::optional<size_t> address = addresses_.Choose(now);
  if (!address) {
    queue_.Later(std::move(bulk), addresses_.MayBeAsked());
    return false;
  }
  if (!gate_.IsKnown(*address, now)) {
    AskWho({.bulk = std::move(bulk), .at = now, .address = *address}, now);
    return true;
  }
  if (IsSuspect(bulk)) {
    SendCheck(std::move(bulk), *address, now);
    return true;
  }
  bulk.check.reset();  // those that it was about may have been given back
  body_.clear();
  owner_.Frame(bulk, body_, now);
  bulk.bytes = body_.size();
  if (bulk.entries.empty()) return true;
  StatusOr<std::string> packed = Gzip(body_);
  if (!packed.ok()) {
    Retry(std::move(bulk), packed.status(), {.least = 1s}, now);
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

void BulkSender::Await(uint64_t id, Sent sent) { in_flight_.emplace(id, std::move(sent)); }

void BulkSender::SetTimer(BootTime now) const {
  // While none may be sent an answer has to come first, for which the client rings, or be late.
  const BootTime soonest = blocked_until_.value_or(now);
  std::optional<BootTime> next;
  if (MaySend(soonest)) next = queue_.NextDue(now);
  if (const std::optional<BootTime> probe = queue_.NextProbe(); probe && MayProbe(soonest)) {
    next = std::min(*probe, next.value_or(*probe));
  }
  for (const auto& [id, sent] : in_flight_) {
    const BootTime late_at = sent.WaitsSince() + kLateAfter;
    if (!sent.is_late) next = std::min(late_at, next.value_or(late_at));
  }
  itimerspec when{};
  if (next) {
    const Duration wait = std::max<Duration>(std::max(*next, soonest) - now, 10ms);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(wait);
    when.it_value = {.tv_sec = seconds.count(), .tv_nsec = (wait - seconds).count()};
  }
  timerfd_settime(timer_.get(), 0, &when, nullptr);
}

// --- Before it is sent --------------------------------------------------------------------------

void BulkSender::AskWho(Sent sent, BootTime now) {
  const uint64_t id = ++last_id_;
  client_->Send(id, ClusterGate::Question(), sent.address);
  sent.asks_who = true;
  sent.asked_at = now;
  Await(id, std::move(sent));
}

void BulkSender::TakeWho(Sent sent, const HttpAnswer& answer, BootTime now) {
  const Status known = answer.status == 200 ? gate_.Take(sent.address, answer, now) : Status();
  if (answer.status == 200 && known.ok()) {
    if (sent.answer) {
      const HttpAnswer doubted = *std::exchange(sent.answer, std::nullopt);
      sent.asks_who = false;
      sent.asking = now - sent.asked_at;
      TakeAnswer(std::move(sent), doubted, now);
    } else {
      Send(std::move(sent.bulk), now);
    }
    return;
  }
  if (sent.answer) sent.bulk.MayBeThere();
  if (answer.status == 0) {
    StandDown(sent, answer.failure, now);
    trouble_.Note(answer.failure.reason(), answer.failure.message(), false, now);
    Retry(std::move(sent.bulk), answer.failure, {}, now);
    return;
  }
  if (answer.status != 200) {
    TakeRefused(std::move(sent), answer, now);
    return;
  }
  if (client_->addresses() > 1) {
    StandDown(sent, known, now);
    trouble_.Note(known.reason(), known.message(), false, now);
    Retry(std::move(sent.bulk), known, {}, now);
    return;
  }
  BlockAll(std::move(sent.bulk), known.reason(), known.message(), now);
}

bool BulkSender::IsSuspect(const Bulk& bulk) {
  return !bulk.is_checked && !bulk.is_dead &&
         std::ranges::any_of(bulk.entries, &Pending::may_be_there);
}

// Asks what the next step of the request's check is.
void BulkSender::SendCheck(Bulk bulk, size_t address, BootTime now) {
  if (!bulk.check) {
    std::set<std::string> names;
    std::vector<std::string> ids;
    std::vector<int64_t> timestamps_ms;
    for (const Pending& entry : bulk.entries) {
      if (!entry.may_be_there) continue;
      names.insert(entry.to->IndexOf(entry.record));
      ids.push_back(DocumentId(entry.to->route, entry.record.offset));
      timestamps_ms.push_back(entry.record.timestamp_ms);
    }
    if (!PresenceCheck::Fits(names)) {
      queue_.Split(std::move(bulk), now);
      return;
    }
    bulk.check = PresenceCheck(TaskPrefix(settings_.bridge), names, std::move(ids),
                               PresenceCheck::OldestOf(timestamps_ms, clock_.WallNow()));
  }
  const uint64_t id = ++last_id_;
  client_->Send(id, bulk.check->Next(), address);
  Await(id, {.bulk = std::move(bulk), .at = now, .address = address});
}

// Those that go where its first one goes, and the rest.
void BulkSender::SplitByName(Bulk bulk, BootTime due) {
  bulk.Doubt();
  const std::string name = bulk.entries.front().to->IndexOf(bulk.entries.front().record);
  const auto rest = std::stable_partition(
      bulk.entries.begin(), bulk.entries.end(),
      [&](const Pending& entry) { return entry.to->IndexOf(entry.record) == name; });
  // Those of the others may have been given back while it waited.
  if (rest == bulk.entries.end()) {
    queue_.Later(std::move(bulk), due);
    return;
  }
  const auto its = static_cast<size_t>(rest - bulk.entries.begin());
  queue_.SplitAt(its, std::move(bulk), due);
}

void BulkSender::TakeCheck(Sent sent, const HttpAnswer& answer, BootTime now) {
  // What it is asked is less than what it is to write.
  const bool has_late = std::ranges::any_of(in_flight_, [&](const auto& other) {
    return other.second.address == sent.address && other.second.is_late;
  });
  if (answer.status != 0 && answer.status < 500 && !has_late) addresses_.Answered(sent.address);
  Bulk& bulk = sent.bulk;
  switch (bulk.check->Take(answer)) {
    case PresenceCheck::Verdict::kGoOn:
      SendCheck(std::move(bulk), sent.address, now);
      return;
    case PresenceCheck::Verdict::kWait:
      trouble_.Note(bulk.check->status().reason(), bulk.check->status().message(), false, now);
      queue_.Later(std::move(bulk), now + kAskAgainAfter);
      return;
    case PresenceCheck::Verdict::kUnclear:
      // It says the same of all requests: who may not come in, or what is no engine.
      if (answer.status == 401 || answer.status == 404 || answer.status == 429 ||
          answer.status / 100 == 3) {
        TakeRefused(std::move(sent), answer, now);
        return;
      }
      if (bulk.check->is_for_fewer()) {
        SplitByName(std::move(bulk), now + kAskAgainAfter);
        return;
      }
      {
        const Status why = bulk.check->status();
        if (answer.status == 0) StandDown(sent, why, now);
        trouble_.Note(why.reason(), why.message(), false, now);
        bulk.MayBeThere();
        Retry(std::move(bulk), why, {}, now);
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
  if (!present.empty()) owner_.TakeFound(std::move(present));
  if (!bulk.entries.empty()) {
    Send(std::move(bulk), now);
    return;
  }
  Unblock();
  AllPassed();
}

// --- Answers ------------------------------------------------------------------------------------

void BulkSender::Take(Sent sent, HttpAnswer answer, BootTime now) {
  if (sent.asks_who) {
    TakeWho(std::move(sent), answer, now);
  } else if (gate_.Doubts(answer)) {
    gate_.Forget(sent.address);
    sent.answer = std::move(answer);
    AskWho(std::move(sent), now);
  } else {
    TakeAnswer(std::move(sent), answer, now);
  }
}

void BulkSender::TakeAnswer(Sent sent, const HttpAnswer& answer, BootTime now) {
  if (sent.bulk.check) {
    TakeCheck(std::move(sent), answer, now);
    return;
  }
  if (answer.status == 0) {
    if (!IsBlamed(sent.bulk)) {
      StandDown(sent, answer.failure, now);
      trouble_.Note(answer.failure.reason(), answer.failure.message(), false, now);
    }
    sent.bulk.MayBeThere();
    Retry(std::move(sent.bulk), answer.failure, {}, now);
    return;
  }
  if (answer.status != 200) {
    TakeRefused(std::move(sent), answer, now);
    return;
  }
  addresses_.Answered(sent.address);
  std::vector<std::string> ids;
  ids.reserve(sent.bulk.entries.size());
  for (const Pending& entry : sent.bulk.entries) ids.push_back(IdOf(entry));
  const StatusOr<std::vector<BulkItem>> items = ReadItems(answer.body, ids);
  if (!items.ok()) {
    // It may have been done or not: sent again, it is there or is made.
    trouble_.Note(items.status().reason(), items.status().message(), false, now);
    sent.bulk.MayBeThere();
    Retry(std::move(sent.bulk), items.status(), {}, now);
    return;
  }
  Failpoint("opensearch.answered");
  if (!sent.bulk.is_probe) limit_.Answered(now - sent.at - sent.asking, OnTheirWay(false) + 1);
  Unblock();
  queue_.Passed();
  if (owner_.TakeItems(std::move(sent.bulk), *items, now)) {
    passed_sent_at_ = std::max(sent.at, passed_sent_at_.value_or(sent.at));
  }
}

// The engine takes requests; what it says of their records is another matter.
void BulkSender::Unblock() {
  if (std::exchange(blocked_until_, std::nullopt)) trouble_.Passed();
  block_backoff_.Reset();
}

void BulkSender::TakeRefused(Sent sent, const HttpAnswer& answer, BootTime now) {
  const EngineError error = ReadError(answer.status, answer.body);
  const RequestOutcome outcome = OutcomeOfRequest(error, client_->addresses() > 1);
  const Duration least = answer.retry_after.value_or(Duration::zero());
  Bulk bulk = std::move(sent.bulk);
  const Status why(StatusCode::kUnavailable, outcome.reason, outcome.text);
  if (sent.asks_who && outcome.remedy == RequestRemedy::kSplit) {
    // None of its records was sent.
    BlockAll(std::move(bulk), Reason::kBrokerError,
             fmt::format("what answers there does not say which cluster it is: check the "
                         "endpoint's address, and for a proxy before it ({})",
                         error.Text()),
             now);
    return;
  }
  const bool is_blamed = IsBlamed(bulk);
  if (!is_blamed && outcome.remedy != RequestRemedy::kSplit &&
      outcome.remedy != RequestRemedy::kBlock) {
    trouble_.Note(outcome.reason, outcome.text, false, now);
  }
  switch (outcome.remedy) {
    case RequestRemedy::kSplit:
      TakeBadRequest(std::move(bulk), error, now);
      return;
    case RequestRemedy::kSlower:
      if (!is_blamed) limit_.PushedBack();
      Retry(std::move(bulk), why,
            {.least = std::max<Duration>(least, 1s), .until_stuck = kThrottledLong}, now);
      return;
    case RequestRemedy::kElsewhere:
      if (!is_blamed) StandDown(sent, why, now);
      if (!sent.asks_who) bulk.MayBeThere();
      Retry(std::move(bulk), why, {.least = least}, now);
      return;
    case RequestRemedy::kBlock:
      BlockAll(std::move(bulk), outcome.reason, outcome.text, now);
      return;
  }
}

// One of its records is refused, or all are too much at once.
void BulkSender::TakeBadRequest(Bulk bulk, const EngineError& error, BootTime now) {
  if (error.status == 413) queue_.WasTooLarge(bulk.bytes);
  if (bulk.entries.size() > 1) {
    queue_.Split(std::move(bulk), now);
    return;
  }
  Unblock();
  owner_.TakeRefused(std::move(bulk.entries.front()), error, now);
}

// --- Who is at fault ----------------------------------------------------------------------------

void BulkSender::Retry(Bulk bulk, const Status& why, Patience patience, BootTime now) {
  if (!bulk.failing_since) bulk.failing_since = now;
  const BootTime due = now + std::max(patience.least, backoff_.Next());
  if (now - *bulk.failing_since < patience.until_stuck) {
    queue_.Later(std::move(bulk), due);
  } else if (HavePassedWhile(bulk)) {
    Blame(std::move(bulk), why, due, now);
  } else {
    TryApart(std::move(bulk), due);
  }
}

// No request passes: one is tried now and then.
void BulkSender::BlockAll(Bulk bulk, Reason reason, std::string text, BootTime now) {
  bulk.Doubt();  // by then it may be another index that is written
  if (!bulk.failing_since) bulk.failing_since = now;
  if (HavePassedWhile(bulk)) {
    Blame(std::move(bulk), {StatusCode::kFailedPrecondition, reason, std::move(text)},
          now + backoff_.Next(), now);
    return;
  }
  blocked_until_ = now + block_backoff_.Next();
  trouble_.Note(reason, text, true, now);
  if (now - *bulk.failing_since < kStuckAfter) {
    queue_.First(std::move(bulk), *blocked_until_);
    return;
  }
  if (!bulk.is_probe) {
    // It is another's turn, which may pass.
    block_backoff_.Reset();
    blocked_until_ = now + block_backoff_.Next();
  }
  TryApart(std::move(bulk), *blocked_until_);
}

// It may be the engine or the request: others go ahead and tell, or its halves where there are few.
void BulkSender::TryApart(Bulk bulk, BootTime due) {
  bulk.is_probe = true;
  if (bulk.entries.size() > 1 && AreFew()) {
    queue_.Split(std::move(bulk), due);
  } else {
    queue_.Later(std::move(bulk), due);
  }
}

// Whether there are too few requests for others to tell soon.
bool BulkSender::AreFew() const { return queue_.requests() + in_flight_.size() < kTellersLeast; }

// Whether others have passed since it failed last: then it is not the engine.
bool BulkSender::HavePassedWhile(const Bulk& bulk) const {
  return bulk.failing_since && HavePassedSince(bulk.blamed_at.value_or(*bulk.failing_since));
}

// The request is at fault, unless the engine comes and goes: where it fails once more, and others
// pass, the record for which it is refused is looked for by halves, and given back. One that fails
// by chance, as its connection breaks, is alone when it is tried once more.
void BulkSender::Blame(Bulk bulk, const Status& why, BootTime due, BootTime now) {
  bulk.is_probe = true;
  if (!bulk.blamed_at) {
    bulk.blamed_at = now;
    queue_.Later(std::move(bulk), due);
  } else if (bulk.entries.size() > 1) {
    bulk.blamed_at = now;
    queue_.Split(std::move(bulk), now);
  } else if (!std::exchange(bulk.has_failed_alone, true)) {
    if (!AreFew()) bulk.blamed_at = now;
    queue_.Later(std::move(bulk), due);
  } else {
    owner_.TakeFailed(std::move(bulk.entries.front()), why, now);
  }
}

void BulkSender::StandDown(const Sent& sent, const Status& why, BootTime now) {
  limit_.PushedBack();
  addresses_.StayedAway(sent.address, why, sent.WaitsSince(), now);
  gate_.Forget(sent.address);
}

}  // namespace drawbridge
