#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "relay/opensearch/http_client.h"

namespace drawbridge {

// Finds out which documents are there already where `create` would not tell: behind a data stream
// or an alias there are several indexes, and only in the one that is written now an id meets
// itself. A record that was sent before a rollover, and is sent again after it, would be there
// twice.
//
// A few requests one after the other, which the caller makes: what stands behind the names; if
// there is more than an index of each name, a refresh, so that what was written a moment ago is
// found; then searches for the ids, some at a time. Nothing but these names is looked into: other
// indexes may have documents with the same ids, as those of another bridge. A value.
class PresenceCheck {
 public:
  enum class Verdict {
    kGoOn,     // make the next request
    kDone,     // present() tells
    kUnclear,  // the engine did not say: ask again later
  };

  // Whether so many names fit into one request.
  static bool Fits(const std::set<std::string>& names);

  // The indexes and ids of the documents. The names fit.
  PresenceCheck(const std::set<std::string>& names, std::vector<std::string> ids);

  // The next request to make.
  HttpRequest Next() const;
  // Takes its answer.
  Verdict Take(const HttpAnswer& answer);

  // The ids that are there. May be asked once done.
  const std::set<std::string>& present() const { return present_; }
  // Why it is unclear; or, once done, why nothing could be found out: we may not look.
  const Status& status() const { return status_; }

 private:
  enum class Step { kResolve, kRefresh, kSearch };

  bool HasOtherIndexes(const std::string& answer) const;

  Step step_ = Step::kResolve;
  std::set<std::string> names_;
  std::vector<std::string> ids_;
  size_t searched_ = 0;  // of them
  std::string path_;     // the names as a part of a path
  std::set<std::string> present_;
  Status status_;
};

}  // namespace drawbridge
