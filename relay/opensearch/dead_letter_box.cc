#include "relay/opensearch/dead_letter_box.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "relay/opensearch/bulk_request.h"
#include "relay/opensearch/presence_check.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr int kRoundLetters = 1000;
// What is read at once, as the records came; as JSON it is up to twice that, and rarely more.
constexpr int64_t kRoundBytes = int64_t{8} << 20;
// What a page tells of each record and of all of them: it travels in one message to the server.
constexpr size_t kValueBytesTold = size_t{16} << 10;
constexpr size_t kKeyBytesTold = size_t{1} << 10;
constexpr size_t kHeaderBytesTold = size_t{4} << 10;
constexpr size_t kPageBytesTold = size_t{512} << 10;
// More of them end a call: they travel in one message as well.
constexpr size_t kGroupsMost = 1000;

const Log kLog("relay.opensearch");

constexpr const char* kLastSeen = "drawbridge-error-last-seen";
constexpr const char* kFirstSeen = "drawbridge-error-first-seen";
constexpr const char* kBytes = "drawbridge-error-bytes";

WallTime TimeOf(const json& fields, const char* name) {
  const auto found = fields.find(name);
  if (found == fields.end() || !found->is_array() || found->empty()) return {};
  const json& first = found->front();
  const int64_t ms =
      first.is_string() ? std::stoll(first.get<std::string>()) : first.get<int64_t>();
  return FromMicros(ms * 1000);
}

Status NotOurs(const std::string& index, const std::exception& error) {
  return {StatusCode::kDataLoss, Reason::kBrokerError,
          fmt::format("{} does not answer as an index of dead letters: {}", index, error.what())};
}

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

std::string NewTurn() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

}  // namespace

StatusOr<std::unique_ptr<DeadLetterBox>> DeadLetterBox::Open(SearchEngine engine, BridgeSpec bridge,
                                                             std::string relay,
                                                             const Clock& clock) {
  StatusOr<IndexTemplate> index = IndexTemplate::Create(bridge.target.index);
  if (!index.ok()) return index.status().At("target.index");
  StatusOr<std::unique_ptr<EngineView>> view = EngineView::Open(std::move(engine));
  if (!view.ok()) return view.status();
  return std::unique_ptr<DeadLetterBox>(new DeadLetterBox(
      *std::move(view), std::move(bridge), *std::move(index), std::move(relay), clock));
}

DeadLetterBox::DeadLetterBox(std::unique_ptr<EngineView> engine, BridgeSpec bridge,
                             IndexTemplate index, std::string relay, const Clock& clock)
    : engine_(std::move(engine)),
      bridge_(std::move(bridge)),
      index_(std::move(index)),
      letters_(bridge_.target.letters()),
      clock_(clock),
      shaper_(std::move(relay)),
      round_letters_max_(kRoundLetters) {}

Duration DeadLetterBox::Left(BootTime deadline) const {
  return std::max<Duration>(deadline - clock_.Now(), 1s);
}

// --- Reading ------------------------------------------------------------------------------------

StatusOr<DeadLetterBox::Hits> DeadLetterBox::Find(const DeadLetterSelection& selection,
                                                  const std::string& turn, bool newest_first,
                                                  int limit, BootTime deadline) {
  json filter = json::array();
  filter.push_back({{"term", {{"drawbridge-error-bridge", bridge_.name}}}});
  if (!selection.topic.empty()) {
    filter.push_back({{"term", {{"drawbridge-error-topic", selection.topic}}}});
  }
  if (!selection.error.empty()) {
    filter.push_back({{"term", {{"drawbridge-error-group", selection.error}}}});
  }
  json query{{"bool", {{"filter", filter}}}};
  if (!turn.empty()) {
    query["bool"]["must_not"] = {{"term", {{"drawbridge-error-turn", turn}}}};
  }
  json fields = json::array();
  for (const char* name : {kFirstSeen, kLastSeen}) {
    fields.push_back({{"field", name}, {"format", "epoch_millis"}});
  }
  const json body{{"size", limit},       {"track_total_hits", true},
                  {"query", query},      {"sort", {{{kLastSeen, newest_first ? "desc" : "asc"}}}},
                  {"_source", {kBytes}}, {"docvalue_fields", fields}};
  const StatusOr<HttpAnswer> answer =
      engine_->Ask({.method = "POST",
                    .path = fmt::format("/{}/_search", letters_),
                    .body = body.dump(-1, ' ', false, json::error_handler_t::replace),
                    .content_type = "application/json"},
                   Left(deadline));
  if (!answer.ok()) return answer.status();
  if (answer->status == 404) return Hits{};  // nothing was refused yet
  if (answer->status != 200) return engine_->Refused(*answer);
  Hits hits;
  try {
    const json said = json::parse(answer->body);
    hits.total = said.at("hits").at("total").at("value");
    for (const json& hit : said.at("hits").at("hits")) {
      const json& times = hit.at("fields");
      hits.found.push_back({.id = hit.at("_id"),
                            .bytes = hit.at("_source").value(kBytes, int64_t{0}),
                            .first_refused = TimeOf(times, kFirstSeen),
                            .last_refused = TimeOf(times, kLastSeen)});
    }
  } catch (const std::exception& error) {
    return NotOurs(letters_, error);
  }
  // No more than may be read at once, but one at least.
  int64_t bytes = 0;
  const auto too_many = std::ranges::find_if(hits.found, [&](const Found& found) {
    const bool is_first = bytes == 0;
    bytes += found.bytes + 1;
    return !is_first && bytes > kRoundBytes;
  });
  hits.found.erase(too_many, hits.found.end());
  return hits;
}

