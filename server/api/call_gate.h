#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "base/mutex.h"
#include "base/status.h"
#include "model/convert/status.h"
#include "model/ids.h"
#include "server/security/access_policy.h"
#include "server/store/relay_store.h"
#include "server/store/rows.h"

namespace drawbridge {

// Who is calling, as the connection and the bearer token prove it.
struct Actor {
  Caller caller;
  std::string name;  // for the audit: "token admin", "relay fra-1"
  RelayName relay;   // of a relay
};

// Threads for calls that wait: gRPC's own must not. A full queue refuses. Thread-safe.
class CallExecutor {
 public:
  explicit CallExecutor(size_t threads);
  // Finishes what was posted.
  ~CallExecutor();
  CallExecutor(const CallExecutor&) = delete;
  CallExecutor& operator=(const CallExecutor&) = delete;

  bool Post(std::function<void()> call);

 private:
  void Loop();

  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<std::function<void()>> calls_ DRAWBRIDGE_GUARDED_BY(mutex_);
  bool is_ending_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

// What every call passes: who is calling, whether they may, and a thread to run on. Thread-safe;
// the store outlives it.
class CallGate {
 public:
  CallGate(RelayStore& relays, std::string deployment_id)
      : relays_(relays), deployment_id_(std::move(deployment_id)), executor_(kThreads) {}

  StatusOr<Actor> Authorize(const grpc::ServerContextBase& context, std::string_view method);

  // Runs a unary call: authorizes, calls `handler(actor, request, response) -> Status`, and answers
  // with its status. What the handler throws is an INTERNAL error of that call.
  template <typename Request, typename Response, typename Handler>
  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext* context, std::string_view method,
                                const Request* request, Response* response, Handler handler) {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    const bool is_queued = executor_.Post([=, this]() mutable {
      reactor->Finish(ToGrpc(Answer(*context, method, [&](const Actor& actor) {
        return handler(actor, *request, *response);
      })));
    });
    if (!is_queued) {
      reactor->Finish(ToGrpc({StatusCode::kResourceExhausted, Reason::kUnavailable,
                              "too many calls at once: try again"}));
    }
    return reactor;
  }

 private:
  static constexpr size_t kThreads = 8;

  Status Answer(const grpc::ServerContextBase& context, std::string_view method,
                const std::function<Status(const Actor&)>& handler);

  RelayStore& relays_;
  const std::string deployment_id_;
  CallExecutor executor_;
};

// What makes a mutating call safe to repeat. kFieldInvalid without a request_id.
StatusOr<Mutation> MutationOf(const Actor& actor, const google::protobuf::Message& request,
                              const std::string& request_id, const std::string& reason);

}  // namespace drawbridge
