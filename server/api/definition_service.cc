#include "server/api/definition_service.h"

#include <algorithm>

#include <fmt/format.h>

#include "model/convert/bridge.h"
#include "model/convert/endpoint.h"
#include "model/convert/observation.h"
#include "model/convert/time.h"
#include "server/api/definition_diff.h"
#include "server/api/view_convert.h"

namespace drawbridge {
namespace {

constexpr int kTries = 5;
constexpr int kDefinitionsMax = 1000;

Status NotFound(std::string_view kind, const std::string& name) {
  return {StatusCode::kNotFound, Reason::kNotFound, fmt::format("no {} is called {}", kind, name)};
}

Status GenerationMismatch(std::string_view kind, const std::string& name, int64_t stored) {
  return {StatusCode::kAborted, Reason::kGenerationMismatch,
          fmt::format("{} {} is at generation {}: read it again", kind, name, stored),
          "generation"};
}

auto FindStored(const std::vector<StoredBridge>& bridges, const std::string& name) {
  return std::ranges::find_if(bridges, [&](const auto& one) { return one.spec.name == name; });
}
auto FindStored(const std::vector<StoredEndpoint>& endpoints, const std::string& name) {
  return std::ranges::find_if(endpoints, [&](const auto& one) { return one.spec.name == name; });
}

// A Create finds nothing of that name.
template <typename Stored>
Status CheckIsNew(const std::vector<Stored>& stored, std::string_view kind,
                  const std::string& name) {
  if (FindStored(stored, name) == stored.end()) return {};
  return {StatusCode::kAlreadyExists, Reason::kNameTaken,
          fmt::format("a {} called {} exists: update it, or choose another name", kind, name),
          "name"};
}

// An Update finds the generation that was read; 0 takes any.
template <typename Stored>
Status CheckGeneration(const std::vector<Stored>& stored, std::string_view kind,
                       const std::string& name, int64_t generation) {
  const auto found = FindStored(stored, name);
  if (found == stored.end()) return NotFound(kind, name);
  if (generation == 0 || generation == found->generation) return {};
  return GenerationMismatch(kind, name, found->generation);
}

template <typename Message, typename Spec>
Status Convert(const google::protobuf::RepeatedPtrField<Message>& messages, std::string_view field,
               std::vector<Spec>& specs) {
  if (messages.size() > kDefinitionsMax) {
    return {StatusCode::kInvalidArgument, Reason::kFieldInvalid,
            fmt::format("at most {} at once", kDefinitionsMax), std::string(field)};
  }
  for (const Message& message : messages) {
    StatusOr<Spec> spec = FromProto(message);
    if (!spec.ok()) return spec.status().At(fmt::format("{}[{}]", field, message.name()));
    specs.push_back(*std::move(spec));
  }
  return {};
}

}  // namespace

// --- DefinitionWriter ---------------------------------------------------------------------------

StatusOr<v1::ApplyResponse> DefinitionWriter::Plan(const WantedDefinitions& wanted) {
  const StatusOr<DesiredState> stored = database_.ReadAll();
  if (!stored.ok()) return stored.status();
  const StatusOr<DefinitionPlan> plan = PlanDefinitions(*stored, wanted);
  if (!plan.ok()) return plan.status();
  return ToProto(*plan);
}

StatusOr<v1::ApplyResponse> DefinitionWriter::Apply(const WantedDefinitions& wanted,
                                                    Mutation mutation, const Check& check) {
  Status last;
  for (int i = 0; i < kTries; ++i) {
    const StatusOr<DesiredState> stored = database_.ReadAll();
    if (!stored.ok()) return stored.status();
    // A repeated call must get its first answer, not a complaint about what it did itself; the
    // store tells, so the complaint waits.
    const Status checked = check(*stored);
    StatusOr<DefinitionPlan> plan = PlanDefinitions(*stored, wanted);
    if (!checked.ok() || !plan.ok()) {
      const StatusOr<std::optional<std::string>> before = definitions_.FindResponse(mutation);
      if (!before.ok()) return before.status();
      if (!before->has_value()) return checked.ok() ? plan.status() : checked;
      v1::ApplyResponse response;
      response.ParseFromString(**before);
      return response;
    }
    v1::ApplyResponse response = ToProto(*plan);
    mutation.response = response.SerializeAsString();
    const StatusOr<Receipt> receipt =
        definitions_.Apply(plan->steps, plan->decided_at_revision, mutation);
    if (receipt.ok()) {
      response.ParseFromString(receipt->response);
      fleet_.Wake();
      return response;
    }
    last = receipt.status();
    if (last.code() != StatusCode::kAborted) return last;
  }
  return last;
}

StatusOr<v1::ApplyResponse> DefinitionWriter::Delete(const DefinitionStep& step,
                                                     const Mutation& mutation) {
  Status last;
  for (int i = 0; i < kTries; ++i) {
    const StatusOr<DesiredState> stored = database_.ReadAll();
    if (!stored.ok()) return stored.status();
    const StatusOr<Receipt> receipt = definitions_.Apply({step}, stored->revision, mutation);
    if (receipt.ok()) {
      fleet_.Wake();
      return v1::ApplyResponse();
    }
    last = receipt.status();
    if (last.code() != StatusCode::kAborted) return last;
  }
  return last;
}

// --- DefinitionService --------------------------------------------------------------------------

grpc::ServerUnaryReactor* DefinitionServiceImpl::Apply(grpc::CallbackServerContext* context,
                                                       const v1::ApplyRequest* request,
                                                       v1::ApplyResponse* response) {
  return gate_.Run(
      context, "/drawbridge.v1.DefinitionService/Apply", request, response,
      [this](const Actor& actor, const v1::ApplyRequest& asked,
             v1::ApplyResponse& answer) -> Status {
        WantedDefinitions wanted;
        wanted.prunes = asked.prune();
        if (Status read = Convert(asked.endpoints(), "endpoints", wanted.endpoints); !read.ok()) {
          return read;
        }
        if (Status read = Convert(asked.bridges(), "bridges", wanted.bridges); !read.ok())
          return read;
        StatusOr<v1::ApplyResponse> applied = Status(StatusCode::kInternal, "");
        if (asked.dry_run()) {
          applied = writer_.Plan(wanted);
        } else {
          StatusOr<Mutation> mutation =
              MutationOf(actor, asked, asked.request_id(), asked.reason());
          if (!mutation.ok()) return mutation.status();
          applied =
              writer_.Apply(wanted, *std::move(mutation), [](const auto&) { return Status(); });
        }
        if (!applied.ok()) return applied.status();
        answer = *std::move(applied);
        return {};
      });
}

// --- BridgeService ------------------------------------------------------------------------------

Status BridgeServiceImpl::Answer(const std::string& name, v1::Bridge& response) {
  const StatusOr<FleetView> view = fleet_.View();
  if (!view.ok()) return view.status();
  const StoredBridge* const bridge = FindBridge(*view, name);
  if (bridge == nullptr) return NotFound("bridge", name);
  response = ToProto(*bridge, *view);
  return {};
}

grpc::ServerUnaryReactor* BridgeServiceImpl::CreateBridge(grpc::CallbackServerContext* context,
                                                          const v1::CreateBridgeRequest* request,
                                                          v1::Bridge* response) {
  return gate_.Run(context, "/drawbridge.v1.BridgeService/CreateBridge", request, response,
                   [this](const Actor& actor, const auto& asked, v1::Bridge& answer) -> Status {
                     StatusOr<Mutation> mutation =
                         MutationOf(actor, asked, asked.request_id(), asked.reason());
                     if (!mutation.ok()) return mutation.status();
                     const StatusOr<BridgeSpec> spec = FromProto(asked.bridge());
                     if (!spec.ok()) return spec.status().At("bridge");
                     const auto applied =
                         writer_.Apply({.endpoints = {}, .bridges = {*spec}, .prunes = false},
                                       *std::move(mutation), [&](const DesiredState& stored) {
                                         return CheckIsNew(stored.bridges, "bridge", spec->name);
                                       });
                     if (!applied.ok()) return applied.status();
                     return Answer(spec->name, answer);
                   });
}

grpc::ServerUnaryReactor* BridgeServiceImpl::GetBridge(grpc::CallbackServerContext* context,
                                                       const v1::GetBridgeRequest* request,
                                                       v1::Bridge* response) {
  return gate_.Run(context, "/drawbridge.v1.BridgeService/GetBridge", request, response,
                   [this](const Actor&, const auto& asked, v1::Bridge& answer) {
                     return Answer(asked.name(), answer);
                   });
}

grpc::ServerUnaryReactor* BridgeServiceImpl::ListBridges(grpc::CallbackServerContext* context,
                                                         const v1::ListBridgesRequest* request,
                                                         v1::ListBridgesResponse* response) {
  return gate_.Run(context, "/drawbridge.v1.BridgeService/ListBridges", request, response,
                   [this](const Actor&, const auto&, v1::ListBridgesResponse& answer) -> Status {
                     const StatusOr<FleetView> view = fleet_.View();
                     if (!view.ok()) return view.status();
                     for (const StoredBridge& bridge : view->stored.bridges) {
                       *answer.add_bridges() = ToProto(bridge, *view);
                     }
                     return {};
                   });
}

grpc::ServerUnaryReactor* BridgeServiceImpl::UpdateBridge(grpc::CallbackServerContext* context,
                                                          const v1::UpdateBridgeRequest* request,
                                                          v1::Bridge* response) {
  return gate_.Run(context, "/drawbridge.v1.BridgeService/UpdateBridge", request, response,
                   [this](const Actor& actor, const auto& asked, v1::Bridge& answer) -> Status {
                     StatusOr<Mutation> mutation =
                         MutationOf(actor, asked, asked.request_id(), asked.reason());
                     if (!mutation.ok()) return mutation.status();
                     const StatusOr<BridgeSpec> spec = FromProto(asked.bridge());
                     if (!spec.ok()) return spec.status().At("bridge");
                     const auto applied = writer_.Apply(
                         {.endpoints = {}, .bridges = {*spec}, .prunes = false},
                         *std::move(mutation), [&](const DesiredState& stored) {
                           return CheckGeneration(stored.bridges, "bridge", spec->name,
                                                  asked.bridge().generation());
                         });
                     if (!applied.ok()) return applied.status();
                     return Answer(spec->name, answer);
                   });
}

grpc::ServerUnaryReactor* BridgeServiceImpl::DeleteBridge(grpc::CallbackServerContext* context,
                                                          const v1::DeleteBridgeRequest* request,
                                                          v1::DeleteBridgeResponse* response) {
  return gate_.Run(
      context, "/drawbridge.v1.BridgeService/DeleteBridge", request, response,
      [this](const Actor& actor, const auto& asked, const auto&) -> Status {
        const StatusOr<Mutation> mutation =
            MutationOf(actor, asked, asked.request_id(), asked.reason());
        if (!mutation.ok()) return mutation.status();
        return writer_.Delete(drawbridge::DeleteBridge{asked.name()}, *mutation).status();
      });
}

Status BridgeServiceImpl::SetPaused(const std::string& name, bool is_paused,
                                    const StatusOr<Mutation>& mutation, v1::Bridge& response) {
  if (!mutation.ok()) return mutation.status();
  const StatusOr<Receipt> receipt = definitions_.SetBridgePaused(name, is_paused, *mutation);
  if (!receipt.ok()) return receipt.status();
  fleet_.Wake();
  return Answer(name, response);
}

grpc::ServerUnaryReactor* BridgeServiceImpl::PauseBridge(grpc::CallbackServerContext* context,
                                                         const v1::PauseBridgeRequest* request,
                                                         v1::Bridge* response) {
  return gate_.Run(context, "/drawbridge.v1.BridgeService/PauseBridge", request, response,
                   [this](const Actor& actor, const auto& asked, v1::Bridge& answer) {
                     return SetPaused(asked.name(), true,
                                      MutationOf(actor, asked, asked.request_id(), asked.reason()),
                                      answer);
                   });
}

grpc::ServerUnaryReactor* BridgeServiceImpl::ResumeBridge(grpc::CallbackServerContext* context,
                                                          const v1::ResumeBridgeRequest* request,
                                                          v1::Bridge* response) {
  return gate_.Run(context, "/drawbridge.v1.BridgeService/ResumeBridge", request, response,
                   [this](const Actor& actor, const auto& asked, v1::Bridge& answer) {
                     return SetPaused(asked.name(), false,
                                      MutationOf(actor, asked, asked.request_id(), asked.reason()),
                                      answer);
                   });
}

// --- EndpointService ----------------------------------------------------------------------------

Status EndpointServiceImpl::Answer(const std::string& name, v1::Endpoint& response) {
  const StatusOr<DesiredState> stored = database_.ReadAll();
  if (!stored.ok()) return stored.status();
  const auto found = FindStored(stored->endpoints, name);
  if (found == stored->endpoints.end()) return NotFound("endpoint", name);
  response = ToProto(*found);
  return {};
}

grpc::ServerUnaryReactor* EndpointServiceImpl::CreateEndpoint(
    grpc::CallbackServerContext* context, const v1::CreateEndpointRequest* request,
    v1::Endpoint* response) {
  return gate_.Run(context, "/drawbridge.v1.EndpointService/CreateEndpoint", request, response,
                   [this](const Actor& actor, const auto& asked, v1::Endpoint& answer) -> Status {
                     StatusOr<Mutation> mutation =
                         MutationOf(actor, asked, asked.request_id(), asked.reason());
                     if (!mutation.ok()) return mutation.status();
                     const StatusOr<EndpointSpec> spec = FromProto(asked.endpoint());
                     if (!spec.ok()) return spec.status().At("endpoint");
                     const auto applied = writer_.Apply(
                         {.endpoints = {*spec}, .bridges = {}, .prunes = false},
                         *std::move(mutation), [&](const DesiredState& stored) {
                           return CheckIsNew(stored.endpoints, "endpoint", spec->name);
                         });
                     if (!applied.ok()) return applied.status();
                     return Answer(spec->name, answer);
                   });
}

grpc::ServerUnaryReactor* EndpointServiceImpl::GetEndpoint(grpc::CallbackServerContext* context,
                                                           const v1::GetEndpointRequest* request,
                                                           v1::Endpoint* response) {
  return gate_.Run(context, "/drawbridge.v1.EndpointService/GetEndpoint", request, response,
                   [this](const Actor&, const auto& asked, v1::Endpoint& answer) {
                     return Answer(asked.name(), answer);
                   });
}

grpc::ServerUnaryReactor* EndpointServiceImpl::ListEndpoints(
    grpc::CallbackServerContext* context, const v1::ListEndpointsRequest* request,
    v1::ListEndpointsResponse* response) {
  return gate_.Run(context, "/drawbridge.v1.EndpointService/ListEndpoints", request, response,
                   [this](const Actor&, const auto&, v1::ListEndpointsResponse& answer) -> Status {
                     const StatusOr<DesiredState> stored = database_.ReadAll();
                     if (!stored.ok()) return stored.status();
                     for (const StoredEndpoint& endpoint : stored->endpoints) {
                       *answer.add_endpoints() = ToProto(endpoint);
                     }
                     return {};
                   });
}

grpc::ServerUnaryReactor* EndpointServiceImpl::UpdateEndpoint(
    grpc::CallbackServerContext* context, const v1::UpdateEndpointRequest* request,
    v1::Endpoint* response) {
  return gate_.Run(context, "/drawbridge.v1.EndpointService/UpdateEndpoint", request, response,
                   [this](const Actor& actor, const auto& asked, v1::Endpoint& answer) -> Status {
                     StatusOr<Mutation> mutation =
                         MutationOf(actor, asked, asked.request_id(), asked.reason());
                     if (!mutation.ok()) return mutation.status();
                     const StatusOr<EndpointSpec> spec = FromProto(asked.endpoint());
                     if (!spec.ok()) return spec.status().At("endpoint");
                     const auto applied = writer_.Apply(
                         {.endpoints = {*spec}, .bridges = {}, .prunes = false},
                         *std::move(mutation), [&](const DesiredState& stored) {
                           return CheckGeneration(stored.endpoints, "endpoint", spec->name,
                                                  asked.endpoint().generation());
                         });
                     if (!applied.ok()) return applied.status();
                     return Answer(spec->name, answer);
                   });
}

grpc::ServerUnaryReactor* EndpointServiceImpl::DeleteEndpoint(
    grpc::CallbackServerContext* context, const v1::DeleteEndpointRequest* request,
    v1::DeleteEndpointResponse* response) {
  return gate_.Run(
      context, "/drawbridge.v1.EndpointService/DeleteEndpoint", request, response,
      [this](const Actor& actor, const auto& asked, const auto&) -> Status {
        const StatusOr<Mutation> mutation =
            MutationOf(actor, asked, asked.request_id(), asked.reason());
        if (!mutation.ok()) return mutation.status();
        return writer_.Delete(drawbridge::DeleteEndpoint{asked.name()}, *mutation).status();
      });
}

grpc::ServerUnaryReactor* EndpointServiceImpl::TestEndpoint(grpc::CallbackServerContext* context,
                                                            const v1::TestEndpointRequest* request,
                                                            v1::TestEndpointResponse* response) {
  return gate_.Run(
      context, "/drawbridge.v1.EndpointService/TestEndpoint", request, response,
      [this](const Actor&, const auto& asked, v1::TestEndpointResponse& answer) -> Status {
        const StatusOr<FleetController::EndpointTest> test = fleet_.TestEndpoint(
            asked.name(), asked.relay(), {asked.topics().begin(), asked.topics().end()});
        if (!test.ok()) return test.status();
        answer.set_relay(test->relay.value);
        answer.set_ok(std::ranges::all_of(test->checks, &EndpointCheck::is_ok));
        for (const EndpointCheck& check : test->checks) {
          *answer.add_checks() = ToProto(check);
        }
        *answer.mutable_tested_at() = ToProto(clock_.WallNow());
        return {};
      });
}

}  // namespace drawbridge