StatusOr<DeadLetterBox::Fetched> DeadLetterBox::Fetch(const std::vector<Found>& found,
                                                      BootTime deadline) {
  Fetched fetched;
  if (found.empty()) return fetched;
  json ids = json::array();
  for (const Found& one : found) ids.push_back(one.id);
  const StatusOr<HttpAnswer> answer = engine_->Ask({.method = "POST",
                                                    .path = fmt::format("/{}/_mget", letters_),
                                                    .body = json{{"ids", ids}}.dump(),
                                                    .content_type = "application/json"},
                                                   Left(deadline));
  if (!answer.ok()) return answer.status();
  if (answer->status != 200) return engine_->Refused(*answer);
  try {
    const json said = json::parse(answer->body);
    const json& documents = said.at("docs");
    for (size_t i = 0; i < documents.size() && i < found.size(); ++i) {
      const json& document = documents[i];
      if (document.contains("error")) {
        return Status(StatusCode::kUnavailable, Reason::kBrokerError,
                      fmt::format("{}: {} does not give its letters: it must be one index ({})",
                                  engine_->endpoint(), letters_, document["error"].dump()));
      }
      if (!document.value("found", false)) continue;  // gone meanwhile
      if (document.at("_id") != found[i].id) continue;
      StatusOr<KeptRecord> kept = ReadDeadLetter(document.at("_source"));
      if (kept.ok()) {
        fetched.letters.push_back({.found = found[i], .kept = *std::move(kept)});
        continue;
      }
      kLog.Warn("what is among the dead letters is none",
                {{"index", letters_}, {"id", found[i].id}, {"text", kept.status().message()}});
      fetched.unreadable.push_back(found[i].id);
    }
  } catch (const std::exception& error) {
    return NotOurs(letters_, error);
  }
  return fetched;
}

StatusOr<DeadLetterPage> DeadLetterBox::Read(const DeadLetterSelection& selection, int limit,
                                             BootTime deadline) {
  const StatusOr<Hits> hits = Find(selection, {}, true, limit, deadline);
  if (!hits.ok()) return hits.status();
  const StatusOr<Fetched> fetched = Fetch(hits->found, deadline);
  if (!fetched.ok()) return fetched.status();
  DeadLetterPage page{.letters = {}, .total = hits->total};
  size_t bytes = 0;
  for (const Letter& letter : fetched->letters) {
    DeadLetterRecord told =
        Told(letter.kept, letter.found.first_refused, letter.found.last_refused);
    bytes += BytesOf(told);
    if (bytes > kPageBytesTold) break;
    page.letters.push_back(std::move(told));
  }
  return page;
}

// --- Sending again ------------------------------------------------------------------------------

// The items of the answer; where there are none the answer says why, or the status.
StatusOr<std::vector<BulkItem>> DeadLetterBox::Bulk(const std::string& path,
                                                    const std::string& body, size_t count,
                                                    BootTime deadline, HttpAnswer& answer) {
  StatusOr<std::string> packed = Gzip(body);
  if (!packed.ok()) return packed.status();
  StatusOr<HttpAnswer> said = engine_->Ask({.method = "POST",
                                            .path = path,
                                            .body = *std::move(packed),
                                            .content_type = "application/x-ndjson",
                                            .is_gzip = true},
                                           Left(deadline));
  if (!said.ok()) return said.status();
  answer = *std::move(said);
  if (answer.status != 200) return engine_->Refused(answer);
  return ReadItems(answer.body, count);
}

