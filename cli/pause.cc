#include <memory>

#include <fmt/format.h>

#include "cli/values.h"
#include "cli/verbs.h"
#include "drawbridge/v1/bridge.grpc.pb.h"
#include "drawbridge/v1/stream.grpc.pb.h"

namespace drawbridge::cli {
namespace {

struct PauseOptions {
  std::string kind;
  std::string name;
  std::string reason;
};

// Shows what came of it, or why nothing did.
template <typename Resource>
ExitCode Show(Session& session, const PauseOptions& options, const Result<Resource>& changed) {
  if (!changed.ok()) return session.Fail(changed.failure());
  if (session.wants_json()) {
    session.Print(ToJson(*changed));
  } else {
    session.Print(fmt::format("{} {} {}", options.kind, options.name,
                              changed->paused() ? "is paused" : "may run"));
  }
  return ExitCode::kOk;
}

template <typename Request>
ExitCode ChangeBridge(Session& session, const PauseOptions& options,
                      Method<v1::BridgeService::Stub, Request, v1::Bridge> method) {
  Request request;
  request.set_name(options.name);
  request.set_reason(options.reason);
  return Show(session, options, session.Mutate(method, request));
}

template <typename Request>
ExitCode ChangeStream(Session& session, const PauseOptions& options,
                      Method<v1::StreamService::Stub, Request, v1::Stream> method) {
  const StreamName stream = ParseStreamName(options.name);
  if (stream.topic.empty()) {
    return session.Fail(UsageFailure(Reason::kFieldInvalid,
                                     "a stream is named BRIDGE/TOPIC; for all of a bridge, name "
                                     "the bridge",
                                     "NAME"));
  }
  Request request;
  request.set_bridge(stream.bridge);
  request.set_topic(stream.topic);
  request.set_reason(options.reason);
  return Show(session, options, session.Mutate(method, request));
}

ExitCode Pause(Session& session, const PauseOptions& options) {
  return options.kind == "bridge"
             ? ChangeBridge(session, options, &v1::BridgeService::Stub::PauseBridge)
             : ChangeStream(session, options, &v1::StreamService::Stub::PauseStream);
}

ExitCode Resume(Session& session, const PauseOptions& options) {
  return options.kind == "bridge"
             ? ChangeBridge(session, options, &v1::BridgeService::Stub::ResumeBridge)
             : ChangeStream(session, options, &v1::StreamService::Stub::ResumeStream);
}

std::shared_ptr<PauseOptions> AddOptions(CLI::App& verb) {
  auto options = std::make_shared<PauseOptions>();
  verb.add_option("KIND", options->kind, "bridge or stream")
      ->required()
      ->check(OneOf({"bridge", "stream"}))
      ->type_name("");
  verb.add_option("NAME", options->name, "Its name; of a stream BRIDGE/TOPIC")
      ->required()
      ->type_name("");
  AddReason(verb, options->reason);
  return options;
}

constexpr const char* kPauseExamples =
    R"(A stream runs only if neither it nor its bridge is paused. Pausing twice is no error.

Examples:
  drawbridge pause bridge oci-logs --reason "target is being moved"
  drawbridge pause stream oci-logs/audit)";

constexpr const char* kResumeExamples =
    R"(Records go on from the checkpoint. Resuming twice is no error.

Examples:
  drawbridge resume bridge oci-logs
  drawbridge resume stream oci-logs/audit)";

}  // namespace

void AddPauseAndResume(CLI::App& app, Verb& chosen) {
  CLI::App& pause =
      *app.add_subcommand("pause", "Stop a bridge or a stream, which keeps its checkpoints");
  Bind(pause, chosen, AddOptions(pause), Pause);
  pause.footer(kPauseExamples);
  CLI::App& resume = *app.add_subcommand("resume", "Let a paused bridge or stream run again");
  Bind(resume, chosen, AddOptions(resume), Resume);
  resume.footer(kResumeExamples);
}

}  // namespace drawbridge::cli
