#pragma once

#include <functional>

#include "drawbridge/v1/bridge.grpc.pb.h"
#include "drawbridge/v1/endpoint.grpc.pb.h"
#include "server/api/call_gate.h"
#include "server/control/definitions.h"
#include "server/control/fleet_controller.h"
#include "server/store/control_database.h"
#include "server/store/definition_store.h"

namespace drawbridge {

// Changes of definitions, whichever call they come by: decided against what is stored, and stored
// if nothing was changed meanwhile. Thread-safe.
class DefinitionWriter {
 public:
  DefinitionWriter(ControlDatabase& database, DefinitionStore& definitions, FleetController& fleet)
      : database_(database), definitions_(definitions), fleet_(fleet) {}

  // What would change.
  StatusOr<v1::ApplyResponse> Plan(const WantedDefinitions& wanted);

  // `check` looks at what is stored before anything is decided: a Create refuses what is there.
  using Check = std::function<Status(const DesiredState&)>;
  StatusOr<v1::ApplyResponse> Apply(const WantedDefinitions& wanted, Mutation mutation,
                                    const Check& check);

  StatusOr<v1::ApplyResponse> Delete(const DefinitionStep& step, const Mutation& mutation);

 private:
  ControlDatabase& database_;
  DefinitionStore& definitions_;
  FleetController& fleet_;
};

// The services for bridges, endpoints and whole files of them. A handler translates, calls one
// operation and translates back; it holds no state and makes no decision. gRPC calls it from its
// own threads.
class DefinitionServiceImpl final : public v1::DefinitionService::CallbackService {
 public:
  DefinitionServiceImpl(CallGate& gate, DefinitionWriter& writer) : gate_(gate), writer_(writer) {}

  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context,
                                  const v1::ApplyRequest* request,
                                  v1::ApplyResponse* response) override;

 private:
  CallGate& gate_;
  DefinitionWriter& writer_;
};

class BridgeServiceImpl final : public v1::BridgeService::CallbackService {
 public:
  BridgeServiceImpl(CallGate& gate, DefinitionWriter& writer, DefinitionStore& definitions,
                    FleetController& fleet)
      : gate_(gate), writer_(writer), definitions_(definitions), fleet_(fleet) {}

  grpc::ServerUnaryReactor* CreateBridge(grpc::CallbackServerContext* context,
                                         const v1::CreateBridgeRequest* request,
                                         v1::Bridge* response) override;
  grpc::ServerUnaryReactor* GetBridge(grpc::CallbackServerContext* context,
                                      const v1::GetBridgeRequest* request,
                                      v1::Bridge* response) override;
  grpc::ServerUnaryReactor* ListBridges(grpc::CallbackServerContext* context,
                                        const v1::ListBridgesRequest* request,
                                        v1::ListBridgesResponse* response) override;
  grpc::ServerUnaryReactor* UpdateBridge(grpc::CallbackServerContext* context,
                                         const v1::UpdateBridgeRequest* request,
                                         v1::Bridge* response) override;
  grpc::ServerUnaryReactor* DeleteBridge(grpc::CallbackServerContext* context,
                                         const v1::DeleteBridgeRequest* request,
                                         v1::DeleteBridgeResponse* response) override;
  grpc::ServerUnaryReactor* PauseBridge(grpc::CallbackServerContext* context,
                                        const v1::PauseBridgeRequest* request,
                                        v1::Bridge* response) override;
  grpc::ServerUnaryReactor* ResumeBridge(grpc::CallbackServerContext* context,
                                         const v1::ResumeBridgeRequest* request,
                                         v1::Bridge* response) override;

 private:
  Status Answer(const std::string& name, v1::Bridge& response);
  Status SetPaused(const std::string& name, bool is_paused, const StatusOr<Mutation>& mutation,
                   v1::Bridge& response);

  CallGate& gate_;
  DefinitionWriter& writer_;
  DefinitionStore& definitions_;
  FleetController& fleet_;
};

class EndpointServiceImpl final : public v1::EndpointService::CallbackService {
 public:
  EndpointServiceImpl(CallGate& gate, DefinitionWriter& writer, ControlDatabase& database,
                      FleetController& fleet, const Clock& clock)
      : gate_(gate), writer_(writer), database_(database), fleet_(fleet), clock_(clock) {}

  grpc::ServerUnaryReactor* CreateEndpoint(grpc::CallbackServerContext* context,
                                           const v1::CreateEndpointRequest* request,
                                           v1::Endpoint* response) override;
  grpc::ServerUnaryReactor* GetEndpoint(grpc::CallbackServerContext* context,
                                        const v1::GetEndpointRequest* request,
                                        v1::Endpoint* response) override;
  grpc::ServerUnaryReactor* ListEndpoints(grpc::CallbackServerContext* context,
                                          const v1::ListEndpointsRequest* request,
                                          v1::ListEndpointsResponse* response) override;
  grpc::ServerUnaryReactor* UpdateEndpoint(grpc::CallbackServerContext* context,
                                           const v1::UpdateEndpointRequest* request,
                                           v1::Endpoint* response) override;
  grpc::ServerUnaryReactor* DeleteEndpoint(grpc::CallbackServerContext* context,
                                           const v1::DeleteEndpointRequest* request,
                                           v1::DeleteEndpointResponse* response) override;
  grpc::ServerUnaryReactor* TestEndpoint(grpc::CallbackServerContext* context,
                                         const v1::TestEndpointRequest* request,
                                         v1::TestEndpointResponse* response) override;

 private:
  Status Answer(const std::string& name, v1::Endpoint& response);

  CallGate& gate_;
  DefinitionWriter& writer_;
  ControlDatabase& database_;
  FleetController& fleet_;
  const Clock& clock_;
};

}  // namespace drawbridge
