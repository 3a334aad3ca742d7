#pragma once

#include <functional>
#include <optional>

#include "base/clock.h"
#include "base/status.h"
#include "drawbridge/v1/relay.pb.h"
#include "model/credential.h"
#include "relay/supervisor/lane_factory.h"

namespace drawbridge {

// Answers what the server asks of the moment. Thread-safe, as far as what it is given is; the
// factory and the clock outlive it.
class QueryAnswers {
 public:
  using FetchSecret = std::function<StatusOr<CredentialSecret>(SecretRef)>;

  // `fetch_secret` may wait for the server.
  QueryAnswers(LaneFactory& factory, FetchSecret fetch_secret, const Clock& clock)
      : factory_(factory), fetch_secret_(std::move(fetch_secret)), clock_(clock) {}

  // Waits for the clusters and engines that the query is about, until about `until`. Always an
  // answer: it may say why there is none.
  v1::AnswerQueryRequest AnswerTo(const v1::Query& query, BootTime until);

 private:
  v1::EndpointTestResult AnswerTo(const v1::EndpointTest& test, BootTime until);
  StatusOr<DeadLetterPage> AnswerTo(const v1::DeadLetterRead& read, BootTime until);
  StatusOr<RetriedDeadLetters> AnswerTo(const v1::DeadLetterRetry& retry, BootTime until);
  StatusOr<DeadLetterPlace> PlaceOf(const v1::DeadLetterSelection& selection);
  StatusOr<std::optional<CredentialSecret>> SecretOf(bool has_secret, const v1::SecretRef& secret);
  Duration Left(BootTime until) const;

  LaneFactory& factory_;
  const FetchSecret fetch_secret_;
  const Clock& clock_;
};

}  // namespace drawbridge
