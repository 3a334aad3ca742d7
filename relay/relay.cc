#include "relay/relay.h"

#include "base/file.h"
#include "base/log.h"
#include "base/version.h"
#include "relay/cluster_lane_factory.h"
#include "relay/control/control_session.h"
#include "relay/pipeline/journal.h"
#include "relay/pipeline/progress_board.h"
#include "relay/supervisor/supervisor.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay");

// For giving everything back. With what ends the threads, less than the 30 s that Kubernetes gives.
constexpr Duration kStopPatience = 24s;

}  // namespace

// In the order in which they need each other: the last to be made is the first to go.
struct Relay::Parts {
  Parts(const RelaySettings& wanted, FileDescriptor locked, std::unique_ptr<Journal> opened,
        RelayIdentity identity, const std::string& server, const Clock& its_clock)
      : clock(its_clock),
        lock(std::move(locked)),
        journal(std::move(opened)),
        factory(identity.relay_name(), its_clock),
        board([this] { session.Wake(); }),
        session({.server = server,
                 .state = wanted.state,
                 .version = kVersion,
                 .librdkafka_version = LibraryVersion(),
                 .librdkafka_features = LibraryFeatures()},
                std::move(identity), factory, board, its_clock),
        supervisor(
            {.memory_limit = wanted.memory_limit}, factory, *journal, board, its_clock,
            [this](GivenBack back) { session.GiveBack(std::move(back)); },
            [this](SurveyResult result) { session.Surveyed(std::move(result)); }) {
    session.Start(supervisor);
  }

  const Clock& clock;
  FileDescriptor lock;
  std::unique_ptr<Journal> journal;
  ClusterLaneFactory factory;
  ProgressBoard board;
  ControlSession session;
  Supervisor supervisor;
};

StatusOr<std::unique_ptr<Relay>> Relay::Start(const RelaySettings& settings, const Clock& clock) {
  StatusOr<FileDescriptor> lock = LockFolder(settings.state);
  if (!lock.ok()) return lock.status();
  StatusOr<RelayIdentity> identity = RelayIdentity::Load(settings.state);
  if (identity.status().code() == StatusCode::kNotFound) {
    return Status(
        StatusCode::kFailedPrecondition, Reason::kNotFound,
        "this machine is no relay yet: run `drawbridge-relay enroll` first, with a token of "
        "`drawbridge relay token create`");
  }
  if (!identity.ok()) return identity.status();
  std::string server = settings.server;
  if (server.empty()) {
    const StatusOr<std::string> told = ReadFile(settings.state / "server");
    if (!told.ok()) {
      return Status(StatusCode::kFailedPrecondition, Reason::kFieldInvalid,
                    "the server's address is not known: give --server host:port of its relay port");
    }
    server = told->substr(0, told->find('\n'));
  }
  StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(settings.state);
  if (!journal.ok()) return journal.status();
  kLog.Info("relay is starting", {{"relay_id", identity->relay_name()},
                                  {"server", server},
                                  {"version", kVersion},
                                  {"librdkafka", LibraryVersion()}});
  return std::unique_ptr<Relay>(new Relay(std::make_unique<Parts>(
      settings, *std::move(lock), *std::move(journal), *std::move(identity), server, clock)));
}

Relay::Relay(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Relay::~Relay() {
  const BootTime deadline = parts_->clock.Now() + kStopPatience;
  const bool is_drained = parts_->supervisor.Drain();
  const bool is_said = parts_->session.Stop(deadline);
  if (!is_drained) {
    kLog.Warn(
        "relay stops before the target has confirmed everything: what was in flight comes "
        "twice");
  }
  if (is_said) {
    kLog.Info("relay has given everything back");
  } else {
    kLog.Warn(
        "relay stops before the server knows: its partitions move when its lease has run out");
  }
}

}  // namespace drawbridge
