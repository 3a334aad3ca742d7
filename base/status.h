#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>

#include "base/reason.h"

namespace drawbridge {

// gRPC's canonical codes, with its numbers, so that they cross the API unchanged.
enum class StatusCode {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// The outcome of an operation: a code for programs, a reason from the closed set, and a sentence
// that says what to do. `field` is the path of the offending field of a request, if it is one's
// fault ("bridges[oci-logs].source.topics[1]"). A value; threads may share it as any const value.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}
  Status(StatusCode code, Reason reason, std::string message, std::string field = {})
      : code_(code), reason_(reason), message_(std::move(message)), field_(std::move(field)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  Reason reason() const { return reason_; }
  const std::string& message() const { return message_; }
  const std::string& field() const { return field_; }

  // The same error, said to be the fault of `path`; what was there becomes its continuation.
  Status At(const std::string& path) const&;

  // For logs: "NOT_FOUND: no bridge is called x (bridges[x])".
  std::string ToString() const;

 private:
  StatusCode code_ = StatusCode::kOk;
  Reason reason_ = Reason::kUnspecified;
  std::string message_;
  std::string field_;
};

// A value, or the reason why there is none. Reading the value of a failure is our own mistake.
template <typename T>
class [[nodiscard]] StatusOr {
 public:
  StatusOr(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  StatusOr(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    assert(!status_.ok());
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  T& operator*() & { return Checked(value_); }
  const T& operator*() const& { return Checked(value_); }
  // By value: what is bound to a part of a temporary would outlive it.
  T operator*() && { return std::move(Checked(value_)); }
  T* operator->() { return &Checked(value_); }
  const T* operator->() const { return &Checked(value_); }

 private:
  template <typename Optional>
  static auto& Checked(Optional& value) {
    assert(value.has_value());
    return *value;  // NOLINT(bugprone-unchecked-optional-access)
  }

  Status status_;
  std::optional<T> value_;
};

}  // namespace drawbridge
