#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <grpcpp/grpcpp.h>

#include "drawbridge/v1/relay.grpc.pb.h"
#include "server/control/fleet_controller.h"
#include "tests/server/store/store_fixture.h"

namespace drawbridge {

// "OK", or the code with reason and field, as far as there are any:
// "INVALID_ARGUMENT FIELD_INVALID bridge.name".
std::string Outcome(const grpc::Status& status);

// A context for one call, with a deadline that ends a test which would wait for ever.
std::unique_ptr<grpc::ClientContext> CallContext(const std::string& token = "");

// The relay's end of a session. Reads and writes wait.
class SessionClient {
 public:
  SessionClient(const std::shared_ptr<grpc::Channel>& channel, const std::string& token);
  ~SessionClient() { context_->TryCancel(); }
  SessionClient(const SessionClient&) = delete;
  SessionClient& operator=(const SessionClient&) = delete;

  // False once the session has ended.
  bool Say(const v1::RelayMessage& message) { return stream_->Write(message); }
  std::optional<v1::ServerMessage> Hear();
  void Leave() { stream_->WritesDone(); }
  // Reads what is left to read, and says how the session ended.
  grpc::Status HearOut();
  // The same once nothing is left to read.
  grpc::Status End() { return stream_->Finish(); }

 private:
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<v1::RelaySessionService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::RelayMessage, v1::ServerMessage>> stream_;
};

// Both listeners with all services, over the real store and the real controller, in this process
// and on free ports. Time stands still, at the present.
class ApiTest : public StoreTest {
 protected:
  ApiTest();
  ~ApiTest() override;

  FleetController& fleet();
  FleetView View();
  bool IsConnected(const std::string& relay) { return View().relays[{relay}].is_connected; }
  // What was asked for is decided, and what follows from it.
  void Settle();
  // Waits until it holds, for 10 s at most; whether it does.
  static bool Eventually(const std::function<bool()>& holds);

  // A new API token of that role.
  std::string TokenOf(const std::string& role);
  // The API port.
  std::shared_ptr<grpc::Channel> ApiChannel();
  // The relay port, with a certificate for a relay of that name: a connection of its own.
  std::shared_ptr<grpc::Channel> RelayChannel(const std::string& relay);

  std::unique_ptr<SessionClient> Connect(const std::string& relay, const std::string& token = "") {
    return std::make_unique<SessionClient>(RelayChannel(relay), token);
  }
  // A session that has said Hello and heard Welcome.
  std::unique_ptr<SessionClient> Welcomed(const std::string& relay,
                                          const std::string& boot = "boot");
  static v1::RelayMessage Hello(const std::string& boot = "boot");
  static v1::RelayMessage Heartbeat();

 private:
  struct Parts;

  std::unique_ptr<Parts> parts_;
};

}  // namespace drawbridge
