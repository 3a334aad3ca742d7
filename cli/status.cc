#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "cli/status_view.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "drawbridge/v1/bridge.grpc.pb.h"
#include "drawbridge/v1/stream.grpc.pb.h"

namespace drawbridge::cli {
namespace {

struct StatusOptions {
  std::string bridge;
  bool follow = false;
  Duration interval = std::chrono::seconds{1};
};

// The bridges to show: all, or the one that was named.
Result<v1::ListBridgesResponse> Bridges(Session& session, const std::string& name) {
  using Stub = v1::BridgeService::Stub;
  if (name.empty()) return session.Call(&Stub::ListBridges, {});
  v1::GetBridgeRequest request;
  request.set_name(name);
  Result<v1::Bridge> bridge = session.Call(&Stub::GetBridge, request);
  if (!bridge.ok()) return bridge.failure();
  v1::ListBridgesResponse list;
  *list.add_bridges() = std::move(*bridge);
  return list;
}

// Asks the server. What it said before stays if it does not answer; gives what went wrong.
std::optional<Failure> Refresh(Session& session, const std::string& bridge, FleetSnapshot& fleet) {
  Result<v1::ListBridgesResponse> bridges = Bridges(session, bridge);
  if (!bridges.ok()) return bridges.failure();
  v1::ListStreamsRequest request;
  request.set_bridge(bridge);
  Result<v1::ListStreamsResponse> streams =
      session.Call(&v1::StreamService::Stub::ListStreams, request);
  if (!streams.ok()) return streams.failure();
  fleet.bridges = std::move(*bridges);
  fleet.streams = std::move(*streams);
  fleet.seen_at = session.terminal().clock.Now();
  fleet.away.reset();
  return std::nullopt;
}

// Shows snapshots one after the other: in place where a person looks, one below the other else.
class Display {
 public:
  explicit Display(Session& session) : session_(session), terminal_(session.terminal()) {}

  void Show(const FleetSnapshot& fleet) {
    const WallTime wall_now = terminal_.clock.WallNow();
    const BootTime now = terminal_.clock.Now();
    if (session_.wants_json()) {
      terminal_.out << Compact(StatusJson(fleet, wall_now, now)) << '\n';
    } else if (terminal_.is_interactive) {
      const Terminal::Size size = terminal_.size();
      Redraw(
          Fitting(StatusLines(fleet, wall_now, now, {terminal_.has_colour, size.columns}), size));
    } else {
      for (const auto& line : StatusLines(fleet, wall_now, now, {false, std::nullopt})) {
        terminal_.out << line << '\n';
      }
      terminal_.out << '\n';
    }
    terminal_.out.flush();
  }

 private:
  // The lines that fit above the prompt; the last says how many do not.
  static std::vector<std::string> Fitting(std::vector<std::string> lines,
                                          const Terminal::Size& size) {
    const size_t most = std::max<size_t>(size.rows, 4) - 1;
    if (lines.size() <= most) return lines;
    const size_t hidden = lines.size() - most + 1;
    lines.resize(most - 1);
    lines.push_back(
        CutToWidth(fmt::format("and {} more: make the window higher, or name a bridge", hidden),
                   size.columns));
    return lines;
  }

  // Writes over what was drawn before, line by line so that it does not flicker.
  void Redraw(const std::vector<std::string>& lines) {
    std::string drawing = lines_drawn_ > 0 ? fmt::format("\x1b[{}A", lines_drawn_) : "";
    for (const std::string& line : lines) drawing += "\r" + line + "\x1b[K\n";
    drawing += "\x1b[J";
    terminal_.out << drawing;
    lines_drawn_ = lines.size();
  }

  Session& session_;
  Terminal& terminal_;
  size_t lines_drawn_ = 0;
};

ExitCode ShowOnce(Session& session, const StatusOptions& options) {
  FleetSnapshot fleet;
  if (const auto failure = Refresh(session, options.bridge, fleet)) return session.Fail(*failure);
  Terminal& terminal = session.terminal();
  const WallTime wall_now = terminal.clock.WallNow();
  const BootTime now = terminal.clock.Now();
  if (session.wants_json()) {
    session.Print(StatusJson(fleet, wall_now, now));
    return ExitCode::kOk;
  }
  const TableStyle style{terminal.has_colour, std::nullopt};
  for (const auto& line : StatusLines(fleet, wall_now, now, style)) session.Print(line);
  return ExitCode::kOk;
}

// Whether the server may be back by itself. A token or a certificate that is wrong stays wrong.
bool IsAway(const Failure& failure) {
  const std::string& reason = failure.problems.front().reason;
  return failure.exit == ExitCode::kUnreachable &&
         (reason == Name(Reason::kUnreachable) || reason == Name(Reason::kUnavailable));
}

// Goes on until the terminal says stop. A server that is away is part of the picture; one that
// refuses is not going to change its mind.
ExitCode Follow(Session& session, const StatusOptions& options) {
  constexpr Duration kPatience = std::chrono::seconds{5};  // a frozen table helps nobody
  session.LimitTimeout(kPatience);
  FleetSnapshot fleet;
  Display display(session);
  do {
    if (const auto failure = Refresh(session, options.bridge, fleet)) {
      if (!IsAway(*failure)) return session.Fail(*failure);
      fleet.away = failure->problems.front();
    }
    display.Show(fleet);
  } while (session.terminal().wait(options.interval));
  return ExitCode::kOk;
}

ExitCode Status(Session& session, const StatusOptions& options) {
  return options.follow ? Follow(session, options) : ShowOnce(session, options);
}

constexpr const char* kExamples =
    R"(LAG counts records, BEHIND is the age of the oldest record that the target has not
confirmed, AGE is how old all this is. A "?" is a value that is not known at present. With
--follow the table is drawn anew at each interval until Ctrl+C; with -o json it is one line per
interval.

Examples:
  drawbridge status
  drawbridge status --follow oci-logs
  drawbridge status --follow --interval 10s -o json >> status.jsonl)";

}  // namespace

void AddStatus(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App& status = *app.add_subcommand("status", "Show what the streams do: state, lag, rate");
  status.add_option("BRIDGE", options->bridge, "Only this bridge")->type_name("");
  status.add_flag("--follow", options->follow, "Go on until Ctrl+C");
  AddDuration(status, "--interval", options->interval, "How often to look (default: 1s)");
  status.footer(kExamples);
  Bind(status, chosen, std::move(options), Status);
}

}  // namespace drawbridge::cli