// Records that a retry before this one has brought in, and whose letters it could not take out.
Status DeadLetterBox::TakePresent(std::vector<Letter>& letters, Round& round, BootTime deadline) {
  if (letters.empty()) return {};
  std::set<std::string> names;
  std::vector<std::string> ids;
  for (const Letter& letter : letters) {
    std::set<std::string> with_it = names;
    with_it.insert(index_.Apply(letter.kept.route.source_topic, letter.kept.timestamp_ms));
    if (!PresenceCheck::Fits(with_it)) break;
    names = std::move(with_it);
    ids.push_back(DocumentId(letter.kept.route, letter.kept.offset));
  }
  // The others are for the next round.
  letters.erase(letters.begin() + static_cast<std::ptrdiff_t>(ids.size()), letters.end());
  PresenceCheck check(names, std::move(ids));
  for (PresenceCheck::Verdict verdict = PresenceCheck::Verdict::kGoOn;
       verdict != PresenceCheck::Verdict::kDone;) {
    const StatusOr<HttpAnswer> answer = engine_->Ask(check.Next(), Left(deadline));
    if (!answer.ok()) return answer.status();
    verdict = check.Take(*answer);
    if (verdict == PresenceCheck::Verdict::kUnclear) return check.status();
  }
  std::vector<Letter> missing;
  for (Letter& letter : letters) {
    const bool is_there =
        check.present().contains(DocumentId(letter.kept.route, letter.kept.offset));
    (is_there ? round.taken : missing).push_back(std::move(letter));
  }
  letters = std::move(missing);
  return {};
}

StatusOr<DeadLetterBox::Round> DeadLetterBox::Send(std::vector<Letter> letters, BootTime deadline) {
  Round round;
  if (Status looked = TakePresent(letters, round, deadline); !looked.ok()) return looked;
  std::string body;
  std::vector<Letter> framed;
  for (Letter& letter : letters) {
    KeptRecord& kept = letter.kept;
    Record record;
    record.offset = kept.offset;
    record.timestamp_ms = kept.timestamp_ms;
    if (kept.value) record.value = *kept.value;
    kept.index = index_.Apply(kept.route.source_topic, kept.timestamp_ms);
    ++kept.attempts;
    if (kept.index == letters_) {
      return Status(
          StatusCode::kFailedPrecondition, Reason::kFieldInvalid,
          fmt::format("{} is the index of the dead letters as well: name another one", letters_));
    }
    const size_t start = body.size();
    AppendCreate(kept.index, DocumentId(kept.route, kept.offset), body);
    const Status shaped = shaper_.Append(kept.route, record, clock_.WallNow(), body);
    if (!shaped.ok()) {
      body.resize(start);
      kept.refusal.status = 0;
      kept.refusal.type = "drawbridge_refused";
      kept.refusal.reason = shaped.message();
      round.refused.push_back(std::move(letter));
      continue;
    }
    body += '\n';
    framed.push_back(std::move(letter));
  }
  if (framed.empty()) return round;
  HttpAnswer answer;
  const StatusOr<std::vector<BulkItem>> items =
      Bulk(std::string(kBulkPath), body, framed.size(), deadline, answer);
  std::vector<BulkItem> outcomes;
  if (items.ok()) {
    outcomes = *items;
  } else if ((answer.status == 413 || answer.status == 400) && framed.size() == 1) {
    outcomes = {{.error = ReadError(answer.status, answer.body)}};
  } else if (answer.status == 413 || answer.status == 400) {
    // One of them is refused with all the others: fewer at a time find it.
    round_letters_max_ = std::max(1, static_cast<int>(framed.size() / 2));
    return round;
  } else {
    return items.status();
  }
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const EngineError& error = outcomes[i].error;
    const bool is_alone = !items.ok();
    ItemOutcome outcome = is_alone ? ItemOutcome::kBadRecord : OutcomeOf(outcomes[i]);
    if (outcomes[i].is_diverted) outcome = ItemOutcome::kBadRecord;
    if (outcome == ItemOutcome::kSystemic && IsOfOneIndex(error)) outcome = ItemOutcome::kBadRecord;
    switch (outcome) {
      case ItemOutcome::kDelivered:
      case ItemOutcome::kThere:
        round.taken.push_back(std::move(framed[i]));
        break;
      case ItemOutcome::kBadRecord: {
        Refusal& refusal = framed[i].kept.refusal;
        refusal = {.status = error.status,
                   .type = error.type,
                   .caused_by = error.caused_by,
                   .reason = outcomes[i].is_diverted ? "kept among the ::failures of its stream"
                                                     : error.Text(),
                   .group = std::move(refusal.group)};
        round.refused.push_back(std::move(framed[i]));
        break;
      }
      case ItemOutcome::kBackPressure:
      case ItemOutcome::kPassing:
      case ItemOutcome::kSystemic:
        round.halt = Status(StatusCode::kUnavailable, Reason::kBrokerError,
                            fmt::format("{}: the engine takes no record for {} at present: {}",
                                        engine_->endpoint(), framed[i].kept.index, error.Text()));
        break;
    }
  }
  return round;
}

