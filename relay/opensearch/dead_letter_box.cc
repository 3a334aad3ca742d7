#include "relay/opensearch/dead_letter_box.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/random_id.h"
#include "relay/opensearch/bulk_request.h"
#include "relay/opensearch/index_letter_store.h"
#include "relay/opensearch/presence_check.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr int kRoundLetters = 1000;
// What a page tells of each record and of all of them: it travels in one message to the server.
constexpr size_t kValueBytesTold = size_t{16} << 10;
constexpr size_t kKeyBytesTold = size_t{1} << 10;
constexpr size_t kHeaderBytesTold = size_t{4} << 10;
constexpr size_t kPageBytesTold = size_t{512} << 10;
// More of them end a call: they travel in one message as well.
constexpr size_t kGroupsMost = 1000;

// As it goes to an operator.
DeadLetterRecord Told(const KeptRecord& kept, WallTime first_refused, WallTime last_refused) {
  DeadLetterRecord told{.topic = kept.route.source_topic,
                        .partition = kept.route.partition,
                        .offset = kept.offset,
                        .source_epoch = kept.route.source_epoch,
                        .timestamp_ms = kept.timestamp_ms,
                        .error = kept.refusal.group,
                        .status = kept.refusal.status,
                        .reason = kept.refusal.reason,
                        .index = kept.index,
                        .attempts = kept.attempts,
                        .first_refused = first_refused,
                        .last_refused = last_refused};
  if (kept.key) told.key = kept.key->substr(0, kKeyBytesTold);
  if (kept.value) {
    told.value = kept.value->substr(0, kValueBytesTold);
    told.value_bytes = static_cast<int64_t>(kept.value->size());
  }
  size_t header_bytes = 0;
  for (const auto& [name, value] : kept.headers) {
    header_bytes += name.size() + value.value_or("").size();
  }
  if (header_bytes <= kHeaderBytesTold) told.headers = kept.headers;
  return told;
}

// About, in a message.
size_t BytesOf(const DeadLetterRecord& told) {
  constexpr size_t kNumbers = 200;
  constexpr size_t kHeader = 16;
  size_t bytes = kNumbers + told.topic.size() + told.error.size() + told.reason.size() +
                 told.index.size() + told.key.value_or("").size() + told.value.value_or("").size();
  for (const auto& [name, value] : told.headers) {
    bytes += kHeader + name.size() + value.value_or("").size();
  }
  return bytes;
}

// Whether an engine's refusal is that of one index, while others may take records.
bool IsOfOneIndex(const EngineError& error) {
  return error.status == 400 || error.status == 404 ||
         (error.status == 403 && error.type != "security_exception");
}

// A letter whose index takes no record is refused again, so that the others need not wait for it.
ItemOutcome OutcomeForLetter(const BulkItem& item) {
  if (!WhyNotIndexed(item).empty()) return ItemOutcome::kBadRecord;
  const ItemOutcome outcome = OutcomeOf(item);
  const bool is_of_one = outcome == ItemOutcome::kSystemic && IsOfOneIndex(item.error);
  return is_of_one ? ItemOutcome::kBadRecord : outcome;
}

}  // namespace

StatusOr<std::unique_ptr<DeadLetterBox>> DeadLetterBox::Open(SearchEngine engine,
                                                             std::string cluster_id,
                                                             const BridgeSpec& bridge,
                                                             std::string relay, const Clock& clock,
                                                             std::unique_ptr<LetterStore> letters) {
  StatusOr<IndexTemplate> index = IndexTemplate::Create(bridge.target.index);
  if (!index.ok()) return index.status().At("target.index");
  StatusOr<std::unique_ptr<EngineView>> view =
      EngineView::Open(std::move(engine), std::move(cluster_id));
  if (!view.ok()) return view.status();
  if (!letters) {
    letters =
        std::make_unique<IndexLetterStore>(**view, bridge.target.letters(), bridge.name, clock);
  }
  return std::unique_ptr<DeadLetterBox>(
      new DeadLetterBox(*std::move(view), *std::move(index), std::move(letters),
                        TaskPrefix(bridge.name) + "dead-letters/retry", std::move(relay), clock));
}

DeadLetterBox::DeadLetterBox(std::unique_ptr<EngineView> engine, IndexTemplate index,
                             std::unique_ptr<LetterStore> letters, std::string task_prefix,
                             std::string relay, const Clock& clock)
    : engine_(std::move(engine)),
      index_(std::move(index)),
      letters_(std::move(letters)),
      task_prefix_(std::move(task_prefix)),
      clock_(clock),
      shaper_(std::move(relay)),
      round_letters_max_(kRoundLetters) {}

Duration DeadLetterBox::Left(BootTime deadline) const {
  return std::max<Duration>(deadline - clock_.Now(), 1s);
}

