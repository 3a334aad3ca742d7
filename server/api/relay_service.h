#pragma once

#include <string>

#include "base/clock.h"
#include "drawbridge/v1/relay_admin.grpc.pb.h"
#include "server/api/call_gate.h"
#include "server/control/fleet_controller.h"
#include "server/security/relay_ca.h"
#include "server/store/relay_store.h"

namespace drawbridge {

// What a relay is told when it enrols.
struct EnrolmentAnswers {
  std::string server_ca_pem;
  std::string ca_pin;
  std::string relay_address;  // host:port
  Duration certificate_ttl = RelayCa::kDefaultTtl;
};

// Relays as operators see them, and enrolment. gRPC calls it from its own threads.
class RelayServiceImpl final : public v1::RelayService::CallbackService {
 public:
  RelayServiceImpl(CallGate& gate, FleetController& fleet, RelayStore& relays, const RelayCa& ca,
                   EnrolmentAnswers answers, const Clock& clock)
      : gate_(gate),
        fleet_(fleet),
        relays_(relays),
        ca_(ca),
        answers_(std::move(answers)),
        clock_(clock) {}

  grpc::ServerUnaryReactor* ListRelays(grpc::CallbackServerContext* context,
                                       const v1::ListRelaysRequest* request,
                                       v1::ListRelaysResponse* response) override;
  grpc::ServerUnaryReactor* GetRelay(grpc::CallbackServerContext* context,
                                     const v1::GetRelayRequest* request,
                                     v1::Relay* response) override;
  grpc::ServerUnaryReactor* CreateEnrolmentToken(
      grpc::CallbackServerContext* context, const v1::CreateEnrolmentTokenRequest* request,
      v1::CreateEnrolmentTokenResponse* response) override;
  grpc::ServerUnaryReactor* RevokeRelay(grpc::CallbackServerContext* context,
                                        const v1::RevokeRelayRequest* request,
                                        v1::Relay* response) override;
  grpc::ServerUnaryReactor* Enroll(grpc::CallbackServerContext* context,
                                   const v1::EnrollRequest* request,
                                   v1::EnrollResponse* response) override;

 private:
  Status Answer(const std::string& name, v1::Relay& response);
  Status MakeToken(const Actor& actor, const v1::CreateEnrolmentTokenRequest& asked,
                   v1::CreateEnrolmentTokenResponse& answer);
  Status TakeIn(const v1::EnrollRequest& asked, v1::EnrollResponse& answer);

  CallGate& gate_;
  FleetController& fleet_;
  RelayStore& relays_;
  const RelayCa& ca_;
  const EnrolmentAnswers answers_;
  const Clock& clock_;
};

}  // namespace drawbridge
