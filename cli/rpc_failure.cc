#include "cli/rpc_failure.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "cli/text.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace drawbridge::cli {
namespace {

// What the server said beside the code. As text: a newer server's reason is shown as it is.
struct Details {
  std::string reason;
  google::rpc::BadRequest bad_request;
};

Details DetailsOf(const grpc::Status& status) {
  Details details;
  google::rpc::Status rich;
  if (!rich.ParseFromString(status.error_details())) return details;
  for (const google::protobuf::Any& detail : rich.details()) {
    google::rpc::ErrorInfo info;
    if (detail.UnpackTo(&info) && info.domain() == "drawbridge") {
      constexpr std::string_view kPrefix = "REASON_";
      const bool has_prefix = info.reason().starts_with(kPrefix);
      details.reason = info.reason().substr(has_prefix ? kPrefix.size() : 0);
    } else if (detail.Is<google::rpc::BadRequest>()) {
      detail.UnpackTo(&details.bad_request);
    }
  }
  return details;
}

// A call that no server of ours answered: gRPC's own words tell why.
struct Symptom {
  std::string_view words;
  Reason reason;
  std::string_view advice;
};

constexpr auto kSymptoms = std::to_array<Symptom>({
    {"certificate has expired", Reason::kTlsCertificateExpired,
     "the server's certificate is past its time: renew it on the server"},
    {"CERTIFICATE_VERIFY_FAILED", Reason::kTlsUntrusted,
     "its certificate is not signed by the CA of the context: take admin.context of this server"},
    {"certificate verify failed", Reason::kTlsUntrusted,
     "its certificate is not signed by the CA of the context: take admin.context of this server"},
    // A CA of the same name with another key, as two servers of ours have.
    {"asn1 encoding routines", Reason::kTlsUntrusted,
     "its certificate is not signed by the CA of the context: take admin.context of this server"},
    {"rsa routines", Reason::kTlsUntrusted,
     "its certificate is not signed by the CA of the context: take admin.context of this server"},
    {"Hostname Verification", Reason::kTlsUntrusted,
     "its certificate is for another host: call the server by a name that it has, or add this one "
     "to the server's names"},
    {"Peer name", Reason::kTlsUntrusted,
     "its certificate is for another host: call the server by a name that it has, or add this one "
     "to the server's names"},
    // gRPC's words for credentials that it could not make.
    {"empty address list", Reason::kTlsFailed, "the CA of the context is no valid certificate"},
    {"Ssl handshake failed", Reason::kTlsFailed,
     "what answers there does not speak TLS as it should"},
    {"DNS resolution failed", Reason::kUnreachable, "the host's name is not known"},
    {"Connection refused", Reason::kUnreachable, "nothing listens there: is the server running?"},
});

Problem MakeProblem(Reason reason, std::string message, std::string field = {}) {
  return {std::string(Name(reason)), std::move(message), std::move(field), {}};
}

Problem Unreached(const grpc::Status& status, const Callee& callee) {
  const std::string& words = status.error_message();
  const auto* symptom = std::ranges::find_if(
      kSymptoms, [&](const Symptom& known) { return words.find(known.words) != words.npos; });
  const bool is_known = symptom != kSymptoms.end();
  return MakeProblem(is_known ? symptom->reason : Reason::kUnreachable,
                     fmt::format("cannot talk to {}: {} [{}]", callee.server,
                                 is_known ? symptom->advice
                                          : "is the server running, and can this machine reach it?",
                                 words));
}

// For an answer without details: an older server's, a proxy's, or gRPC's own.
Problem Plain(const grpc::Status& status, const Callee& callee) {
  const std::string& words = status.error_message();
  const std::string& server = callee.server;
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      return Unreached(status, callee);
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return MakeProblem(
          Reason::kUnavailable,
          fmt::format("{} has not answered within {}: try again, or wait longer with --timeout",
                      server, ToText(callee.timeout)));
    case grpc::StatusCode::UNAUTHENTICATED:
      return MakeProblem(Reason::kUnauthenticated,
                         fmt::format("{} does not know this token: {}", server, words), "token");
    case grpc::StatusCode::PERMISSION_DENIED:
      return MakeProblem(Reason::kPermissionDenied, words);
    case grpc::StatusCode::NOT_FOUND:
      return MakeProblem(Reason::kNotFound, words);
    case grpc::StatusCode::INVALID_ARGUMENT:
      return MakeProblem(Reason::kFieldInvalid, words);
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return MakeProblem(Reason::kFieldInvalid,
                         fmt::format("{} does not take this much at once: {}", server, words));
    case grpc::StatusCode::UNIMPLEMENTED:
      return MakeProblem(Reason::kInternal,
                         fmt::format("{} does not offer this: it is older than this program, or "
                                     "no Drawbridge server [{}]",
                                     server, words));
    default:
      return MakeProblem(Reason::kInternal,
                         fmt::format("{} failed: {} [gRPC code {}]", server, words,
                                     static_cast<int>(status.error_code())));
  }
}

// Whether nobody of ours has answered, or only to say "not now". A reason shows that the server did
// answer: with a deadline it is one that the server has run out of, waiting for a relay.
bool IsUnanswered(const grpc::Status& status, const std::string& reason) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      return reason.empty() || reason == Name(Reason::kUnavailable);
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return reason.empty();
    default:
      return false;
  }
}

}  // namespace

Failure ToFailure(const grpc::Status& status, const Callee& callee) {
  const Details details = DetailsOf(status);
  const bool is_unreachable = IsUnanswered(status, details.reason) ||
                              status.error_code() == grpc::StatusCode::UNAUTHENTICATED;
  Failure failure{is_unreachable ? ExitCode::kUnreachable : ExitCode::kRefused, {}};
  for (const auto& violation : details.bad_request.field_violations()) {
    const std::string& said =
        violation.description().empty() ? status.error_message() : violation.description();
    failure.problems.push_back({details.reason, said, violation.field(), {}});
  }
  if (details.reason.empty()) {
    failure.problems = {Plain(status, callee)};
  } else if (failure.problems.empty()) {
    failure.problems.push_back({details.reason, status.error_message(), "", {}});
  }
  return failure;
}

bool IsWorthRepeating(const grpc::Status& status) {
  return IsUnanswered(status, DetailsOf(status).reason);
}

}  // namespace drawbridge::cli