// Takes letters out of the index, and writes into it what is known of the others.
Status DeadLetterBox::File(const Round& round, const std::string& turn, BootTime deadline,
                           Groups& groups, RetriedDeadLetters& done) {
  std::string body;
  const auto act = [&](const json& action) { body += action.dump() + '\n'; };
  const auto where = [&](const std::string& id) { return json{{"_index", letters_}, {"_id", id}}; };
  const auto update = [&](const std::string& id) {
    json at = where(id);
    at["retry_on_conflict"] = 3;
    act({{"update", at}});
  };
  for (const Letter& letter : round.taken) act({{"delete", where(letter.found.id)}});
  for (const Letter& letter : round.refused) {
    update(letter.found.id);
    body += RefusedAgain(letter.kept.refusal,
                         {.bridge = bridge_.name,
                          .index = letter.kept.index,
                          .attempts = letter.kept.attempts,
                          .first_seen = letter.found.first_refused,
                          .last_seen = clock_.WallNow()},
                         turn) +
            '\n';
  }
  for (const std::string& id : round.unreadable) {
    update(id);
    act({{"doc", {{"drawbridge-error-turn", turn}}}});
  }
  const size_t count = round.taken.size() + round.refused.size() + round.unreadable.size();
  if (count == 0) return {};
  // Refreshed, so that the next round finds what this one has left.
  HttpAnswer answer;
  const std::string path = std::string(kBulkPath) + "&refresh=true";
  const StatusOr<std::vector<BulkItem>> items = Bulk(path, body, count, deadline, answer);
  if (!items.ok()) return items.status();
  Status failure;
  for (size_t i = 0; i < count; ++i) {
    const EngineError& error = (*items)[i].error;
    if (error.status == 404) continue;  // somebody else has done it
    if (error.status >= 300) {
      failure = Status(StatusCode::kUnavailable, Reason::kBrokerError,
                       fmt::format("{}: {} does not take what became of its letters: {}",
                                   engine_->endpoint(), letters_, error.Text()));
    } else if (i < round.taken.size()) {
      const KeptRecord& kept = round.taken[i].kept;
      ++groups[{kept.route.source_topic, kept.route.partition, kept.refusal.group}];
    } else if (i < round.taken.size() + round.refused.size()) {
      ++done.refused;
    }
  }
  return failure;
}

StatusOr<RetriedDeadLetters> DeadLetterBox::Retry(const DeadLetterSelection& selection,
                                                  std::string turn, BootTime deadline) {
  RetriedDeadLetters done{
      .groups = {}, .refused = 0, .left = 0, .turn = turn.empty() ? NewTurn() : std::move(turn)};
  Groups groups;
  std::set<std::string> tried;
  const BootTime enough = clock_.Now() + (deadline - clock_.Now()) / 2;
  // What was done is told, though it ends in an error: the next call begins with that.
  const auto ended = [&](const Status& why) -> StatusOr<RetriedDeadLetters> {
    if (groups.empty() && done.refused == 0 && !why.ok()) return why;
    for (const auto& [group, records] : groups) {
      const auto& [topic, partition, error] = group;
      done.groups.push_back(
          {.topic = topic, .partition = partition, .error = error, .records = records});
    }
    return done;
  };
  for (;;) {
    const StatusOr<Hits> hits = Find(selection, done.turn, false, round_letters_max_, deadline);
    if (!hits.ok()) return ended(hits.status());
    done.left = hits->total;
    if (done.left == 0 || clock_.Now() >= enough || groups.size() >= kGroupsMost) return ended({});
    StatusOr<Fetched> fetched = Fetch(hits->found, deadline);
    if (!fetched.ok()) return ended(fetched.status());
    std::vector<std::string> unreadable = std::move(fetched->unreadable);
    StatusOr<Round> round = Send(std::move(fetched->letters), deadline);
    if (!round.ok()) return ended(round.status());
    round->unreadable = std::move(unreadable);
    const auto filed = static_cast<int64_t>(round->taken.size() + round->refused.size() +
                                            round->unreadable.size());
    const Status stored = File(*round, done.turn, deadline, groups, done);
    if (stored.ok()) done.left -= std::min(done.left, filed);
    if (!stored.ok()) return ended(stored);
    if (!round->halt.ok()) return ended(round->halt);
    for (const Letter& letter : round->refused) {
      if (tried.insert(letter.found.id).second) continue;
      // It would go on for ever.
      return Status(StatusCode::kFailedPrecondition, Reason::kBrokerError,
                    fmt::format("{}: {} does not find drawbridge-error-turn, so that it cannot be "
                                "told what has been tried: let the endpoint's user change the "
                                "index's mapping, or add that field as a keyword",
                                engine_->endpoint(), letters_));
    }
  }
}

}  // namespace drawbridge
