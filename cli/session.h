#pragma once

#include <optional>
#include <string>
#include <utility>

#include "cli/connection.h"
#include "cli/context.h"
#include "cli/failure.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/terminal.h"

namespace drawbridge::cli {

enum class OutputFormat { kTable, kJson };

// The options that every verb has.
struct GlobalOptions {
  ContextSources context;
  Duration timeout = std::chrono::seconds{20};
  OutputFormat output = OutputFormat::kTable;
};

// What a verb works with: the server, and the terminal in the format that was asked for. The
// context is read at the first call, so that a verb can find fault with its files before. Runs on
// one thread.
class Session {
 public:
  // `terminal` must outlive it.
  Session(GlobalOptions options, Terminal& terminal)
      : options_(std::move(options)), terminal_(terminal) {}

  template <typename Stub, typename Request, typename Response>
  Result<Response> Call(Method<Stub, Request, Response> method, const Request& request) {
    if (std::optional<Failure> failure = Connect()) return *std::move(failure);
    return connection_->Call(method, request);
  }

  template <typename Stub, typename Request, typename Response>
  Result<Response> Mutate(Method<Stub, Request, Response> method, Request request) {
    if (std::optional<Failure> failure = Connect()) return *std::move(failure);
    return connection_->Mutate(method, std::move(request));
  }

  // Calls from now on take at most this long, however long --timeout is.
  void LimitTimeout(Duration most);

  // Reads the context if that has not been done. Gives what went wrong.
  std::optional<Failure> Connect();
  // host:port of the server. Connect() must have succeeded.
  const std::string& server() const { return connection_->server(); }

  Terminal& terminal() { return terminal_; }
  bool wants_json() const { return options_.output == OutputFormat::kJson; }

  // Lines to standard output. Text of others in them must be Printable().
  void Print(const std::string& line);
  void Print(const Json& json) { Print(Pretty(json)); }
  // The table, or `if_empty` when it has no rows.
  void Print(const Table& table, const std::string& if_empty);
  // The text in colour where there is colour.
  std::string Toned(const std::string& text, Tone tone) const;

  // Says what is wrong on standard error, and gives the exit code for it.
  ExitCode Fail(const Failure& failure);

 private:
  GlobalOptions options_;
  Terminal& terminal_;
  std::optional<Connection> connection_;
};

// Says what is wrong on `err`: a line per problem, or JSON.
void PrintFailure(const Failure& failure, OutputFormat output, std::ostream& err);

}  // namespace drawbridge::cli
