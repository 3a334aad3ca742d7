#pragma once

#include "base/clock.h"
#include "drawbridge/v1/relay.grpc.pb.h"
#include "server/api/call_gate.h"
#include "server/api/relay_service.h"
#include "server/api/secret_vault.h"
#include "server/control/fleet_controller.h"

namespace drawbridge {

// The relay port: one stream per relay, and the unary calls around it. Who calls is who the
// certificate says. gRPC calls it from its own threads.
class RelaySessionServiceImpl final : public v1::RelaySessionService::CallbackService {
 public:
  // A session that is closed while its relay does not read ends so much later.
  static constexpr Duration kClosingPatience = std::chrono::seconds(3);

  RelaySessionServiceImpl(CallGate& gate, FleetController& fleet, RelayStore& relays,
                          SecretVault& vault, const RelayCa& ca, EnrolmentAnswers answers,
                          Duration closing_patience = kClosingPatience)
      : gate_(gate),
        fleet_(fleet),
        relays_(relays),
        vault_(vault),
        ca_(ca),
        answers_(std::move(answers)),
        closing_patience_(closing_patience) {}

  grpc::ServerBidiReactor<v1::RelayMessage, v1::ServerMessage>* Connect(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* GetSecret(grpc::CallbackServerContext* context,
                                      const v1::GetSecretRequest* request,
                                      v1::GetSecretResponse* response) override;
  grpc::ServerUnaryReactor* RenewCertificate(grpc::CallbackServerContext* context,
                                             const v1::RenewCertificateRequest* request,
                                             v1::RenewCertificateResponse* response) override;
  grpc::ServerUnaryReactor* AnswerQuery(grpc::CallbackServerContext* context,
                                        const v1::AnswerQueryRequest* request,
                                        v1::AnswerQueryResponse* response) override;

 private:
  CallGate& gate_;
  FleetController& fleet_;
  RelayStore& relays_;
  SecretVault& vault_;
  const RelayCa& ca_;
  const EnrolmentAnswers answers_;
  const Duration closing_patience_;
};

}  // namespace drawbridge
