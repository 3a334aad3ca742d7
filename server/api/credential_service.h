#pragma once

#include "drawbridge/v1/credential.grpc.pb.h"
#include "server/api/call_gate.h"
#include "server/api/secret_vault.h"
#include "server/control/fleet_controller.h"
#include "server/store/control_database.h"

namespace drawbridge {

// Named secrets: in, and never out. gRPC calls it from its own threads.
class CredentialServiceImpl final : public v1::CredentialService::CallbackService {
 public:
  CredentialServiceImpl(CallGate& gate, SecretVault& vault, ControlDatabase& database,
                        FleetController& fleet)
      : gate_(gate), vault_(vault), database_(database), fleet_(fleet) {}

  grpc::ServerUnaryReactor* SetCredential(grpc::CallbackServerContext* context,
                                          const v1::SetCredentialRequest* request,
                                          v1::Credential* response) override;
  grpc::ServerUnaryReactor* GetCredential(grpc::CallbackServerContext* context,
                                          const v1::GetCredentialRequest* request,
                                          v1::Credential* response) override;
  grpc::ServerUnaryReactor* ListCredentials(grpc::CallbackServerContext* context,
                                            const v1::ListCredentialsRequest* request,
                                            v1::ListCredentialsResponse* response) override;
  grpc::ServerUnaryReactor* DeleteCredential(grpc::CallbackServerContext* context,
                                             const v1::DeleteCredentialRequest* request,
                                             v1::DeleteCredentialResponse* response) override;

 private:
  CallGate& gate_;
  SecretVault& vault_;
  ControlDatabase& database_;
  FleetController& fleet_;
};

}  // namespace drawbridge
