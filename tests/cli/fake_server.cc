#include "tests/cli/fake_server.h"

#include <stdexcept>

#include <fmt/format.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "drawbridge/v1/bridge.grpc.pb.h"
#include "drawbridge/v1/credential.grpc.pb.h"
#include "drawbridge/v1/endpoint.grpc.pb.h"
#include "drawbridge/v1/relay_admin.grpc.pb.h"
#include "drawbridge/v1/stream.grpc.pb.h"
#include "model/convert/status.h"
#include "tests/cli/test_certificate.h"

namespace drawbridge::cli {
namespace {

using grpc::ServerContext;

class FakeEndpoints final : public v1::EndpointService::Service {
 public:
  explicit FakeEndpoints(FakeServer& server) : server_(server) {}

  grpc::Status GetEndpoint(ServerContext* context, const v1::GetEndpointRequest* request,
                           v1::Endpoint* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status ListEndpoints(ServerContext* context, const v1::ListEndpointsRequest* request,
                             v1::ListEndpointsResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status DeleteEndpoint(ServerContext* context, const v1::DeleteEndpointRequest* request,
                              v1::DeleteEndpointResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status TestEndpoint(ServerContext* context, const v1::TestEndpointRequest* request,
                            v1::TestEndpointResponse* response) override {
    return server_.Answer(*context, *request, response);
  }

 private:
  FakeServer& server_;
};

class FakeBridges final : public v1::BridgeService::Service {
 public:
  explicit FakeBridges(FakeServer& server) : server_(server) {}

  grpc::Status GetBridge(ServerContext* context, const v1::GetBridgeRequest* request,
                         v1::Bridge* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status ListBridges(ServerContext* context, const v1::ListBridgesRequest* request,
                           v1::ListBridgesResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status DeleteBridge(ServerContext* context, const v1::DeleteBridgeRequest* request,
                            v1::DeleteBridgeResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status PauseBridge(ServerContext* context, const v1::PauseBridgeRequest* request,
                           v1::Bridge* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status ResumeBridge(ServerContext* context, const v1::ResumeBridgeRequest* request,
                            v1::Bridge* response) override {
    return server_.Answer(*context, *request, response);
  }

 private:
  FakeServer& server_;
};

class FakeDefinitions final : public v1::DefinitionService::Service {
 public:
  explicit FakeDefinitions(FakeServer& server) : server_(server) {}

  grpc::Status Apply(ServerContext* context, const v1::ApplyRequest* request,
                     v1::ApplyResponse* response) override {
    return server_.Answer(*context, *request, response);
  }

 private:
  FakeServer& server_;
};

class FakeStreams final : public v1::StreamService::Service {
 public:
  explicit FakeStreams(FakeServer& server) : server_(server) {}

  grpc::Status GetStream(ServerContext* context, const v1::GetStreamRequest* request,
                         v1::Stream* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status ListStreams(ServerContext* context, const v1::ListStreamsRequest* request,
                           v1::ListStreamsResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status ListPartitions(ServerContext* context, const v1::ListPartitionsRequest* request,
                              v1::ListPartitionsResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status ListGaps(ServerContext* context, const v1::ListGapsRequest* request,
                        v1::ListGapsResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status ReadDeadLetters(ServerContext* context, const v1::ReadDeadLettersRequest* request,
                               v1::ReadDeadLettersResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status RetryDeadLetters(ServerContext* context, const v1::RetryDeadLettersRequest* request,
                                v1::RetryDeadLettersResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status ListDeadLetters(ServerContext* context, const v1::ListDeadLettersRequest* request,
                               v1::ListDeadLettersResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status PauseStream(ServerContext* context, const v1::PauseStreamRequest* request,
                           v1::Stream* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status ResumeStream(ServerContext* context, const v1::ResumeStreamRequest* request,
                            v1::Stream* response) override {
    return server_.Answer(*context, *request, response);
  }

 private:
  FakeServer& server_;
};

class FakeRelays final : public v1::RelayService::Service {
 public:
  explicit FakeRelays(FakeServer& server) : server_(server) {}

  grpc::Status ListRelays(ServerContext* context, const v1::ListRelaysRequest* request,
                          v1::ListRelaysResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status GetRelay(ServerContext* context, const v1::GetRelayRequest* request,
                        v1::Relay* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status CreateEnrolmentToken(ServerContext* context,
                                    const v1::CreateEnrolmentTokenRequest* request,
                                    v1::CreateEnrolmentTokenResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status RevokeRelay(ServerContext* context, const v1::RevokeRelayRequest* request,
                           v1::Relay* response) override {
    return server_.Answer(*context, *request, response);
  }

 private:
  FakeServer& server_;
};

class FakeCredentials final : public v1::CredentialService::Service {
 public:
  explicit FakeCredentials(FakeServer& server) : server_(server) {}

  grpc::Status SetCredential(ServerContext* context, const v1::SetCredentialRequest* request,
                             v1::Credential* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status GetCredential(ServerContext* context, const v1::GetCredentialRequest* request,
                             v1::Credential* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status ListCredentials(ServerContext* context, const v1::ListCredentialsRequest* request,
                               v1::ListCredentialsResponse* response) override {
    return server_.Answer(*context, *request, response);
  }
  grpc::Status DeleteCredential(ServerContext* context, const v1::DeleteCredentialRequest* request,
                                v1::DeleteCredentialResponse* response) override {
    return server_.Answer(*context, *request, response);
  }

 private:
  FakeServer& server_;
};

std::string TypeOf(const google::protobuf::Message& message) {
  return message.GetDescriptor()->full_name();
}

}  // namespace

struct FakeServer::Services {
  explicit Services(FakeServer& server)
      : endpoints(server),
        bridges(server),
        definitions(server),
        streams(server),
        relays(server),
        credentials(server) {}

  FakeEndpoints endpoints;
  FakeBridges bridges;
  FakeDefinitions definitions;
  FakeStreams streams;
  FakeRelays relays;
  FakeCredentials credentials;
};

FakeServer::FakeServer() : address_("localhost:0"), services_(std::make_unique<Services>(*this)) {
  const TestCertificate certificate = MakeTestCertificate("localhost");
  ca_pem_ = certificate.ca_pem;
  certificate_pem_ = certificate.certificate_pem;
  key_pem_ = certificate.key_pem;
  Start();
}

FakeServer::~FakeServer() { Stop(); }

std::string FakeServer::ContextText() const {
  std::string ca;
  for (const char byte : ca_pem_) ca += byte == '\n' ? "\n  " : std::string(1, byte);
  return fmt::format("server: {}\nca: |\n  {}\ntoken: {}\n", address_, ca, kToken);
}

void FakeServer::WillAnswer(const google::protobuf::Message& request,
                            const google::protobuf::Message& response) {
  std::unique_ptr<google::protobuf::Message> copy(response.New());
  copy->CopyFrom(response);
  MutexLock lock(mutex_);
  plans_[TypeOf(request)].always = {grpc::Status::OK, std::move(copy)};
}

void FakeServer::WillRefuse(const google::protobuf::Message& request, const grpc::Status& status) {
  MutexLock lock(mutex_);
  plans_[TypeOf(request)].always = {status, nullptr};
}

void FakeServer::WillRefuse(const google::protobuf::Message& request, const Status& status) {
  WillRefuse(request, ToGrpc(status));
}

void FakeServer::WillRefuseOnce(const google::protobuf::Message& request,
                                const grpc::Status& status) {
  MutexLock lock(mutex_);
  plans_[TypeOf(request)].first.push_back(status);
}

void FakeServer::Stop() {
  if (!server_) return;
  server_->Shutdown(std::chrono::system_clock::time_point::min());
  server_.reset();
}

void FakeServer::Start() {
  grpc::SslServerCredentialsOptions tls;
  tls.pem_key_cert_pairs.push_back({key_pem_, certificate_pem_});
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(address_, grpc::SslServerCredentials(tls), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.RegisterService(&services_->endpoints);
  builder.RegisterService(&services_->bridges);
  builder.RegisterService(&services_->definitions);
  builder.RegisterService(&services_->streams);
  builder.RegisterService(&services_->relays);
  builder.RegisterService(&services_->credentials);
  server_ = builder.BuildAndStart();
  if (!server_ || port == 0) throw std::runtime_error("the fake server does not start");
  address_ = fmt::format("localhost:{}", port);
}

grpc::Status FakeServer::Answer(const grpc::ServerContext& context,
                                const google::protobuf::Message& request,
                                google::protobuf::Message* response) {
  const auto caller = context.client_metadata().find("authorization");
  if (caller == context.client_metadata().end() ||
      caller->second != fmt::format("Bearer {}", kToken)) {
    return ToGrpc({StatusCode::kUnauthenticated, Reason::kUnauthenticated, "no valid token"});
  }
  std::unique_ptr<google::protobuf::Message> copy(request.New());
  copy->CopyFrom(request);
  MutexLock lock(mutex_);
  requests_.push_back(std::move(copy));
  Plan& plan = plans_[TypeOf(request)];
  if (!plan.first.empty()) {
    const grpc::Status status = plan.first.front();
    plan.first.erase(plan.first.begin());
    return status;
  }
  if (plan.always.message) response->CopyFrom(*plan.always.message);
  return plan.always.status;
}

}  // namespace drawbridge::cli
