#include "model/convert/status.h"

#include <algorithm>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "google/rpc/error_details.pb.h"
#include "model/convert/utf8.h"

namespace drawbridge {
namespace {

constexpr std::string_view kDomain = "drawbridge";
constexpr std::string_view kReasonPrefix = "REASON_";
// An error travels in HTTP/2 trailers, for which gRPC has 8 KiB in all: the sentence three times
// (as text, where a byte may take three, and in the details), the field once.
constexpr size_t kMessageBytesMax = 1024;
constexpr size_t kFieldBytesMax = 512;

StatusCode CodeFromNumber(int number) {
  const bool is_known = number >= static_cast<int>(StatusCode::kOk) &&
                        number <= static_cast<int>(StatusCode::kUnauthenticated);
  return is_known ? static_cast<StatusCode>(number) : StatusCode::kUnknown;
}

// A reason and a code that say the same.
Reason NamesakeOf(StatusCode code) {
  switch (code) {
    case StatusCode::kNotFound:
      return Reason::kNotFound;
    case StatusCode::kPermissionDenied:
      return Reason::kPermissionDenied;
    case StatusCode::kInternal:
      return Reason::kInternal;
    case StatusCode::kUnavailable:
      return Reason::kUnavailable;
    case StatusCode::kUnauthenticated:
      return Reason::kUnauthenticated;
    default:
      return Reason::kUnspecified;
  }
}

}  // namespace

google::rpc::Status ToProto(const Status& status) {
  google::rpc::Status message;
  message.set_code(static_cast<int>(status.code()));
  message.set_message(ToUtf8(status.message(), kMessageBytesMax));
  if (status.reason() != Reason::kUnspecified) {
    google::rpc::ErrorInfo info;
    info.set_reason(std::string(Name(status.reason())));
    info.set_domain(std::string(kDomain));
    message.add_details()->PackFrom(info);
  }
  if (!status.field().empty()) {
    google::rpc::BadRequest request;
    auto& violation = *request.add_field_violations();
    violation.set_field(ToUtf8(status.field(), kFieldBytesMax));
    violation.set_description(message.message());
    message.add_details()->PackFrom(request);
  }
  return message;
}

Status FromProto(const google::rpc::Status& message) {
  const StatusCode code = CodeFromNumber(message.code());
  if (code == StatusCode::kOk) return {};
  std::optional<Reason> reason;
  std::string field;
  for (const google::protobuf::Any& detail : message.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest request;
    if (detail.UnpackTo(&info) && info.domain() == kDomain && !reason) {
      reason = ReasonFromName(info.reason());
    } else if (detail.UnpackTo(&request) && request.field_violations_size() > 0 && field.empty()) {
      field = request.field_violations(0).field();
    }
  }
  return {code, reason.value_or(Reason::kUnspecified), message.message(), std::move(field)};
}

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status message = ToProto(status);
  return {static_cast<grpc::StatusCode>(status.code()), message.message(),
          message.SerializeAsString()};
}

Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return {};
  const StatusCode code = CodeFromNumber(status.error_code());
  google::rpc::Status message;
  if (status.error_details().empty() || !message.ParseFromString(status.error_details())) {
    return {code, NamesakeOf(code), status.error_message()};
  }
  // What gRPC itself says of the outcome counts, whatever the details say.
  message.set_code(static_cast<int>(code));
  message.set_message(status.error_message());
  return FromProto(message);
}

v1::Reason ToProto(Reason reason) {
  v1::Reason message = v1::REASON_UNSPECIFIED;
  v1::Reason_Parse(fmt::format("{}{}", kReasonPrefix, Name(reason)), &message);
  return message;
}

Reason FromProto(v1::Reason message) {
  const std::string& name = v1::Reason_Name(message);  // empty for a number outside the set
  if (!name.starts_with(kReasonPrefix)) return Reason::kUnspecified;
  return ReasonFromName(std::string_view(name).substr(kReasonPrefix.size()))
      .value_or(Reason::kUnspecified);
}

}  // namespace drawbridge
