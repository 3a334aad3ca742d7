#include "server/server.h"

#include <fmt/format.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "base/file.h"
#include "base/log.h"
#include "server/api/call_gate.h"
#include "server/api/credential_service.h"
#include "server/api/definition_service.h"
#include "server/api/relay_service.h"
#include "server/api/relay_session_service.h"
#include "server/api/secret_vault.h"
#include "server/api/stream_service.h"
#include "server/control/fleet_controller.h"
#include "server/security/keyring.h"
#include "server/security/relay_ca.h"
#include "server/security/secret_box.h"
#include "server/security/server_certificate.h"
#include "server/security/token.h"
#include "server/store/checkpoint_store.h"
#include "server/store/control_database.h"
#include "server/store/credential_store.h"
#include "server/store/definition_store.h"
#include "server/store/relay_store.h"
#include "server/store/stream_store.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("server");

constexpr unsigned kCertificateLookSeconds = 10;
constexpr int kRelayMessageMax = 1 << 20;
constexpr int kApiMessageMax = 4 << 20;
constexpr auto kShutdownPatience = 10s;
constexpr Duration kCertificateLookEvery = 1min;

// Loads the key from where the settings say. It is made only if it is the server's own file and
// `may_make`: a key that somebody else keeps is theirs to make.
StatusOr<Keyring> LoadKeyring(const ServerSettings& settings, bool may_make) {
  if (!settings.master_key_credential.empty()) {
    return Keyring::LoadCredential(settings.master_key_credential);
  }
  if (!settings.master_key.empty()) return Keyring::Load(settings.master_key);
  const std::filesystem::path own = settings.state / "master.key";
  return may_make ? Keyring::LoadOrCreate(own) : Keyring::Load(own);
}

std::string KeyPlace(const ServerSettings& settings) {
  if (!settings.master_key_credential.empty()) {
    return "credential " + settings.master_key_credential;
  }
  return (settings.master_key.empty() ? settings.state / "master.key" : settings.master_key)
      .string();
}

// The key that seals secrets. Null while it is not the one that sealed what is stored: the server
// then serves all but secrets.
StatusOr<std::unique_ptr<SecretBox>> OpenBox(const ServerSettings& settings,
                                             ControlDatabase& database,
                                             const std::string& deployment_id) {
  if (!settings.master_key.empty() && !settings.master_key_credential.empty()) {
    return Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid,
                  "give the master key as a file or as a credential, not both: leave out "
                  "--master-key or --master-key-credential");
  }
  const StatusOr<std::string> check = database.KeyCheck();
  if (!check.ok()) return check.status();
  const bool is_first = check->empty();
  // A missing key is made only where nothing is sealed, or shall be forgotten.
  StatusOr<Keyring> keyring = LoadKeyring(settings, is_first || settings.forgets_secrets);
  if (!keyring.ok() && is_first) {
    return Status(keyring.status().code(), Reason::kSecretUnavailable, keyring.status().message());
  }
  std::unique_ptr<SecretBox> box;
  Status fits = keyring.status();
  if (keyring.ok()) {
    box = std::make_unique<SecretBox>(deployment_id, *std::move(keyring));
    if (!is_first) fits = box->VerifyKeyCheck(*check);
  }
  if (!is_first && fits.ok()) return box;
  if (!box || (!is_first && !settings.forgets_secrets)) {
    kLog.Error("secrets cannot be opened",
               {{"from", KeyPlace(settings)}, {"text", fits.message()}});
    return std::unique_ptr<SecretBox>();
  }
  const StatusOr<std::string> made = box->MakeKeyCheck();
  if (!made.ok()) return made.status();
  if (!is_first) kLog.Warn("stored secrets are forgotten: set every credential again");
  const Status stored = is_first ? database.SetKeyCheck(*made) : database.ForgetSecrets(*made);
  if (!stored.ok()) return stored;
  return box;
}

std::shared_ptr<grpc::ServerCredentials> Credentials(const ServerCertificateFiles& files,
                                                     const std::filesystem::path* client_ca) {
  auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      files.key.string(), files.certificate.string(),
      client_ca == nullptr ? files.ca.string() : client_ca->string(), kCertificateLookSeconds);
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (client_ca != nullptr) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  } else {
    options.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

void SetLimits(grpc::ServerBuilder& builder, int message_max, int streams_max) {
  builder.SetMaxReceiveMessageSize(message_max);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, streams_max);
}

// A program that is linked with the reflection service has it in every server, unless it is taken
// out again.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments* /*arguments*/) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [](const auto& plugin) {
      return dynamic_cast<grpc::reflection::ProtoServerReflectionPlugin*>(plugin.get()) != nullptr;
    });
  }
};

std::string WithPort(const std::string& listen, int port) {
  return fmt::format("{}:{}", listen.substr(0, listen.rfind(':')), port);
}

std::string Indented(const std::string& text) {
  std::string indented;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    indented += "  " + text.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return indented;
}

}  // namespace