StatusOr<DeadLetterPage> DeadLetterBox::Read(const DeadLetterSelection& selection, int limit,
                                             BootTime deadline) {
  const StatusOr<FoundLetters> found =
      letters_->Find(selection, {}, LetterOrder::kRefusedLast, limit, deadline);
  if (!found.ok()) return found.status();
  DeadLetterPage page{.letters = {}, .total = found->total};
  size_t bytes = 0;
  for (const Letter& letter : found->letters) {
    DeadLetterRecord told = Told(letter.kept, letter.first_refused, letter.last_refused);
    bytes += BytesOf(told);
    if (bytes > kPageBytesTold) break;
    page.letters.push_back(std::move(told));
  }
  return page;
}

// --- Sending again ------------------------------------------------------------------------------

// Records that a retry before this one has brought in, and whose letters it could not take out.
Status DeadLetterBox::TakePresent(std::vector<Letter>& letters, LetterOutcomes& outcomes,
                                  BootTime deadline) {
  if (letters.empty()) return {};
  const auto index_of = [&](const Letter& letter) {
    return index_.Apply(letter.kept.route.source_topic, letter.kept.timestamp_ms);
  };
  std::set<std::string> names;
  std::vector<std::string> ids;
  std::vector<int64_t> timestamps_ms;
  for (const Letter& letter : letters) {
    std::set<std::string> with_it = names;
    with_it.insert(index_of(letter));
    if (!PresenceCheck::Fits(with_it)) break;
    names = std::move(with_it);
    ids.push_back(DocumentId(letter.kept.route, letter.kept.offset));
    timestamps_ms.push_back(letter.kept.timestamp_ms);
  }
  // The others are for the next round.
  letters.erase(letters.begin() + static_cast<std::ptrdiff_t>(ids.size()), letters.end());
  PresenceCheck check(task_prefix_, std::move(names), std::move(ids),
                      PresenceCheck::OldestOf(timestamps_ms, clock_.WallNow()));
  for (PresenceCheck::Verdict verdict = PresenceCheck::Verdict::kGoOn;
       verdict != PresenceCheck::Verdict::kDone;) {
    const StatusOr<HttpAnswer> answer = engine_->Ask(check.Next(), Left(deadline));
    if (!answer.ok()) return answer.status();
    verdict = check.Take(*answer);
    if (verdict == PresenceCheck::Verdict::kUnclear && check.is_for_fewer()) {
      const std::string first = index_of(letters.front());
      std::erase_if(letters, [&](const Letter& letter) { return index_of(letter) != first; });
      return TakePresent(letters, outcomes, deadline);
    }
    if (verdict == PresenceCheck::Verdict::kUnclear) return check.status();
    if (verdict == PresenceCheck::Verdict::kWait) {
      return {StatusCode::kUnavailable, check.status().reason(),
              check.status().message() + "; try again in a moment"};
    }
  }
  std::vector<Letter> missing;
  for (Letter& letter : letters) {
    const bool is_there =
        check.present().contains(DocumentId(letter.kept.route, letter.kept.offset));
    (is_there ? outcomes.taken : missing).push_back(std::move(letter));
  }
  letters = std::move(missing);
  return {};
}

// Those that cannot be sent are no longer among the letters, but refused.
Status DeadLetterBox::Frame(std::vector<Letter>& letters, LetterOutcomes& outcomes,
                            std::string& body) {
  std::vector<Letter> framed;
  framed.reserve(letters.size());
  for (Letter& letter : letters) {
    KeptRecord& kept = letter.kept;
    Record record;
    record.offset = kept.offset;
    record.timestamp_ms = kept.timestamp_ms;
    if (kept.value) record.value = *kept.value;
    kept.index = index_.Apply(kept.route.source_topic, kept.timestamp_ms);
    ++kept.attempts;
    if (letters_->IsIndex(kept.index)) {
      return {
          StatusCode::kFailedPrecondition, Reason::kFieldInvalid,
          fmt::format("{} is the index of the dead letters as well: name another one", kept.index)};
    }
    const Status shaped =
        AppendRecord(kept.index, kept.route, record, clock_.WallNow(), shaper_, body);
    if (!shaped.ok()) {
      kept.refusal.status = 0;
      kept.refusal.type = "drawbridge_refused";
      kept.refusal.reason = shaped.message();
      outcomes.refused.push_back(std::move(letter));
      continue;
    }
    framed.push_back(std::move(letter));
  }
  letters = std::move(framed);
  return {};
}

// What the engine takes from nobody at present leaves the letter as it is.
void DeadLetterBox::Judge(Letter letter, const BulkItem& item, ItemOutcome outcome,
                          Round& round) const {
  const EngineError& error = item.error;
  switch (outcome) {
    case ItemOutcome::kDelivered:
    case ItemOutcome::kThere:
      round.outcomes.taken.push_back(std::move(letter));
      break;
    case ItemOutcome::kBadRecord: {
      const std::string_view why_not = WhyNotIndexed(item);
      Refusal& refusal = letter.kept.refusal;
      refusal = {.status = error.status,
                 .type = error.type,
                 .caused_by = error.caused_by,
                 .reason = why_not.empty() ? error.Text() : std::string(why_not),
                 .group = std::move(refusal.group)};
      round.outcomes.refused.push_back(std::move(letter));
      break;
    }
    case ItemOutcome::kBackPressure:
    case ItemOutcome::kPassing:
    case ItemOutcome::kSystemic:
      round.halt = Status(StatusCode::kUnavailable, Reason::kBrokerError,
                          fmt::format("{}: the engine takes no record for {} at present: {}",
                                      engine_->endpoint(), letter.kept.index, error.Text()));
      break;
  }
}

