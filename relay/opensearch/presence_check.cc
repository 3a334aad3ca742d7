#include "relay/opensearch/presence_check.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "relay/opensearch/bulk_answer.h"

namespace drawbridge {
namespace {

using nlohmann::json;

// Engines read 4 KiB of a request's first line, and give so many hits at once whatever they are set
// to.
constexpr size_t kPathBytesMax = 2000;
constexpr size_t kIdsAtOnce = 500;
constexpr const char* kJson = "application/json";
// A name that is not there yet is made by the first document.
constexpr const char* kOptions = "ignore_unavailable=true&allow_no_indices=true";

std::string PathOf(const std::set<std::string>& names) {
  return fmt::format("/{}", fmt::join(names, ","));
}

}  // namespace

bool PresenceCheck::Fits(const std::set<std::string>& names) {
  return PathOf(names).size() <= kPathBytesMax;
}

PresenceCheck::PresenceCheck(const std::set<std::string>& names, std::vector<std::string> ids)
    : names_(names), ids_(std::move(ids)), path_(PathOf(names)) {}

HttpRequest PresenceCheck::Next() const {
  switch (step_) {
    case Step::kResolve:
      return {.method = "GET", .path = fmt::format("{}/_settings/index.uuid?{}", path_, kOptions)};
    case Step::kRefresh:
      return {.method = "POST", .path = fmt::format("{}/_refresh?{}", path_, kOptions)};
    case Step::kSearch:
      break;
  }
  const auto from = ids_.begin() + static_cast<std::ptrdiff_t>(searched_);
  const size_t count = std::min(kIdsAtOnce, ids_.size() - searched_);
  const std::vector<std::string> ids(from, from + static_cast<std::ptrdiff_t>(count));
  // Each is there once, or twice where it was not looked for.
  const json body{{"size", 2 * count}, {"_source", false}, {"query", {{"ids", {{"values", ids}}}}}};
  return {.method = "POST",
          .path = fmt::format("{}/_search?{}&filter_path=timed_out,_shards.failed,hits.hits._id",
                              path_, kOptions),
          .body = body.dump(-1, ' ', false, json::error_handler_t::replace),
          .content_type = kJson};
}

bool PresenceCheck::HasOtherIndexes(const std::string& answer) const {
  const json indexes = json::parse(answer, nullptr, false);
  if (!indexes.is_object()) return true;
  for (const auto& [name, settings] : indexes.items()) {
    if (!names_.contains(name)) return true;
  }
  return false;
}

PresenceCheck::Verdict PresenceCheck::Take(const HttpAnswer& answer) {
  if (answer.status == 0) {
    status_ = answer.failure;
    return Verdict::kUnclear;
  }
  if (answer.status != 200) {
    const EngineError error = ReadError(answer.status, answer.body);
    // Nothing has been written yet: if it is the engine that says so.
    if (answer.status == 404 && !error.type.empty()) return Verdict::kDone;
    status_ = Status(StatusCode::kUnavailable, Reason::kBrokerError, error.Text());
    // Who may only create documents may not look, and what is before an engine may not let it
    // through: then `create` alone has to do. All else passes, or is mended.
    const bool is_refused = answer.status == 400 || answer.status == 403 || answer.status == 405 ||
                            answer.status == 501;
    return is_refused ? Verdict::kDone : Verdict::kUnclear;
  }
  switch (step_) {
    case Step::kResolve:
      if (!HasOtherIndexes(answer.body)) return Verdict::kDone;
      step_ = Step::kRefresh;
      return Verdict::kGoOn;
    case Step::kRefresh:
      step_ = Step::kSearch;
      return Verdict::kGoOn;
    case Step::kSearch:
      break;
  }
  const json found = json::parse(answer.body, nullptr, false);
  const auto unclear = [&](const char* why) {
    status_ = Status(StatusCode::kUnavailable, Reason::kBrokerError, why);
    return Verdict::kUnclear;
  };
  if (!found.is_object()) return unclear("the engine's answer to a search is no JSON");
  const json shards = found.value("_shards", json::object());
  if (found.value("timed_out", false) || shards.value("failed", 0) > 0) {
    return unclear("the engine has not searched all of an index");
  }
  for (const json& hit : found.value("/hits/hits"_json_pointer, json::array())) {
    present_.insert(hit.value("_id", ""));
  }
  searched_ = std::min(searched_ + kIdsAtOnce, ids_.size());
  return searched_ < ids_.size() ? Verdict::kGoOn : Verdict::kDone;
}

}  // namespace drawbridge
