#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/reason.h"

namespace drawbridge::cli {

// What a script learns from the exit code alone. `drawbridge --help` documents the numbers: they
// never change.
enum class ExitCode {
  kOk = 0,
  // The server refused, or a check that was asked for failed.
  kRefused = 1,
  // The command line, or a file that it names, is wrong; nothing was sent.
  kUsage = 2,
  // The server was not reached, did not answer in time, or does not know the caller.
  kUnreachable = 3,
};

// A place in a file, counted from 1. Line 0: the file as a whole.
struct FilePosition {
  std::string file;
  int line = 0;
  int column = 0;
};

// One thing that is wrong. `reason` is a word of the API's closed set, or one that a newer server
// has and this program does not know: hence text. `message` says what to do.
struct Problem {
  std::string reason;
  std::string message;
  std::string field;
  std::optional<FilePosition> at;
};

// Why a verb cannot go on: at least one problem.
struct Failure {
  ExitCode exit = ExitCode::kRefused;
  std::vector<Problem> problems;
};

// A failure of the command line or of a file.
Failure UsageFailure(Reason reason, std::string message, std::string field = {});

// "TOPIC_NOT_FOUND: bridges.yaml:9:24: the source has no topic audit (bridges.oci-logs.source)".
// Control characters of the other end's words are escaped: they must not reach a terminal.
std::string ToString(const Problem& problem);

// A value, or why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}             // NOLINT(google-explicit-constructor)
  Result(Failure failure) : failure_(std::move(failure)) {  // NOLINT(google-explicit-constructor)
    assert(!failure_.problems.empty());
  }

  bool ok() const { return value_.has_value(); }
  const Failure& failure() const { return failure_; }

  T& operator*() { return Checked(value_); }
  const T& operator*() const { return Checked(value_); }
  T* operator->() { return &Checked(value_); }
  const T* operator->() const { return &Checked(value_); }

 private:
  template <typename Optional>
  static auto& Checked(Optional& value) {
    assert(value.has_value());
    return *value;  // NOLINT(bugprone-unchecked-optional-access)
  }

  std::optional<T> value_;
  Failure failure_;
};

}  // namespace drawbridge::cli
