#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "relay/opensearch/http_client.h"

namespace drawbridge {

// Finds out which documents are there already where `create` would not tell: behind a data stream
// or an alias there are several indexes, and only in the one that is written now an id meets
// itself. A record that was sent before a rollover, and is sent again after it, would be there
// twice.
//
// A few requests one after the other, which the caller makes: what stands behind the names; if
// there is more than an index of each name, which requests the engine still works on that are
// called like ours, until it has carried out those (a relay that died may have left one, which
// would otherwise write after we have looked); what stands behind the names by then; a refresh of
// those indexes, so that what was written a moment ago is found; then searches for the ids, some at
// a time. The indexes are named: an alias may hide some of what is in them. Nothing else is looked
// into: other indexes may have documents with the same ids, as those of another bridge. A value.
class PresenceCheck {
 public:
  enum class Verdict {
    kGoOn,     // make the next request
    kWait,     // make it in a moment
    kDone,     // present() tells
    kUnclear,  // the engine did not say: ask again later
  };

  // Whether so many names fit into one request.
  static bool Fits(const std::set<std::string>& names);

  // When the first of records with these times was produced, as far as their clocks are to be
  // believed: of one that is far ahead of `now` nothing is known.
  static int64_t OldestOf(const std::vector<int64_t>& timestamps_ms, WallTime now);

  // What the names of requests begin with that may be about the same documents; the indexes and ids
  // of those. The names fit. No document was written before `oldest_ms`, the time of the first of
  // their records: what was closed by then need not be looked into.
  PresenceCheck(std::string task_prefix, std::set<std::string> names, std::vector<std::string> ids,
                int64_t oldest_ms);

  // The next request to make.
  HttpRequest Next() const;
  // Takes its answer.
  Verdict Take(const HttpAnswer& answer);

  // The ids that are there. May be asked once done.
  const std::set<std::string>& present() const { return present_; }
  // Whether it is unclear for a closed index, and may not be where fewer names are asked about.
  bool is_for_fewer() const { return is_closed_ && names_.size() > 1; }
  // Whether it went on to look, as there may be several indexes; or could not tell whether there
  // are.
  bool has_looked() const { return step_ != Step::kResolve || !status_.ok(); }
  // Why it is unclear or has to wait; or, once done, why not all could be found out: we may not
  // look.
  const Status& status() const { return status_; }

 private:
  enum class Step { kResolve, kTasks, kName, kRefresh, kSearch };

  bool HasOthers(const std::string& answer);
  Verdict TakeNames(const std::string& answer);
  Verdict TakeTasks(const HttpAnswer& answer);
  Verdict TakeRefreshed(const HttpAnswer& answer);
  Verdict TakeFound(const HttpAnswer& answer);
  Verdict TakeRefusal(const HttpAnswer& answer);
  Verdict Done();
  Verdict Unclear(std::string why);
  Verdict Wait(Reason reason, std::string why);

  Step step_ = Step::kResolve;
  std::string task_prefix_;
  std::set<std::string> names_;
  std::vector<std::string> ids_;
  // Those to wait for; nullopt: it was not asked yet.
  std::optional<std::set<std::string>> tasks_;
  size_t searched_ = 0;  // of the ids
  // With OpenSearch's segment replication a refresh makes nothing seen in the replicas.
  bool is_copied_late_ = false;
  int64_t oldest_ms_;
  bool is_closed_ = false;
  std::vector<std::string> paths_;  // the indexes as parts of paths
  size_t path_ = 0;                 // that is refreshed or searched
  bool is_by_name_ = false;         // we may look by the names only
  std::set<std::string> present_;
  Status status_;
  Status blindness_;  // what could not be found out, though all else was
};

}  // namespace drawbridge
