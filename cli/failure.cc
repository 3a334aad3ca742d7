#include "cli/failure.h"

#include <fmt/format.h>

#include "cli/text.h"

namespace drawbridge::cli {

Failure UsageFailure(Reason reason, std::string message, std::string field) {
  return {ExitCode::kUsage,
          {Problem{std::string(Name(reason)), std::move(message), std::move(field), {}}}};
}

std::string ToString(const Problem& problem) {
  std::string text = problem.reason + ": ";
  if (problem.at) {
    text += problem.at->line > 0
                ? fmt::format("{}:{}:{}: ", problem.at->file, problem.at->line, problem.at->column)
                : fmt::format("{}: ", problem.at->file);
  }
  text += problem.message;
  if (!problem.field.empty()) text += fmt::format(" ({})", problem.field);
  return Printable(text);
}

}  // namespace drawbridge::cli
