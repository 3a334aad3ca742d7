#include "server/control/pending_queries.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace drawbridge {

StatusOr<std::future<AnsweredQuery>> PendingQueries::Add(const RelayName& relay, Query& query) {
  if (pending_.size() >= kMost) {
    return Status(StatusCode::kResourceExhausted, Reason::kUnavailable,
                  "relays are asked too much at once: try again in a few seconds");
  }
  const auto* const retry = std::get_if<DeadLetterRetryQuestion>(&query.question);
  const std::string retried_bridge = retry == nullptr ? std::string() : retry->bridge.name;
  const bool is_under_way = std::ranges::any_of(pending_, [&](const auto& entry) {
    return retry != nullptr && entry.second.retried_bridge == retried_bridge;
  });
  if (is_under_way) {
    return Status(
        StatusCode::kResourceExhausted, Reason::kUnavailable,
        fmt::format("dead letters of bridge {} are being sent again already: try again in "
                    "a few seconds",
                    retried_bridge));
  }
  query.query_id = fmt::format("{}-{}", prefix_, ++last_number_);
  Pending pending{.relay = relay,
                  .secrets = {query.secret, query.source_secret},
                  .retried_bridge = retried_bridge,
                  .answer = {}};
  std::future<AnsweredQuery> answer = pending.answer.get_future();
  pending_.emplace(query.query_id, std::move(pending));
  return answer;
}

void PendingQueries::Answer(const RelayName& relay, const std::string& query_id,
                            QueryAnswer answer) {
  const auto found = pending_.find(query_id);
  if (found == pending_.end() || found->second.relay != relay) return;
  found->second.answer.set_value({.relay = relay, .answer = std::move(answer)});
  pending_.erase(found);
}

bool PendingQueries::Needs(const RelayName& relay, const SecretRef& secret) const {
  return std::ranges::any_of(pending_, [&](const auto& entry) {
    const Pending& pending = entry.second;
    return pending.relay == relay &&
           std::ranges::find(pending.secrets, secret) != pending.secrets.end();
  });
}

}  // namespace drawbridge
