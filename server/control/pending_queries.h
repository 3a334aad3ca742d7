#pragma once

#include <future>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/random_id.h"
#include "base/status.h"
#include "server/control/relay_session.h"

namespace drawbridge {

// What a relay has answered.
struct AnsweredQuery {
  RelayName relay;
  QueryAnswer answer;
};

// The queries that relays were asked and have not answered. Runs on one thread; the futures that it
// gives out are another's.
class PendingQueries {
 public:
  // Whoever asks keeps a thread of the API waiting, and answers come in on others of them.
  static constexpr size_t kMost = 4;

  // Gives the query its id. kResourceExhausted where too many are pending, or already one that
  // sends dead letters of that bridge again: two would count them twice.
  StatusOr<std::future<AnsweredQuery>> Add(const RelayName& relay, Query& query);

  // Nothing happens for a query that is not pending, or is another relay's to answer.
  void Answer(const RelayName& relay, const std::string& query_id, QueryAnswer answer);

  // Nobody waits for it any more.
  void Drop(const std::string& query_id) { pending_.erase(query_id); }

  // Whether the relay needs this secret to answer.
  bool Needs(const RelayName& relay, const SecretRef& secret) const;

 private:
  struct Pending {
    RelayName relay;
    std::vector<std::optional<SecretRef>> secrets;
    std::string retried_bridge;  // whose dead letters are sent again; empty: of none
    std::promise<AnsweredQuery> answer;
  };

  std::map<std::string, Pending> pending_;
  // A relay may still answer what a server before this one has asked.
  const std::string prefix_ = NewRandomId();
  uint64_t last_number_ = 0;
};

}  // namespace drawbridge
