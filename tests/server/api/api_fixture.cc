#include "tests/server/api/api_fixture.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/certificate.h"
#include "base/file.h"
#include "model/convert/status.h"
#include "server/api/credential_service.h"
#include "server/api/definition_service.h"
#include "server/api/relay_service.h"
#include "server/api/relay_session_service.h"
#include "server/api/secret_vault.h"
#include "server/api/stream_service.h"
#include "server/security/keyring.h"
#include "server/security/relay_ca.h"
#include "server/security/secret_box.h"
#include "server/security/server_certificate.h"
#include "server/security/token.h"
#include "tests/fakes/certificates.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr auto kCallPatience = 30s;
// So much later a relay that does not read is cut off.
constexpr Duration kClosingPatience = 200ms;

template <typename T>
T Must(StatusOr<T> made) {
  if (made.ok()) return *std::move(made);
  std::fprintf(stderr, "%s\n", made.status().ToString().c_str());
  std::abort();
}

std::string CodeName(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return "OK";
    case grpc::StatusCode::CANCELLED:
      return "CANCELLED";
    case grpc::StatusCode::INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return "DEADLINE_EXCEEDED";
    case grpc::StatusCode::NOT_FOUND:
      return "NOT_FOUND";
    case grpc::StatusCode::ALREADY_EXISTS:
      return "ALREADY_EXISTS";
    case grpc::StatusCode::PERMISSION_DENIED:
      return "PERMISSION_DENIED";
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case grpc::StatusCode::FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case grpc::StatusCode::ABORTED:
      return "ABORTED";
    case grpc::StatusCode::UNAVAILABLE:
      return "UNAVAILABLE";
    case grpc::StatusCode::UNAUTHENTICATED:
      return "UNAUTHENTICATED";
    default:
      return fmt::format("{}", static_cast<int>(code));
  }
}

}  // namespace

std::string Outcome(const grpc::Status& status) {
  std::string outcome = CodeName(status.error_code());
  if (status.ok()) return outcome;
  const Status read = FromGrpc(status);
  if (read.reason() != Reason::kUnspecified) outcome += " " + std::string(Name(read.reason()));
  if (!read.field().empty()) outcome += " " + read.field();
  return outcome;
}

std::unique_ptr<grpc::ClientContext> CallContext(const std::string& token) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + kCallPatience);
  if (!token.empty()) context->AddMetadata("authorization", "Bearer " + token);
  return context;
}

// --- SessionClient ------------------------------------------------------------------------------

SessionClient::SessionClient(const std::shared_ptr<grpc::Channel>& channel,
                             const std::string& token)
    : context_(CallContext(token)),
      stub_(v1::RelaySessionService::NewStub(channel)),
      stream_(stub_->Connect(context_.get())) {}

std::optional<v1::ServerMessage> SessionClient::Hear() {
  v1::ServerMessage message;
  if (!stream_->Read(&message)) return std::nullopt;
  return message;
}

grpc::Status SessionClient::HearOut() {
  while (Hear()) {
  }
  return stream_->Finish();
}

// --- ApiTest ------------------------------------------------------------------------------------

struct ApiTest::Parts {
  Parts(ApiTest& test, const std::string& deployment_id)
      : relay_ca(Must(RelayCa::LoadOrCreate(test.folder_.path(), deployment_id, Clock::System()))),
        certificate(
            Must(ServerCertificate::LoadOrCreate(test.folder_.path(), {}, Clock::System()))),
        box(deployment_id, Must(Keyring::LoadOrCreate(test.folder_ / "master.key"))),
        vault(&box, test.credentials()),
        fleet(FleetSettings{}, test.database(), test.streams(), test.checkpoints(), test.relays(),
              test.clock_),
        gate(test.relays(), deployment_id),
        writer(test.database(), test.definitions(), fleet),
        sessions(gate, fleet, test.relays(), vault, relay_ca, Answers(), kClosingPatience),
        definitions(gate, writer),
        bridges(gate, writer, test.definitions(), fleet),
        endpoints(gate, writer, test.database(), fleet, test.clock_),
        credentials(gate, vault, test.database(), fleet),
        streams(gate, fleet, test.streams()),
        relays(gate, fleet, test.relays(), relay_ca, Answers(), test.clock_) {
    grpc::SslServerCredentialsOptions relay_tls(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    relay_tls.pem_root_certs = relay_ca.ca_pem();
    relay_server = Listen(std::move(relay_tls), {&sessions}, relay_port);
    api_server =
        Listen(grpc::SslServerCredentialsOptions(),
               {&definitions, &bridges, &endpoints, &credentials, &streams, &relays}, api_port);
  }

  EnrolmentAnswers Answers() const {
    return {.server_ca_pem = certificate.ca_pem(),
            .ca_pin = certificate.ca_pin(),
            .relay_address = "localhost:7071",
            .certificate_ttl = std::chrono::days(7)};
  }

  std::unique_ptr<grpc::Server> Listen(grpc::SslServerCredentialsOptions tls,
                                       const std::vector<grpc::Service*>& services,
                                       int& port) const {
    const ServerCertificateFiles files = certificate.files();
    tls.pem_key_cert_pairs = {{.private_key = Must(ReadFile(files.key)),
                               .cert_chain = Must(ReadFile(files.certificate))}};
    grpc::ServerBuilder builder;
    builder.AddListeningPort("localhost:0", grpc::SslServerCredentials(tls), &port);
    for (grpc::Service* const service : services) builder.RegisterService(service);
    return builder.BuildAndStart();
  }

  std::shared_ptr<grpc::Channel> Channel(int port, grpc::SslCredentialsOptions tls) const {
    tls.pem_root_certs = certificate.ca_pem();
    grpc::ChannelArguments arguments;
    // A connection of its own, whose windows stay as small as they are at first.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    return grpc::CreateCustomChannel(fmt::format("localhost:{}", port), grpc::SslCredentials(tls),
                                     arguments);
  }

