#include <csignal>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "base/process.h"
#include "base/version.h"
#include "base/yaml_settings.h"
#include "server/server.h"

namespace {

constexpr const char* kFooter = R"(
At first start the server makes, in the state folder: control.db, master.key (seals stored secrets;
keep a copy elsewhere), its two authorities, and admin.context, with which `drawbridge` connects:
  drawbridge --context STATE/admin.context get bridges

A YAML file holds the same settings as the flags: `state: /var/lib/drawbridge`.
Exit status: 0 stopped by a signal; 1 could not start (the log says why); 2 not understood.)";

constexpr int kUsageError = 2;

struct Options {
  drawbridge::ServerSettings settings;
  std::string state;
  std::string master_key;
  int64_t certificate_seconds = int64_t{7} * 24 * 3600;
  int64_t lease_seconds = 30;
  std::string level = "info";
};

void AddOptions(CLI::App& app, Options& options) {
  app.add_option("--state", options.state, "Folder for all that the server keeps")
      ->required()
      ->envname("DRAWBRIDGE_STATE");
  app.add_option("--api-listen", options.settings.api_listen,
                 "host:port of the API (port 0: any free one)")
      ->capture_default_str();
  app.add_option("--relay-listen", options.settings.relay_listen, "host:port for relays")
      ->capture_default_str();
  app.add_option("--api-address", options.settings.api_address,
                 "host:port at which people reach the API, if another");
  app.add_option("--relay-address", options.settings.relay_address,
                 "host:port at which relays reach the server, if another");
  app.add_option("--host", options.settings.hosts,
                 "A further name or address for the server's certificate");
  app.add_option("--master-key", options.master_key, "File with the key that seals secrets")
      ->envname("DRAWBRIDGE_MASTER_KEY");
  app.add_option("--master-key-credential", options.settings.master_key_credential,
                 "Name of the service manager's credential (LoadCredential= of the unit) that is "
                 "this key, in place of a file")
      ->envname("DRAWBRIDGE_MASTER_KEY_CREDENTIAL");
  app.add_flag("--forget-secrets", options.settings.forgets_secrets,
               "The master key is lost: delete the secrets that it sealed; every credential has to "
               "be set again. Nothing happens while the key fits");
  app.add_option("--relay-certificate-ttl", options.certificate_seconds,
                 "Life of a relay's certificate, seconds")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{10}, int64_t{90} * 24 * 3600))
      ->type_name("SECONDS");
  app.add_option("--lease-ttl", options.lease_seconds,
                 "How long a silent relay keeps its partitions, seconds")
      ->capture_default_str()
      ->check(CLI::Range(3, 3600))
      ->type_name("SECONDS");
  app.add_flag("--reflection", options.settings.has_reflection,
               "Let clients ask which methods there are");
  app.add_option("--log-level", options.level, "debug, info, warn or error")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
}

}  // namespace

int main(int argc, char** argv) {
  const drawbridge::Status hardened = drawbridge::HardenProcess();
  // Before any thread: all of them leave these to main().
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  CLI::App app{
      "Drawbridge's control plane: keeps definitions, secrets and checkpoints, and directs "
      "relays."};
  app.footer(kFooter);
  app.set_version_flag("--version", fmt::format("drawbridge-server {}", drawbridge::kVersion));
  drawbridge::ReadYamlSettings(app);
  Options options;
  AddOptions(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageError;
  }
  drawbridge::ServerSettings& settings = options.settings;
  settings.state = options.state;
  settings.master_key = options.master_key;
  settings.certificate_ttl = std::chrono::seconds(options.certificate_seconds);
  settings.lease_ttl = std::chrono::seconds(options.lease_seconds);
  drawbridge::StartLogging("drawbridge-server", "", drawbridge::LogLevelFromName(options.level),
                           std::nullopt);
  if (!hardened.ok()) {
    drawbridge::Log("server").Warn("process is not hardened", {{"text", hardened.message()}});
  }

  auto server = drawbridge::Server::Start(settings, drawbridge::Clock::System());
  if (!server.ok()) {
    fmt::print(stderr, "drawbridge-server cannot start: {}\n", server.status().ToString());
    return 1;
  }
  sd_notify(0, "READY=1");
  const timespec second{.tv_sec = 1, .tv_nsec = 0};
  while (sigtimedwait(&signals, nullptr, &second) < 0) (*server)->Tick();
  sd_notify(0, "STOPPING=1");
  return 0;
}
