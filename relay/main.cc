#include <csignal>
#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/version.h"
#include "base/yaml_settings.h"
#include "relay/control/enrolment.h"
#include "relay/kafka/kafka_handle.h"
#include "relay/relay.h"

namespace {

using drawbridge::Status;
using drawbridge::StatusOr;

constexpr const char* kFooter = R"(
A machine becomes a relay once, with a token that `drawbridge relay token create` prints:
  drawbridge-relay enroll --state DIR --server HOST:PORT --ca-pin PIN --token-file -
and then carries records for as long as it runs:
  drawbridge-relay run --state DIR

Exit status: 0 stopped by a signal with everything given back, or enrolled; 1 failed (standard
error says why and what to do); 2 not understood.)";

constexpr int kUsageError = 2;

StatusOr<drawbridge::Secret> ReadToken(const std::string& file) {
  std::string token;
  if (file == "-") {
    std::getline(std::cin, token);
  } else {
    StatusOr<std::string> content = drawbridge::ReadFile(file);
    if (!content.ok()) return content.status();
    token = content->substr(0, content->find('\n'));
  }
  if (token.empty()) {
    return Status(drawbridge::StatusCode::kInvalidArgument, drawbridge::Reason::kTokenInvalid,
                  "no token was given: pass the one that `drawbridge relay token create` printed");
  }
  return drawbridge::Secret(std::move(token));
}

Status Enroll(const std::string& state, const std::string& server, const std::string& pin,
              const std::string& token_file) {
  const StatusOr<drawbridge::FileDescriptor> lock = drawbridge::LockFolder(state);
  if (!lock.ok()) return lock.status();
  StatusOr<drawbridge::Secret> token = ReadToken(token_file);
  if (!token.ok()) return token.status();
  const StatusOr<drawbridge::Enrolled> enrolled = drawbridge::Enrol(
      {.server = server, .ca_pin = pin, .token = *std::move(token), .state = state});
  if (!enrolled.ok()) return enrolled.status();
  if (!enrolled->relay_address.empty()) {
    Status kept = drawbridge::WriteFileAtomically(std::filesystem::path(state) / "server",
                                                  enrolled->relay_address + "\n", 0600);
    if (!kept.ok()) return kept;
  }
  fmt::print("enrolled as relay {}; start it with: drawbridge-relay run --state {}\n",
             enrolled->relay, state);
  return {};
}

Status Run(const drawbridge::RelaySettings& settings, const sigset_t& signals) {
  auto relay = drawbridge::Relay::Start(settings, drawbridge::Clock::System());
  if (!relay.ok()) return relay.status();
  sd_notify(0, "READY=1");
  int signal = 0;
  sigwait(&signals, &signal);
  sd_notify(0, "STOPPING=1");
  return {};
}

CLI::App* AddEnroll(CLI::App& app, std::string& state, std::string& server, std::string& pin,
                    std::string& token_file) {
  CLI::App* const enroll = app.add_subcommand("enroll", "Make this machine a relay, once");
  enroll->add_option("--state", state, "Folder for the relay's identity and journal")
      ->required()
      ->envname("DRAWBRIDGE_RELAY_STATE");
  enroll->add_option("--server", server, "host:port of the server's API")->required();
  enroll->add_option("--ca-pin", pin, "The server's authority, as `relay token create` printed it")
      ->required();
  enroll->add_option("--token-file", token_file, "File with the token, or - for standard input")
      ->required();
  return enroll;
}

CLI::App* AddRun(CLI::App& app, std::string& state, drawbridge::RelaySettings& settings) {
  CLI::App* const run = app.add_subcommand("run", "Carry records until SIGTERM or SIGINT");
  run->add_option("--state", state, "Folder for the relay's identity and journal")
      ->required()
      ->envname("DRAWBRIDGE_RELAY_STATE");
  run->add_option("--server", settings.server,
                  "host:port of the server's relay port, if not as enrolment said");
  run->add_option("--memory-limit", settings.memory_limit,
                  "What all lanes together may hold, as 256MB or 1GB")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(uint64_t{32} << 20, uint64_t{1} << 40))
      ->type_name("SIZE")
      ->default_str("256MB");
  return run;
}

}  // namespace

int main(int argc, char** argv) {
  const Status hardened = drawbridge::HardenProcess();
  // Before any thread: all of them leave these to main().
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  std::signal(SIGPIPE, SIG_IGN);

  CLI::App app{"Drawbridge's relay: carries records between clusters, as its server directs."};
  app.footer(kFooter);
  app.require_subcommand(1);
  app.set_version_flag("--version",
                       fmt::format("drawbridge-relay {} (librdkafka {}: {})", drawbridge::kVersion,
                                   drawbridge::LibraryVersion(), drawbridge::LibraryFeatures()));
  drawbridge::ReadYamlSettings(app);
  std::string level = "info";
  app.add_option("--log-level", level, "debug, info, warn or error")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  std::string state;
  std::string server;
  std::string pin;
  std::string token_file;
  CLI::App* const enroll = AddEnroll(app, state, server, pin, token_file);
  drawbridge::RelaySettings settings;
  CLI::App* const run = AddRun(app, state, settings);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageError;
  }
  drawbridge::StartLogging("drawbridge-relay", "", drawbridge::LogLevelFromName(level),
                           std::nullopt);
  if (!hardened.ok()) {
    drawbridge::Log("relay").Warn("process is not hardened", {{"text", hardened.message()}});
  }
  settings.state = state;

  if (*run) pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const Status status = *enroll ? Enroll(state, server, pin, token_file) : Run(settings, signals);
  if (status.ok()) return 0;
  fmt::print(stderr, "drawbridge-relay: {}\n", status.ToString());
  return 1;
}