  RelayCa relay_ca;
  ServerCertificate certificate;
  SecretBox box;
  SecretVault vault;
  FleetController fleet;
  CallGate gate;
  DefinitionWriter writer;
  RelaySessionServiceImpl sessions;
  DefinitionServiceImpl definitions;
  BridgeServiceImpl bridges;
  EndpointServiceImpl endpoints;
  CredentialServiceImpl credentials;
  StreamServiceImpl streams;
  RelayServiceImpl relays;
  std::unique_ptr<grpc::Server> relay_server;
  std::unique_ptr<grpc::Server> api_server;
  int relay_port = 0;
  int api_port = 0;
};

ApiTest::ApiTest() {
  clock_.SetWall(Clock::System().WallNow());
  parts_ = std::make_unique<Parts>(*this, State().deployment_id);
}

ApiTest::~ApiTest() {
  const auto deadline = std::chrono::system_clock::now() + kCallPatience;
  parts_->fleet.EndSessions();
  parts_->relay_server->Shutdown(deadline);
  parts_->api_server->Shutdown(deadline);
}

FleetController& ApiTest::fleet() { return parts_->fleet; }

FleetView ApiTest::View() {
  StatusOr<FleetView> view = fleet().View();
  EXPECT_TRUE(view.ok()) << view.status().ToString();
  return view.ok() ? *std::move(view) : FleetView{};
}

void ApiTest::Settle() {
  for (int i = 0; i < 4; ++i) {
    fleet().Wake();
    View();
  }
}

bool ApiTest::Eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + kCallPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();  // what holds is mostly a question to the controller's thread
  }
  return true;
}

std::string ApiTest::TokenOf(const std::string& role) {
  const NewToken token = Must(MakeToken(TokenKind::kApi));
  EXPECT_EQ(WhyNot(relays().AddApiToken(token.id, token.secret_hash, role, role)), "OK");
  return std::string(token.text.Reveal());
}

std::shared_ptr<grpc::Channel> ApiTest::ApiChannel() {
  return parts_->Channel(parts_->api_port, {});
}

std::shared_ptr<grpc::Channel> ApiTest::RelayChannel(const std::string& relay) {
  const KeyHandle key = Must(MakeKey());
  const RelayCertificate certificate = Must(parts_->relay_ca.SignRelay(MakeRequest(*key), relay));
  return parts_->Channel(
      parts_->relay_port,
      {.pem_root_certs = {},
       .pem_private_key = std::string(Must(ToPem(*key)).Reveal()),
       .pem_cert_chain = certificate.certificate_pem + parts_->relay_ca.ca_pem()});
}

std::unique_ptr<SessionClient> ApiTest::Welcomed(const std::string& relay,
                                                 const std::string& boot) {
  auto session = Connect(relay);
  EXPECT_TRUE(session->Say(Hello(boot)));
  const auto answer = session->Hear();
  EXPECT_TRUE(answer && answer->has_welcome()) << Outcome(session->HearOut());
  return session;
}

v1::RelayMessage ApiTest::Hello(const std::string& boot) {
  v1::RelayMessage message;
  message.mutable_hello()->set_boot_id(boot);
  message.mutable_hello()->set_version("1.0");
  message.mutable_hello()->set_librdkafka_version("2.16.0");
  message.mutable_hello()->set_protocol_min(1);
  message.mutable_hello()->set_protocol_max(1);
  return message;
}

v1::RelayMessage ApiTest::Heartbeat() {
  v1::RelayMessage message;
  message.mutable_heartbeat()->set_sent_at_ns(1);
  return message;
}

}  // namespace drawbridge
