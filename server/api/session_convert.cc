#include "server/api/session_convert.h"

#include <fmt/format.h>

#include "model/convert/assignment.h"
#include "model/convert/bridge.h"
#include "model/convert/checkpoint.h"
#include "model/convert/credential.h"
#include "model/convert/dead_letter.h"
#include "model/convert/endpoint.h"
#include "model/convert/field_reader.h"
#include "model/convert/observation.h"
#include "model/convert/status.h"
#include "model/convert/time.h"

namespace drawbridge {
namespace {

constexpr int kProtocol = 1;
constexpr size_t kHeldMax = 1'000'000;
constexpr int kNameBytesMax = 128;

struct ToMessage {
  v1::ServerMessage operator()(const Welcome& welcome) const {
    v1::ServerMessage message;
    v1::Welcome* const to = message.mutable_welcome();
    to->set_session(welcome.session);
    to->set_deployment_id(welcome.deployment_id);
    to->set_incarnation(welcome.incarnation);
    to->set_revision(welcome.revision);
    *to->mutable_heartbeat_interval() = ToProto(welcome.heartbeat_interval);
    *to->mutable_lease_ttl() = ToProto(welcome.lease_ttl);
    *to->mutable_commit_interval() = ToProto(welcome.commit_interval);
    *to->mutable_report_interval() = ToProto(welcome.report_interval);
    to->set_protocol(kProtocol);
    return message;
  }
  v1::ServerMessage operator()(const NumberedAssignments& numbered) const {
    v1::ServerMessage message;
    *message.mutable_assignments() = ToProto(numbered.assignments);
    message.mutable_assignments()->set_nonce(numbered.nonce);
    return message;
  }
  v1::ServerMessage operator()(const CommitResults& results) const {
    v1::ServerMessage message;
    message.mutable_commit_results()->set_batch_id(results.batch_id);
    for (const CommitResult& result : results.results) {
      *message.mutable_commit_results()->add_results() = ToProto(result);
    }
    return message;
  }
  v1::ServerMessage operator()(const LeaseGrant& grant) const {
    v1::ServerMessage message;
    message.mutable_lease_grant()->set_sent_at_ns(grant.sent_at_ns);
    *message.mutable_lease_grant()->mutable_ttl() = ToProto(grant.ttl);
    return message;
  }
  v1::ServerMessage operator()(const Restarting& restarting) const {
    v1::ServerMessage message;
    v1::Restarting* const to = message.mutable_restarting();
    to->set_reason(restarting.reason);
    *to->mutable_reconnect_after_min() = ToProto(restarting.reconnect_after_min);
    *to->mutable_reconnect_after_max() = ToProto(restarting.reconnect_after_max);
    return message;
  }
  v1::ServerMessage operator()(const Query& query) const {
    v1::ServerMessage message;
    v1::Query& to = *message.mutable_query();
    to.set_query_id(query.query_id);
    *to.mutable_deadline() = ToProto(query.deadline);
    std::visit([&](const auto& question) { Put(query, question, to); }, query.question);
    return message;
  }

