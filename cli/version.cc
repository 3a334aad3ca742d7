#include <fmt/format.h>
#include <google/protobuf/stubs/common.h>
#include <grpcpp/grpcpp.h>

#include "cli/verbs.h"

namespace drawbridge::cli {
namespace {

ExitCode Version(Session& session) {
  const std::string protobuf = google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION);
  if (session.wants_json()) {
    session.Print(Json{{"version", DRAWBRIDGE_VERSION},
                       {"api", "drawbridge.v1"},
                       {"grpc", grpc::Version()},
                       {"protobuf", protobuf}});
  } else {
    session.Print(fmt::format("drawbridge {} (API drawbridge.v1, gRPC {}, Protocol Buffers {})",
                              DRAWBRIDGE_VERSION, grpc::Version(), protobuf));
  }
  return ExitCode::kOk;
}

}  // namespace

void AddVersion(CLI::App& app, Verb& chosen) {
  CLI::App& version = *app.add_subcommand("version", "Show the version of this program");
  version.callback([&chosen] { chosen = Version; });
}

}  // namespace drawbridge::cli
