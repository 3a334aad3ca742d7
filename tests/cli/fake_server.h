#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <google/protobuf/message.h>
#include <grpcpp/server.h>
#include <grpcpp/support/status.h>

#include "base/mutex.h"
#include "base/status.h"

namespace drawbridge::cli {

// A Drawbridge server in this process that answers what a test tells it to: TLS with a certificate
// of a CA of its own, a token that every call must carry. It keeps what it was asked.
//
//   server.WillAnswer(v1::ListBridgesRequest{}, response);
//   server.WillRefuse(v1::ApplyRequest{}, {StatusCode::kInvalidArgument, ...});
//
// Thread-safe.
class FakeServer {
 public:
  FakeServer();
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  // localhost:port.
  const std::string& address() const { return address_; }
  const std::string& ca_pem() const { return ca_pem_; }
  static constexpr const char* kToken = "drawbridge_canary-0123456789";

  // The text of a context file for this server.
  std::string ContextText() const;

  // Every request of this type gets this answer from now on; `request` gives the type only. What
  // was told last counts. Without any, the answer is an empty message.
  void WillAnswer(const google::protobuf::Message& request,
                  const google::protobuf::Message& response);
  void WillRefuse(const google::protobuf::Message& request, const grpc::Status& status);
  void WillRefuse(const google::protobuf::Message& request, const Status& status);

  // The next request of this type is refused so, before what was told else.
  void WillRefuseOnce(const google::protobuf::Message& request, const grpc::Status& status);

  // The requests of this type, oldest first.
  template <typename Request>
  std::vector<Request> Requests() const {
    std::vector<Request> requests;
    MutexLock lock(mutex_);
    for (const auto& message : requests_) {
      if (const auto* request = dynamic_cast<const Request*>(message.get())) {
        requests.push_back(*request);
      }
    }
    return requests;
  }

  // Stops listening and ends all connections; Start() listens at the same address again.
  void Stop();
  void Start();

  // For the services: answers one call.
  grpc::Status Answer(const grpc::ServerContext& context, const google::protobuf::Message& request,
                      google::protobuf::Message* response);

 private:
  struct Services;
  struct Reply {
    grpc::Status status;
    std::unique_ptr<google::protobuf::Message> message;
  };
  struct Plan {
    Reply always;
    std::vector<grpc::Status> first;
  };

  std::string ca_pem_;
  std::string certificate_pem_;
  std::string key_pem_;
  std::string address_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;

  mutable Mutex mutex_;
  std::map<std::string, Plan> plans_ DRAWBRIDGE_GUARDED_BY(mutex_);  // by the request's type
  std::vector<std::unique_ptr<google::protobuf::Message>> requests_ DRAWBRIDGE_GUARDED_BY(mutex_);
};

}  // namespace drawbridge::cli
