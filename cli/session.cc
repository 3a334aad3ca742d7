#include "cli/session.h"

#include <algorithm>

#include <fmt/format.h>

namespace drawbridge::cli {

std::optional<Failure> Session::Connect() {
  if (connection_) return std::nullopt;
  const Result<Context> context = LoadContext(options_.context);
  if (!context.ok()) return context.failure();
  connection_.emplace(*context, options_.timeout);
  return std::nullopt;
}

void Session::LimitTimeout(Duration most) {
  options_.timeout = std::min(options_.timeout, most);
  if (connection_) connection_->set_timeout(options_.timeout);
}

void Session::Print(const std::string& line) { terminal_.out << line << '\n'; }

void Session::Print(const Table& table, const std::string& if_empty) {
  if (table.empty()) return Print(if_empty);
  for (const std::string& line : table.Lines({terminal_.has_colour, std::nullopt})) Print(line);
}

std::string Session::Toned(const std::string& text, Tone tone) const {
  return terminal_.has_colour ? Coloured(text, tone) : text;
}

ExitCode Session::Fail(const Failure& failure) {
  terminal_.out.flush();
  PrintFailure(failure, options_.output, terminal_.err);
  return failure.exit;
}

void PrintFailure(const Failure& failure, OutputFormat output, std::ostream& err) {
  if (output == OutputFormat::kJson) {
    err << Pretty(ToJson(failure)) << '\n';
    return;
  }
  for (const Problem& problem : failure.problems) {
    err << fmt::format("error: {}\n", ToString(problem));
  }
}

}  // namespace drawbridge::cli
