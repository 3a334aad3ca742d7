#include "relay/control/query_answers.h"

#include <algorithm>
#include <utility>

#include "model/convert/bridge.h"
#include "model/convert/credential.h"
#include "model/convert/dead_letter.h"
#include "model/convert/endpoint.h"
#include "model/convert/field_reader.h"
#include "model/convert/observation.h"
#include "model/convert/status.h"
#include "model/convert/time.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

// With less there is no use in asking anybody.
constexpr Duration kPatienceLeast = 1s;

}  // namespace

Duration QueryAnswers::Left(BootTime until) const {
  return std::max<Duration>(until - clock_.Now(), kPatienceLeast);
}

StatusOr<std::optional<CredentialSecret>> QueryAnswers::SecretOf(bool has_secret,
                                                                 const v1::SecretRef& secret) {
  if (!has_secret) return std::optional<CredentialSecret>();
  const StatusOr<SecretRef> ref = FromProto(secret);
  if (!ref.ok()) return ref.status().At("secret");
  StatusOr<CredentialSecret> fetched = fetch_secret_(*ref);
  if (!fetched.ok()) return fetched.status();
  return std::optional(*std::move(fetched));
}

v1::EndpointTestResult QueryAnswers::AnswerTo(const v1::EndpointTest& test, BootTime until) {
  v1::EndpointTestResult result;
  const auto failed = [&](std::string name, Reason reason, std::string text) {
    *result.add_checks() = ToProto(EndpointCheck{
        .name = std::move(name), .is_ok = false, .reason = reason, .detail = std::move(text)});
    return result;
  };
  const StatusOr<EndpointSpec> endpoint = FromProto(test.endpoint());
  if (!endpoint.ok()) {
    return failed("endpoint", endpoint.status().reason(), endpoint.status().message());
  }
  const auto secret = SecretOf(test.has_secret(), test.secret());
  if (!secret.ok()) {
    return failed("credential", Reason::kSecretUnavailable, secret.status().message());
  }
  for (const EndpointCheck& check : factory_.TestEndpoint(
           *endpoint, *secret, {test.topics().begin(), test.topics().end()}, Left(until))) {
    *result.add_checks() = ToProto(check);
  }
  return result;
}

StatusOr<DeadLetterPlace> QueryAnswers::PlaceOf(const v1::DeadLetterSelection& selection) {
  FieldReader fields;
  DeadLetterPlace place{
      .bridge = fields.Require("bridge", selection.has_bridge(), FromProto(selection.bridge())),
      .target =
          fields.Require("endpoint", selection.has_endpoint(), FromProto(selection.endpoint())),
      .secret = std::nullopt,
      .target_cluster_id = selection.target_cluster_id(),
      .source = std::nullopt,
      .source_secret = std::nullopt,
      .selection = {.topic = selection.topic(), .error = selection.error()}};
  if (selection.has_source()) {
    place.source = fields.Take("source", FromProto(selection.source()));
  }
  StatusOr<DeadLetterPlace> read = fields.Finish(std::move(place));
  if (!read.ok()) return read;
  auto secret = SecretOf(selection.has_secret(), selection.secret());
  if (!secret.ok()) return secret.status();
  read->secret = *std::move(secret);
  auto source_secret = SecretOf(selection.has_source_secret(), selection.source_secret());
  if (!source_secret.ok()) return source_secret.status();
  read->source_secret = *std::move(source_secret);
  return read;
}

StatusOr<DeadLetterPage> QueryAnswers::AnswerTo(const v1::DeadLetterRead& read, BootTime until) {
  if (read.limit() < 1) return InvalidField("is at least 1", "limit");
  const StatusOr<DeadLetterPlace> place = PlaceOf(read.selection());
  if (!place.ok()) return place.status();
  return factory_.ReadDeadLetters(*place, read.limit(), Left(until));
}

StatusOr<RetriedDeadLetters> QueryAnswers::AnswerTo(const v1::DeadLetterRetry& retry,
                                                    BootTime until) {
  const StatusOr<DeadLetterPlace> place = PlaceOf(retry.selection());
  if (!place.ok()) return place.status();
  return factory_.RetryDeadLetters(*place, retry.turn(), Left(until));
}

v1::AnswerQueryRequest QueryAnswers::AnswerTo(const v1::Query& query, BootTime until) {
  v1::AnswerQueryRequest request;
  request.set_query_id(query.query_id());
  const auto put = [&](const auto& answer, auto* (v1::AnswerQueryRequest::*field)()) {
    if (answer.ok()) {
      *(request.*field)() = ToProto(*answer);
    } else {
      *request.mutable_failure() = ToProto(answer.status());
    }
  };
  switch (query.question_case()) {
    case v1::Query::kEndpointTest:
      *request.mutable_endpoint_test() = AnswerTo(query.endpoint_test(), until);
      break;
    case v1::Query::kDeadLetterRead:
      put(AnswerTo(query.dead_letter_read(), until), &v1::AnswerQueryRequest::mutable_dead_letters);
      break;
    case v1::Query::kDeadLetterRetry:
      put(AnswerTo(query.dead_letter_retry(), until), &v1::AnswerQueryRequest::mutable_retried);
      break;
    case v1::Query::QUESTION_NOT_SET:
      *request.mutable_failure() =
          ToProto(Status(StatusCode::kUnimplemented, Reason::kUnavailable,
                         "this version of the relay knows no such question: upgrade it"));
      break;
  }
  return request;
}

}  // namespace drawbridge
