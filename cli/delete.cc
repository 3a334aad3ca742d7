#include <memory>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "drawbridge/v1/bridge.grpc.pb.h"
#include "drawbridge/v1/credential.grpc.pb.h"
#include "drawbridge/v1/endpoint.grpc.pb.h"

namespace drawbridge::cli {
namespace {

struct DeleteOptions {
  std::string kind;
  std::string name;
  std::string reason;
};

template <typename Stub, typename Request, typename Response>
ExitCode DeleteOne(Session& session, const DeleteOptions& options,
                   Method<Stub, Request, Response> method) {
  Request request;
  request.set_name(options.name);
  request.set_reason(options.reason);
  const Result<Response> deleted = session.Mutate(method, request);
  if (!deleted.ok()) return session.Fail(deleted.failure());
  if (session.wants_json()) {
    session.Print(Json{{"deleted", {{"kind", options.kind}, {"name", options.name}}}});
  } else {
    session.Print(fmt::format("{} {} deleted", options.kind, options.name));
  }
  return ExitCode::kOk;
}

ExitCode Delete(Session& session, const DeleteOptions& options) {
  if (options.kind == "endpoint") {
    return DeleteOne(session, options, &v1::EndpointService::Stub::DeleteEndpoint);
  }
  if (options.kind == "credential") {
    return DeleteOne(session, options, &v1::CredentialService::Stub::DeleteCredential);
  }
  return DeleteOne(session, options, &v1::BridgeService::Stub::DeleteBridge);
}

constexpr const char* kExamples =
    R"(A bridge goes with its streams and checkpoints: one of the same name made later starts
afresh. An endpoint or credential that something still uses is not deleted.

Examples:
  drawbridge delete bridge oci-logs --reason "moved to the new region")";

}  // namespace

void AddDelete(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<DeleteOptions>();
  CLI::App& verb = *app.add_subcommand("delete", "Delete an endpoint, a bridge or a credential");
  verb.add_option("KIND", options->kind, "endpoint, bridge or credential")
      ->required()
      ->check(OneOf({"endpoint", "bridge", "credential"}))
      ->type_name("");
  verb.add_option("NAME", options->name, "Its name")->required()->type_name("");
  AddReason(verb, options->reason);
  verb.footer(kExamples);
  Bind(verb, chosen, std::move(options), Delete);
}

}  // namespace drawbridge::cli
