#include "relay/opensearch/index_letter_store.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "relay/opensearch/bulk_request.h"
#include "relay/opensearch/document.h"

namespace drawbridge {
namespace {

using nlohmann::json;

const Log kLog("relay.opensearch");

constexpr const char* kLastSeen = "drawbridge-error-last-seen";
constexpr const char* kFirstSeen = "drawbridge-error-first-seen";
constexpr const char* kBytes = "drawbridge-error-bytes";
constexpr int kFilingsMore = 2;  // where the answer to one is lost

WallTime TimeOf(const json& fields, const char* name) {
  const auto found = fields.find(name);
  if (found == fields.end() || !found->is_array() || found->empty()) return {};
  const json& first = found->front();
  const int64_t ms =
      first.is_string() ? std::stoll(first.get<std::string>()) : first.get<int64_t>();
  return FromMicros(ms * 1000);
}

// The letters of a bridge that are selected, without those of the turn.
json QueryFor(const std::string& bridge, const DeadLetterSelection& selection,
              const std::string& turn) {
  json filter = json::array();
  filter.push_back({{"term", {{"drawbridge-error-bridge", bridge}}}});
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
  return query;
}

Status NotOurs(const std::string& index, const std::exception& error) {
  return {StatusCode::kDataLoss, Reason::kBrokerError,
          fmt::format("{} does not answer as an index of dead letters: {}", index, error.what())};
}

}  // namespace

IndexLetterStore::IndexLetterStore(EngineView& engine, std::string index, std::string bridge,
                                   const Clock& clock)
    : engine_(engine), index_(std::move(index)), bridge_(std::move(bridge)), clock_(clock) {}

Duration IndexLetterStore::Left(BootTime deadline) const {
  return std::max<Duration>(deadline - clock_.Now(), std::chrono::seconds(1));
}

StatusOr<std::vector<IndexLetterStore::Hit>> IndexLetterStore::Search(
    const DeadLetterSelection& selection, const std::string& turn, LetterOrder order, int limit,
    BootTime deadline, int64_t& total) {
  json fields = json::array();
  for (const char* name : {kFirstSeen, kLastSeen}) {
    fields.push_back({{"field", name}, {"format", "epoch_millis"}});
  }
  const char* const direction = order == LetterOrder::kRefusedLast ? "desc" : "asc";
  const json body{{"size", limit},
                  {"track_total_hits", true},
                  {"query", QueryFor(bridge_, selection, turn)},
                  {"sort", {{{kLastSeen, direction}}}},
                  {"_source", {kBytes}},
                  {"docvalue_fields", fields}};
  const StatusOr<HttpAnswer> answer =
      engine_.Ask({.method = "POST",
                   .path = fmt::format("/{}/_search", index_),
                   .body = body.dump(-1, ' ', false, json::error_handler_t::replace),
                   .content_type = "application/json"},
                  Left(deadline));
  if (!answer.ok()) return answer.status();
  std::vector<Hit> hits;
  if (answer->status == 404 && ReadError(404, answer->body).type == "index_not_found_exception") {
    return hits;  // nothing was refused yet
  }
  if (answer->status != 200) {
    const Status finds = engine_.CheckDeadLetterIndex(index_, Left(deadline));
    return finds.ok() ? engine_.Refused(*answer) : finds;
  }
  try {
    const json said = json::parse(answer->body);
    total = said.at("hits").at("total").at("value");
    for (const json& hit : said.at("hits").at("hits")) {
      const json& times = hit.at("fields");
      hits.push_back({.id = hit.at("_id"),
                      .bytes = hit.at("_source").value(kBytes, int64_t{0}),
                      .first_refused = TimeOf(times, kFirstSeen),
                      .last_refused = TimeOf(times, kLastSeen)});
    }
  } catch (const std::exception& error) {
    return NotOurs(index_, error);
  }
  // None, or none that is found.
  if (hits.empty()) {
    if (Status finds = engine_.CheckDeadLetterIndex(index_, Left(deadline)); !finds.ok()) {
      return finds;
    }
  }
  // No more than may be read at once, but one at least.
  int64_t bytes = 0;
  const auto too_many = std::ranges::find_if(hits, [&](const Hit& hit) {
    const bool is_first = bytes == 0;
    bytes += hit.bytes + 1;
    return !is_first && bytes > kBytesMost;
  });
  hits.erase(too_many, hits.end());
  return hits;
}

Status IndexLetterStore::Fetch(const std::vector<Hit>& hits, BootTime deadline,
                               FoundLetters& found) {
  json ids = json::array();
  for (const Hit& hit : hits) ids.push_back(hit.id);
  const StatusOr<HttpAnswer> answer = engine_.Ask({.method = "POST",
                                                   .path = fmt::format("/{}/_mget", index_),
                                                   .body = json{{"ids", ids}}.dump(),
                                                   .content_type = "application/json"},
                                                  Left(deadline));
  if (!answer.ok()) return answer.status();
  if (answer->status != 200) return engine_.Refused(*answer);
  try {
    const json said = json::parse(answer->body);
    const json& documents = said.at("docs");
    for (size_t i = 0; i < documents.size() && i < hits.size(); ++i) {
      const json& document = documents[i];
      if (document.contains("error")) {
        return {StatusCode::kUnavailable, Reason::kBrokerError,
                fmt::format("{}: {} does not give its letters: it must be one index ({})",
                            engine_.endpoint(), index_, document["error"].dump())};
      }
      if (!document.value("found", false)) continue;  // gone meanwhile
      if (document.at("_id") != hits[i].id) continue;
      StatusOr<KeptRecord> kept = ReadDeadLetter(document.at("_source"));
      if (kept.ok()) {
        found.letters.push_back({.id = hits[i].id,
                                 .kept = *std::move(kept),
                                 .first_refused = hits[i].first_refused,
                                 .last_refused = hits[i].last_refused});
        continue;
      }
      kLog.Warn("what is among the dead letters is none",
                {{"index", index_}, {"id", hits[i].id}, {"text", kept.status().message()}});
      found.unreadable.push_back(hits[i].id);
    }
  } catch (const std::exception& error) {
    return NotOurs(index_, error);
  }
  return {};
}

StatusOr<FoundLetters> IndexLetterStore::Find(const DeadLetterSelection& selection,
                                              const std::string& turn, LetterOrder order, int limit,
                                              BootTime deadline) {
  FoundLetters found;
  // Those of a moment ago are found as well, where we may refresh.
  if (!std::exchange(is_refreshed_, true)) {
    const StatusOr<HttpAnswer> refreshed = engine_.Ask(
        {.method = "POST", .path = fmt::format("/{}/_refresh", index_)}, Left(deadline));
    if (!refreshed.ok()) return refreshed.status();
  }
  const StatusOr<std::vector<Hit>> hits =
      Search(selection, turn, order, limit, deadline, found.total);
  if (!hits.ok()) return hits.status();
  if (hits->empty()) return found;
  if (Status fetched = Fetch(*hits, deadline, found); !fetched.ok()) return fetched;
  return found;
}

// Takes letters out of the index, and writes into it what is known of the others; `ids` are those
// of all, in their order.
std::string IndexLetterStore::FilingOf(const LetterOutcomes& outcomes, const std::string& turn,
                                       std::vector<std::string>& ids) const {
  std::string body;
  const auto act = [&](const json& action) { body += action.dump() + '\n'; };
  const auto where = [&](const std::string& id) {
    ids.push_back(id);
    return json{{"_index", index_}, {"_id", id}};
  };
  const auto update = [&](const std::string& id) {
    json at = where(id);
    at["retry_on_conflict"] = 3;
    act({{"update", at}});
  };
  for (const Letter& letter : outcomes.taken) act({{"delete", where(letter.id)}});
  for (const Letter& letter : outcomes.refused) {
    update(letter.id);
    body += RefusedAgain(letter.kept.refusal,
                         {.bridge = bridge_,
                          .index = letter.kept.index,
                          .attempts = letter.kept.attempts,
                          .first_seen = letter.first_refused,
                          .last_seen = clock_.WallNow()},
                         turn) +
            '\n';
  }
  for (const std::string& id : outcomes.unreadable) {
    update(id);
    act({{"doc", {{"drawbridge-error-turn", turn}}}});
  }
  return body;
}

FiledLetters IndexLetterStore::File(const LetterOutcomes& outcomes, const std::string& turn,
                                    BootTime deadline) {
  FiledLetters filed;
  if (outcomes.size() == 0) return filed;
  std::vector<std::string> ids;
  const std::string body = FilingOf(outcomes, turn, ids);
  // Refreshed, so that the next search finds what this one has left.
  const std::string path = std::string(kBulkPath) + "&refresh=true";
  HttpAnswer answer;
  const auto file = [&] {
    answer = {};
    return engine_.Bulk({.path = path, .body = body}, ids, Left(deadline), answer);
  };
  StatusOr<std::vector<BulkItem>> items = file();
  // What was not answered may be done all the same, and is counted here or nowhere.
  bool may_be_done = false;
  for (int i = 0; i < kFilingsMore && !items.ok() && answer.status / 100 != 4; ++i) {
    may_be_done = true;
    items = file();
  }
  may_be_done = may_be_done || answer.may_be_done;
  if (!items.ok()) {
    filed.status = items.status();
    return filed;
  }
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const EngineError& error = (*items)[i].error;
    const bool is_out = error.status == 404 && may_be_done && i < outcomes.taken.size();
    if (error.status == 404 && !is_out) continue;  // somebody else has done it
    if (error.status >= 300 && !is_out) {
      filed.status = Status(StatusCode::kUnavailable, Reason::kBrokerError,
                            fmt::format("{}: {} does not take what became of its letters: {}",
                                        engine_.endpoint(), index_, error.Text()));
    } else if (i < outcomes.taken.size()) {
      filed.taken.push_back(i);
    } else if (i < outcomes.taken.size() + outcomes.refused.size()) {
      ++filed.refused;
    }
  }
  return filed;
}

}  // namespace drawbridge
