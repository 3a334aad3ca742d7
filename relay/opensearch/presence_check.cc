#include "relay/opensearch/presence_check.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "relay/opensearch/bulk_answer.h"
#include "relay/opensearch/json_at.h"

namespace drawbridge {
namespace {

using nlohmann::json;

// Engines read 4 KiB of a request's first line, and give so many hits at once whatever they are set
// to.
constexpr size_t kPathBytesMax = 2000;
constexpr size_t kIdsAtOnce = 500;
constexpr const char* kTasksPath =
    "/_tasks?actions=indices:data/write/bulk*"
    "&filter_path=node_failures.type,nodes.*.tasks.*.headers";
constexpr const char* kJson = "application/json";
// A name that is not there yet is made by the first document.
constexpr const char* kOptions = "ignore_unavailable=true&allow_no_indices=true";
// How far a record's clock may be ahead of the engine's.
constexpr int64_t kSkewMs = int64_t{10} * 60 * 1000;

std::string PathOf(const std::set<std::string>& names) {
  return fmt::format("/{}", fmt::join(names, ","));
}

// The tasks whose names begin so.
std::set<std::string> TasksIn(const json& answer, std::string_view prefix) {
  std::set<std::string> tasks;
  for (const json& node : At(answer, {"nodes"})) {
    for (const auto& [id, task] : At(node, {"tasks"}).items()) {
      if (TextAt(task, {"headers", "X-Opaque-Id"}).starts_with(prefix)) tasks.insert(id);
    }
  }
  return tasks;
}

}  // namespace

bool PresenceCheck::Fits(const std::set<std::string>& names) {
  return PathOf(names).size() <= kPathBytesMax;
}

int64_t PresenceCheck::OldestOf(const std::vector<int64_t>& timestamps_ms, WallTime now) {
  const int64_t latest = ToMicros(now) / 1000 + kSkewMs;
  int64_t oldest = latest;
  for (const int64_t timestamp : timestamps_ms) {
    if (timestamp > latest) return 0;
    oldest = std::min(oldest, timestamp);
  }
  return oldest;
}

PresenceCheck::PresenceCheck(std::string task_prefix, std::set<std::string> names,
                             std::vector<std::string> ids, int64_t oldest_ms)
    : task_prefix_(std::move(task_prefix)),
      names_(std::move(names)),
      ids_(std::move(ids)),
      oldest_ms_(oldest_ms) {}

HttpRequest PresenceCheck::Next() const {
  switch (step_) {
    case Step::kResolve:
    case Step::kName:
      return {.method = "GET",
              .path = fmt::format("{}/_settings/index.uuid,index.creation_date,"
                                  "index.verified_before_close,index.replication.type?{}",
                                  PathOf(names_), kOptions)};
    case Step::kTasks:
      return {.method = "GET", .path = kTasksPath};
    case Step::kRefresh:
      return {.method = "POST", .path = paths_[path_] + "/_refresh"};
    case Step::kSearch:
      break;
  }
  const auto from = ids_.begin() + static_cast<std::ptrdiff_t>(searched_);
  const size_t count = std::min(kIdsAtOnce, ids_.size() - searched_);
  const std::vector<std::string> ids(from, from + static_cast<std::ptrdiff_t>(count));
  // Each is there once, or twice where it was not looked for.
  const json body{{"size", 2 * count}, {"_source", false}, {"query", {{"ids", {{"values", ids}}}}}};
  return {.method = "POST",
          .path = fmt::format("{}/_search?filter_path=timed_out,_shards.failed,hits.hits._id{}",
                              paths_[path_], is_copied_late_ ? "&preference=_primary" : ""),
          .body = body.dump(-1, ' ', false, json::error_handler_t::replace),
          .content_type = kJson};
}

// Whether there are others than those of the names.
bool PresenceCheck::HasOthers(const std::string& answer) {
  const json indexes = json::parse(answer, nullptr, false);
  if (!indexes.is_object()) return true;
  return std::ranges::any_of(indexes.items(),
                             [&](const auto& index) { return !names_.contains(index.key()); });
}

// Takes the indexes that are to be looked into.
PresenceCheck::Verdict PresenceCheck::TakeNames(const std::string& answer) {
  struct Index {
    int64_t created_ms = 0;
    std::string name;
    bool is_closed = false;
  };
  std::vector<Index> behind;
  paths_.clear();
  const json indexes = json::parse(answer, nullptr, false);
  if (!indexes.is_object()) return Unclear("the engine's list of indexes is no JSON");
  for (const auto& [name, its] : indexes.items()) {
    const std::string created = TextAt(its, {"settings", "index", "creation_date"});
    Index& index = behind.emplace_back();
    index.name = name;
    std::from_chars(created.data(), created.data() + created.size(), index.created_ms);
    index.is_closed = TextAt(its, {"settings", "index", "verified_before_close"}) == "true";
    is_copied_late_ =
        is_copied_late_ || TextAt(its, {"settings", "index", "replication", "type"}) == "SEGMENT";
  }
  std::ranges::sort(behind, {}, &Index::created_ms);
  std::set<std::string> open;
  for (size_t i = 0; i < behind.size(); ++i) {
    if (behind[i].is_closed) {
      // It was written until the next one was made; of which of the names is not told.
      const size_t next = names_.size() == 1 ? i + 1 : behind.size() - 1;
      const bool is_last = next >= behind.size() || next == i;
      is_closed_ = is_last || oldest_ms_ <= behind[next].created_ms + kSkewMs;
      if (!is_closed_) continue;
      return Unclear(
          fmt::format("the index {} is closed, so that it is not known which records are in it "
                      "already: open it, or take it from what stands behind {}",
                      behind[i].name, fmt::join(names_, ", ")));
    }
    std::set<std::string> with_it = open;
    with_it.insert(behind[i].name);
    if (!Fits(with_it)) {
      paths_.push_back(PathOf(open));
      with_it = {behind[i].name};
    }
    open = std::move(with_it);
  }
  if (open.empty()) return Done();
  paths_.push_back(PathOf(open));
  path_ = 0;
  searched_ = 0;
  step_ = Step::kRefresh;
  return Verdict::kGoOn;
}

PresenceCheck::Verdict PresenceCheck::Unclear(std::string why) {
  status_ = Status(StatusCode::kUnavailable, Reason::kBrokerError, std::move(why));
  return Verdict::kUnclear;
}

PresenceCheck::Verdict PresenceCheck::Wait(Reason reason, std::string why) {
  status_ = Status(StatusCode::kUnavailable, reason, std::move(why));
  return Verdict::kWait;
}

PresenceCheck::Verdict PresenceCheck::Done() {
  status_ = blindness_;
  return Verdict::kDone;
}

PresenceCheck::Verdict PresenceCheck::TakeRefusal(const HttpAnswer& answer) {
  const EngineError error = ReadError(answer.status, answer.body);
  if (step_ == Step::kTasks && !IsPassing(answer.status)) {
    // It may not be seen by us, or is not there to be seen. Records can be looked for all the
    // same; whoever we are is asked again by that.
    blindness_ = Status(StatusCode::kUnavailable, Reason::kBrokerError,
                        fmt::format("its list of tasks is closed to us, so that what it has not "
                                    "carried out yet is not waited for; grant the endpoint's user "
                                    "the cluster right monitor ({})",
                                    error.Text()));
    status_ = blindness_;
    step_ = Step::kName;
    return Verdict::kGoOn;
  }
  if (answer.status == 404 && !error.type.empty()) {  // the engine says so, and no proxy
    const bool is_resolving = step_ == Step::kResolve || step_ == Step::kName;
    if (is_resolving) return Done();  // nothing has been written yet
    // An index was deleted in between.
    step_ = Step::kName;
    return Wait(
        Reason::kBrokerError,
        "an index was deleted while it was looked into: what is sent again waits for a look "
        "at those that are left");
  }
  Unclear(error.Text());
  // Who may only create documents may not look, and what is before an engine may not let it
  // through: then `create` alone has to do. All else passes, or is mended: as an index that is
  // blocked for reading.
  const bool is_refused =
      (answer.status == 403 && (error.type.empty() || error.type == "security_exception")) ||
      answer.status == 405 || answer.status == 501;
  if (!is_refused) return Verdict::kUnclear;
  const bool is_looking = step_ == Step::kRefresh || step_ == Step::kSearch;
  if (is_looking && !std::exchange(is_by_name_, true)) {
    // The rights may be those of the alias, which do not hold for its indexes.
    paths_ = {PathOf(names_)};
    path_ = 0;
    searched_ = 0;
    step_ = Step::kRefresh;
    return Verdict::kGoOn;
  }
  Unclear(
      fmt::format("we may not look; grant the endpoint's user the rights of data streams and "
                  "aliases, or let requests through a proxy before the engine ({})",
                  error.Text()));
  return Verdict::kDone;
}

PresenceCheck::Verdict PresenceCheck::Take(const HttpAnswer& answer) {
  if (answer.status == 0) {
    status_ = answer.failure;
    return Verdict::kUnclear;
  }
  if (answer.status != 200) return TakeRefusal(answer);
  switch (step_) {
    case Step::kResolve:
      if (!HasOthers(answer.body)) return Done();
      step_ = Step::kTasks;
      return Verdict::kGoOn;
    case Step::kTasks:
      return TakeTasks(answer);
    case Step::kName:
      return TakeNames(answer.body);
    case Step::kRefresh:
      return TakeRefreshed(answer);
    case Step::kSearch:
      break;
  }
  return TakeFound(answer);
}

// Waits for those tasks only that were there at first: others go on writing.
PresenceCheck::Verdict PresenceCheck::TakeTasks(const HttpAnswer& answer) {
  const json listed = json::parse(answer.body, nullptr, false);
  if (!listed.is_object()) return Unclear("the engine's list of tasks is no JSON");
  if (listed.contains("node_failures")) {
    return Unclear("a node of the engine does not say what it still works on");
  }
  const std::set<std::string> running = TasksIn(listed, task_prefix_);
  if (!tasks_) {
    tasks_ = running;
  } else {
    std::erase_if(*tasks_, [&](const std::string& id) { return !running.contains(id); });
  }
  if (!tasks_->empty()) {
    return Wait(Reason::kThrottled,
                "the engine has not carried out yet all that was sent to it before: what is sent "
                "again waits for that");
  }
  step_ = Step::kName;
  return Verdict::kGoOn;
}

PresenceCheck::Verdict PresenceCheck::TakeRefreshed(const HttpAnswer& answer) {
  const json refreshed = json::parse(answer.body, nullptr, false);
  if (NumberAt(refreshed, {"_shards", "failed"}) > 0) {
    return Unclear("the engine has not refreshed all copies of an index");
  }
  if (++path_ == paths_.size()) {
    path_ = 0;
    step_ = Step::kSearch;
  }
  return Verdict::kGoOn;
}

PresenceCheck::Verdict PresenceCheck::TakeFound(const HttpAnswer& answer) {
  const json found = json::parse(answer.body, nullptr, false);
  const json& timed_out = At(found, {"timed_out"});
  const json& failed = At(found, {"_shards", "failed"});
  if (!timed_out.is_boolean() || !failed.is_number()) {
    return Unclear("what answers a search there is no search engine");
  }
  if (timed_out == true || failed > 0) {
    return Unclear("the engine has not searched all of an index");
  }
  for (const json& hit : At(found, {"hits", "hits"})) present_.insert(TextAt(hit, {"_id"}));
  searched_ = std::min(searched_ + kIdsAtOnce, ids_.size());
  if (searched_ < ids_.size()) return Verdict::kGoOn;
  searched_ = 0;
  return ++path_ < paths_.size() ? Verdict::kGoOn : Done();
}

}  // namespace drawbridge