StatusOr<DeadLetterBox::Round> DeadLetterBox::Send(std::vector<Letter> letters, BootTime deadline) {
  Round round;
  if (Status looked = TakePresent(letters, round.outcomes, deadline); !looked.ok()) return looked;
  std::string body;
  if (Status framed = Frame(letters, round.outcomes, body); !framed.ok()) return framed;
  if (letters.empty()) return round;
  std::vector<std::string> ids;
  ids.reserve(letters.size());
  for (const Letter& letter : letters) {
    ids.push_back(DocumentId(letter.kept.route, letter.kept.offset));
  }
  HttpAnswer answer;
  const StatusOr<std::vector<BulkItem>> items =
      engine_->Bulk({.path = std::string(kBulkPath), .body = body, .opaque_id = task_prefix_}, ids,
                    Left(deadline), answer);
  if (items.ok()) {
    for (size_t i = 0; i < items->size(); ++i) {
      const BulkItem& item = (*items)[i];
      Judge(std::move(letters[i]), item, OutcomeForLetter(item), round);
    }
    return round;
  }
  if (answer.status != 413 && answer.status != 400) return items.status();
  if (letters.size() == 1) {
    Judge(std::move(letters.front()), {.error = ReadError(answer.status, answer.body)},
          ItemOutcome::kBadRecord, round);
    return round;
  }
  // One of them is refused with all the others: fewer at a time find it.
  round_letters_max_ = std::max(1, static_cast<int>(letters.size() / 2));
  return round;
}

StatusOr<RetriedDeadLetters> DeadLetterBox::Retry(const DeadLetterSelection& selection,
                                                  std::string turn, BootTime deadline) {
  RetriedDeadLetters done{.groups = {},
                          .refused = 0,
                          .left = 0,
                          .turn = turn.empty() ? NewRandomId() : std::move(turn)};
  Groups groups;
  std::set<std::string> tried;
  bool has_tried = false;
  const BootTime enough = clock_.Now() + (deadline - clock_.Now()) / 2;
  // What was done is told, though it ends in an error: the next call begins with that.
  const auto ended = [&](const Status& why) -> StatusOr<RetriedDeadLetters> {
    if (groups.empty() && done.refused == 0 && !why.ok()) return why;
    for (const auto& [group, records] : groups) {
      const auto& [topic, partition, error] = group;
      done.groups.push_back(
          {.topic = topic, .partition = partition, .error = error, .records = records});
    }
    done.turn = letters_->Continue(done.turn);
    return done;
  };
  for (;;) {
    StatusOr<FoundLetters> found = letters_->Find(selection, done.turn, LetterOrder::kRefusedFirst,
                                                  round_letters_max_, deadline);
    if (!found.ok()) return ended(found.status());
    done.left = found->total;
    // One round at least, so that many calls come to an end however long each of them looks.
    const bool is_enough = std::exchange(has_tried, true) && clock_.Now() >= enough;
    if (done.left == 0 || is_enough || groups.size() >= kGroupsMost) return ended({});
    if (found->letters.empty() && found->unreadable.empty()) {
      return ended({StatusCode::kUnavailable, Reason::kBrokerError,
                    fmt::format("{}: {} dead letters are counted and none is found: try again",
                                engine_->endpoint(), done.left)});
    }
    StatusOr<Round> round = Send(std::move(found->letters), deadline);
    if (!round.ok()) return ended(round.status());
    LetterOutcomes& outcomes = round->outcomes;
    outcomes.unreadable = std::move(found->unreadable);
    const FiledLetters filed = letters_->File(outcomes, done.turn, deadline);
    for (const size_t i : filed.taken) {
      const KeptRecord& kept = outcomes.taken[i].kept;
      ++groups[{kept.route.source_topic, kept.route.partition, kept.refusal.group}];
    }
    done.refused += filed.refused;
    if (!filed.status.ok()) return ended(filed.status);
    done.left -= std::min(done.left, static_cast<int64_t>(outcomes.size()));
    if (!round->halt.ok()) return ended(round->halt);
    for (const Letter& letter : outcomes.refused) {
      if (tried.insert(letter.id).second) continue;
      // It would go on for ever.
      const Status why(StatusCode::kFailedPrecondition, Reason::kBrokerError,
                       fmt::format("{}: the index of the dead letters does not find "
                                   "drawbridge-error-turn, so that it cannot be told what has been "
                                   "tried: let the endpoint's user change the index's mapping, or "
                                   "add that field as a keyword",
                                   engine_->endpoint()));
      // The next call, which has nothing to tell, says so.
      if (!groups.empty()) return ended(why);
      return why;
    }
  }
}

}  // namespace drawbridge