 private:
  static void Put(const Query& query, const EndpointTestQuestion& question, v1::Query& to) {
    v1::EndpointTest& test = *to.mutable_endpoint_test();
    *test.mutable_endpoint() = ToProto(query.endpoint);
    if (query.secret) *test.mutable_secret() = ToProto(*query.secret);
    for (const std::string& topic : question.topics) test.add_topics(topic);
  }
  static void Put(const Query& query, const DeadLetterReadQuestion& question, v1::Query& to) {
    v1::DeadLetterRead& read = *to.mutable_dead_letter_read();
    *read.mutable_selection() = SelectionOf(query, question.bridge, question.selection);
    read.set_limit(question.limit);
  }
  static void Put(const Query& query, const DeadLetterRetryQuestion& question, v1::Query& to) {
    v1::DeadLetterRetry& retry = *to.mutable_dead_letter_retry();
    *retry.mutable_selection() = SelectionOf(query, question.bridge, question.selection);
    retry.set_turn(question.turn);
  }
  static v1::DeadLetterSelection SelectionOf(const Query& query, const BridgeSpec& bridge,
                                             const DeadLetterSelection& selection) {
    v1::DeadLetterSelection message;
    *message.mutable_bridge() = ToProto(bridge);
    *message.mutable_endpoint() = ToProto(query.endpoint);
    if (query.secret) *message.mutable_secret() = ToProto(*query.secret);
    if (query.source) *message.mutable_source() = ToProto(*query.source);
    if (query.source_secret) *message.mutable_source_secret() = ToProto(*query.source_secret);
    message.set_target_cluster_id(query.target_cluster_id);
    message.set_topic(selection.topic);
    message.set_error(selection.error);
    return message;
  }
};

template <typename Value>
QueryAnswer AnswerOr(StatusOr<Value> value) {
  if (!value.ok()) return value.status();
  return *std::move(value);
}

}  // namespace

v1::ServerMessage ToProto(const ToRelay& message) { return std::visit(ToMessage{}, message); }

QueryAnswer AnswerFromProto(const v1::AnswerQueryRequest& message) {
  switch (message.answer_case()) {
    case v1::AnswerQueryRequest::kFailure: {
      const Status failure = FromProto(message.failure());
      return failure.ok() ? InvalidField("a failure is not OK", "failure") : failure;
    }
    case v1::AnswerQueryRequest::kDeadLetters:
      return AnswerOr(FromProto(message.dead_letters()));
    case v1::AnswerQueryRequest::kRetried:
      return AnswerOr(FromProto(message.retried()));
    case v1::AnswerQueryRequest::kEndpointTest:
    case v1::AnswerQueryRequest::ANSWER_NOT_SET:
      break;
  }
  std::vector<EndpointCheck> checks;
  for (const v1::EndpointCheck& check : message.endpoint_test().checks()) {
    checks.push_back(FromProto(check));
  }
  return checks;
}

Status AddHeld(const google::protobuf::RepeatedPtrField<v1::HeldPartition>& message,
               std::vector<HeldPartition>& held) {
  for (const v1::HeldPartition& one : message) {
    const StatusOr<HeldPartition> read = FromProto(one);
    if (!read.ok()) return read.status().At("held");
    held.push_back(*read);
  }
  if (held.size() > kHeldMax) {
    return {StatusCode::kResourceExhausted, Reason::kFieldInvalid,
            fmt::format("a relay holds at most {} partitions", kHeldMax)};
  }
  return {};
}

StatusOr<RelayHello> HelloFromProto(const v1::Hello& message, const RelayName& relay) {
  FieldReader fields;
  const auto name = [&](std::string_view field, const std::string& text) {
    fields.Check(text.size() <= kNameBytesMax, field,
                 fmt::format("has more than {} bytes", kNameBytesMax));
    return fields.NotEmpty(field, text);
  };
  StatusOr<RelayHello> hello = fields.Finish(
      RelayHello{.relay = relay,
                 .boot_id = name("boot_id", message.boot_id()),
                 .version = name("version", message.version()),
                 .librdkafka = name("librdkafka_version", message.librdkafka_version()),
                 .incarnation = fields.NotNegative("incarnation", message.incarnation()),
                 .revision = fields.NotNegative("revision", message.revision()),
                 .held = {},
                 .certificate_not_after = {}});
  if (!hello.ok()) return hello.status().At("hello");
  if (message.protocol_min() > kProtocol || message.protocol_max() < kProtocol) {
    return Status(
        StatusCode::kFailedPrecondition, Reason::kFieldInvalid,
        fmt::format("the relay speaks protocol {} to {}, the server {}: upgrade the older "
                    "of the two",
                    message.protocol_min(), message.protocol_max(), kProtocol));
  }
  if (Status added = AddHeld(message.held(), hello->held); !added.ok()) return added.At("hello");
  return hello;
}

StatusOr<FromRelay> MessageFromProto(const v1::RelayMessage& message) {
  switch (message.message_case()) {
    case v1::RelayMessage::kAck: {
      RelayAck ack{.nonce = message.ack().nonce(),
                   .revision = message.ack().revision(),
                   .status = FromProto(message.ack().status()),
                   .errors = {},
                   .bridge_errors = {}};
      for (const v1::StreamError& error : message.ack().errors()) {
        ack.errors.emplace_back(StreamId{error.stream_id()}, FromProto(error.status()));
      }
      for (const v1::BridgeError& error : message.ack().bridge_errors()) {
        ack.bridge_errors.emplace_back(BridgeId{error.bridge_id()}, FromProto(error.status()));
      }
      return FromRelay(std::move(ack));
    }
    case v1::RelayMessage::kHeartbeat: {
      RelayHeartbeat heartbeat{.sent_at_ns = message.heartbeat().sent_at_ns(), .converged = {}};
      for (const v1::ConvergedBridge& bridge : message.heartbeat().converged()) {
        heartbeat.converged.emplace_back(BridgeId{bridge.bridge_id()}, bridge.generation());
      }
      return FromRelay(std::move(heartbeat));
    }
    case v1::RelayMessage::kCommit: {
      StatusOr<std::vector<CommitItem>> items = FromProto(message.commit());
      if (!items.ok()) return items.status();
      return FromRelay(
          RelayCommit{.batch_id = message.commit().batch_id(), .items = *std::move(items)});
    }
    case v1::RelayMessage::kReport: {
      StatusOr<Report> report = FromProto(message.report());
      if (!report.ok()) return report.status();
      return FromRelay(*std::move(report));
    }
    case v1::RelayMessage::kSurveyResult: {
      StatusOr<SurveyResult> survey = FromProto(message.survey_result());
      if (!survey.ok()) return survey.status();
      return FromRelay(*std::move(survey));
    }
    case v1::RelayMessage::kReleased: {
      const v1::Released& released = message.released();
      const StatusOr<FencingToken> token = FromProto(released.token());
      if (!token.ok()) return token.status();
      return FromRelay(RelayReleased{
          .key = {.stream = {released.stream_id()}, .partition = released.partition()},
          .token = *token,
          .final_offset = {released.final_offset()},
          .is_leaving = released.leaving()});
    }
    case v1::RelayMessage::kHello:
    case v1::RelayMessage::kHeldPartitions:
    case v1::RelayMessage::kSurveyPart:
    case v1::RelayMessage::kReportPart:
    case v1::RelayMessage::MESSAGE_NOT_SET:
      break;
  }
  return Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid, "a message without content");
}

}  // namespace drawbridge