// In the order in which they need each other: the last to be made is the first to go.
struct Server::Parts {
  Parts(ServerSettings wanted, const Clock& its_clock)
      : settings(std::move(wanted)), clock(its_clock) {}

  Status Open();
  Status OpenSecurity();
  Status Listen();
  Status WriteFirstContext();

  ServerSettings settings;
  const Clock& clock;
  FileDescriptor lock;
  std::string deployment_id;
  std::unique_ptr<ControlDatabase> database;
  std::unique_ptr<DefinitionStore> definitions;
  std::unique_ptr<CredentialStore> credentials;
  std::unique_ptr<StreamStore> streams;
  std::unique_ptr<CheckpointStore> checkpoints;
  std::unique_ptr<RelayStore> relays;
  std::unique_ptr<SecretBox> box;
  std::unique_ptr<SecretVault> vault;
  std::optional<RelayCa> relay_ca;
  std::optional<ServerCertificate> certificate;
  BootTime certificate_looked_at{};
  std::unique_ptr<FleetController> fleet;
  std::unique_ptr<CallGate> gate;
  std::unique_ptr<DefinitionWriter> definition_writer;
  std::vector<std::unique_ptr<grpc::Service>> api_services;
  std::unique_ptr<grpc::Service> session_service;
  std::unique_ptr<grpc::Server> api;
  std::unique_ptr<grpc::Server> relay;
  int api_port = 0;
  int relay_port = 0;
};

Status Server::Parts::Open() {
  StatusOr<FileDescriptor> locked = LockFolder(settings.state);
  if (!locked.ok()) return locked.status();
  lock = *std::move(locked);
  // The two keep files of the same names: each would take the other's for its own.
  if (std::filesystem::exists(settings.state / "identity.pem")) {
    return {StatusCode::kFailedPrecondition, Reason::kInUse,
            fmt::format("{} is the state folder of a relay: give the server one of its own, with "
                        "--state",
                        settings.state.string())};
  }
  StatusOr<std::unique_ptr<ControlDatabase>> opened =
      ControlDatabase::Open(settings.state / "control.db", clock);
  if (!opened.ok()) return opened.status();
  database = *std::move(opened);
  const StatusOr<DesiredState> state = database->ReadAll();
  if (!state.ok()) return state.status();
  deployment_id = state->deployment_id;
  definitions = std::make_unique<DefinitionStore>(database->writer(), clock);
  credentials = std::make_unique<CredentialStore>(database->writer(), database->reader(), clock);
  streams = std::make_unique<StreamStore>(database->writer(), database->reader(), clock);
  checkpoints = std::make_unique<CheckpointStore>(database->writer(), clock);
  relays = std::make_unique<RelayStore>(database->writer(), database->reader(), clock);
  return {};
}

Status Server::Parts::OpenSecurity() {
  StatusOr<std::unique_ptr<SecretBox>> opened = OpenBox(settings, *database, deployment_id);
  if (!opened.ok()) return opened.status();
  box = *std::move(opened);
  vault = std::make_unique<SecretVault>(box.get(), *credentials);
  StatusOr<RelayCa> ca = RelayCa::LoadOrCreate(settings.state, deployment_id, clock);
  if (!ca.ok()) return ca.status();
  relay_ca.emplace(*std::move(ca));
  StatusOr<ServerCertificate> own =
      ServerCertificate::LoadOrCreate(settings.state, settings.hosts, clock);
  if (!own.ok()) return own.status();
  certificate.emplace(*std::move(own));
  certificate_looked_at = clock.Now();
  return {};
}

Status Server::Parts::Listen() {
  FleetSettings fleet_settings;
  fleet_settings.lease.ttl = settings.lease_ttl;
  fleet_settings.lease.heartbeat_interval =
      std::min<Duration>(fleet_settings.lease.heartbeat_interval, settings.lease_ttl / 3);
  fleet = std::make_unique<FleetController>(fleet_settings, *database, *streams, *checkpoints,
                                            *relays, clock);
  gate = std::make_unique<CallGate>(*relays, deployment_id);
  definition_writer = std::make_unique<DefinitionWriter>(*database, *definitions, *fleet);

  // The relay port first: what enrolment tells relays contains its number.
  EnrolmentAnswers answers{.server_ca_pem = certificate->ca_pem(),
                           .ca_pin = certificate->ca_pin(),
                           .relay_address = settings.relay_address,
                           .certificate_ttl = settings.certificate_ttl};
  session_service =
      std::make_unique<RelaySessionServiceImpl>(*gate, *fleet, *relays, *vault, *relay_ca, answers);
  grpc::EnableDefaultHealthCheckService(true);
  {
    grpc::ServerBuilder builder;
    SetLimits(builder, kRelayMessageMax, 8);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, 12 * 3600 * 1000);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, 60'000);
    builder.AddListeningPort(settings.relay_listen,
                             Credentials(certificate->files(), &relay_ca->ca_file()), &relay_port);
    builder.RegisterService(session_service.get());
    builder.SetOption(std::make_unique<WithoutReflection>());
    relay = builder.BuildAndStart();
  }
  if (!relay || relay_port == 0) {
    return {StatusCode::kUnavailable, Reason::kInUse,
            fmt::format("cannot listen at {}: choose another --relay-listen, or stop what uses it",
                        settings.relay_listen)};
  }
  if (answers.relay_address.empty()) {
    answers.relay_address = WithPort(settings.relay_listen, relay_port);
  }
  api_services.push_back(std::make_unique<DefinitionServiceImpl>(*gate, *definition_writer));
  api_services.push_back(
      std::make_unique<BridgeServiceImpl>(*gate, *definition_writer, *definitions, *fleet));
  api_services.push_back(
      std::make_unique<EndpointServiceImpl>(*gate, *definition_writer, *database, *fleet, clock));
  api_services.push_back(std::make_unique<CredentialServiceImpl>(*gate, *vault, *database, *fleet));
  api_services.push_back(std::make_unique<StreamServiceImpl>(*gate, *fleet, *streams));
  api_services.push_back(
      std::make_unique<RelayServiceImpl>(*gate, *fleet, *relays, *relay_ca, answers, clock));
  grpc::ServerBuilder builder;
  if (!settings.has_reflection) builder.SetOption(std::make_unique<WithoutReflection>());
  SetLimits(builder, kApiMessageMax, 100);
  builder.AddListeningPort(settings.api_listen, Credentials(certificate->files(), nullptr),
                           &api_port);
  for (const auto& service : api_services) builder.RegisterService(service.get());
  api = builder.BuildAndStart();
  if (!api || api_port == 0) {
    return {StatusCode::kUnavailable, Reason::kInUse,
            fmt::format("cannot listen at {}: choose another --api-listen, or stop what uses it",
                        settings.api_listen)};
  }
  api->GetHealthCheckService()->SetServingStatus(true);
  return {};
}

// The first administrator is a token that only this machine's administrator can read.
Status Server::Parts::WriteFirstContext() {
  const StatusOr<bool> has_tokens = relays->HasApiTokens();
  if (!has_tokens.ok()) return has_tokens.status();
  if (*has_tokens) return {};
  const StatusOr<NewToken> token = MakeToken(TokenKind::kApi);
  if (!token.ok()) return token.status();
  const std::filesystem::path path = settings.state / "admin.context";
  const std::string address =
      settings.api_address.empty() ? WithPort(settings.api_listen, api_port) : settings.api_address;
  const std::string content = fmt::format("server: {}\nca: |\n{}token: {}\n", address,
                                          Indented(certificate->ca_pem()), token->text.Reveal());
  // The file first: a token that nobody knows would lock the door for ever.
  if (Status written = WriteFileAtomically(path, content, 0600); !written.ok()) return written;
  if (Status added =
          relays->AddApiToken(token->id, token->secret_hash, "first administrator", "admin");
      !added.ok()) {
    return added;
  }
  kLog.Info("first administrator's context written", {{"path", path.string()}});
  return {};
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

StatusOr<std::unique_ptr<Server>> Server::Start(ServerSettings settings, const Clock& clock) {
  auto parts = std::make_unique<Parts>(std::move(settings), clock);
  for (Status (Parts::*const step)() :
       {&Parts::Open, &Parts::OpenSecurity, &Parts::Listen, &Parts::WriteFirstContext}) {
    if (Status done = (*parts.*step)(); !done.ok()) {
      // What runs already must end in order.
      const std::unique_ptr<Server> partly(new Server(std::move(parts)));
      return done;
    }
  }
  kLog.Info("server is ready", {{"api_port", parts->api_port},
                                {"relay_port", parts->relay_port},
                                {"deployment_id", parts->deployment_id},
                                {"grpc", grpc::Version()}});
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::~Server() {
  if (parts_->api && parts_->api->GetHealthCheckService() != nullptr) {
    parts_->api->GetHealthCheckService()->SetServingStatus(false);
  }
  const auto deadline =
      std::chrono::sys_time<Duration>(parts_->clock.WallNow()) + kShutdownPatience;
  if (parts_->fleet) parts_->fleet->EndSessions();
  if (parts_->relay) parts_->relay->Shutdown(deadline);
  if (parts_->api) parts_->api->Shutdown(deadline);
  // Calls and sessions use all of what follows: they end first.
  parts_->relay.reset();
  parts_->api.reset();
}

void Server::Tick() {
  const bool is_writable = !parts_->database->writer().is_degraded();
  parts_->api->GetHealthCheckService()->SetServingStatus(is_writable);
  const BootTime now = parts_->clock.Now();
  if (now - parts_->certificate_looked_at < kCertificateLookEvery) return;
  parts_->certificate_looked_at = now;
  const StatusOr<bool> renewed = parts_->certificate->Renew();
  if (!renewed.ok()) {
    kLog.Error("server certificate cannot be renewed", {{"text", renewed.status().message()}});
  }
}

int Server::api_port() const { return parts_->api_port; }
int Server::relay_port() const { return parts_->relay_port; }

}  // namespace drawbridge
