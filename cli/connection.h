#pragma once

#include <memory>
#include <string>
#include <utility>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "base/clock.h"
#include "cli/context.h"
#include "cli/failure.h"
#include "cli/rpc_failure.h"

namespace drawbridge::cli {

// A method of a generated stub, which names its request and its response.
template <typename Stub, typename Request, typename Response>
using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Response*);

// A fresh random UUID: makes one mutation safe to repeat.
std::string NewRequestId();

// The way to the server: TLS that trusts the context's CA only, the token on every call, a deadline
// on every call. It connects at the first call, and again by itself. Runs on one thread.
class Connection {
 public:
  Connection(const Context& context, Duration timeout);

  // Asks, once. Fails with kUnreachable within `timeout`.
  template <typename Stub, typename Request, typename Response>
  Result<Response> Call(Method<Stub, Request, Response> method, const Request& request) {
    Response response;
    const grpc::Status status = CallOnce(method, request, response);
    if (!status.ok()) return ToFailure(status, callee_);
    return response;
  }

  // Changes something. A call that got no answer may have been carried out all the same: it is
  // repeated once, with the same request id, so that the change is made once.
  template <typename Stub, typename Request, typename Response>
  Result<Response> Mutate(Method<Stub, Request, Response> method, Request request) {
    request.set_request_id(NewRequestId());
    Response response;
    grpc::Status status = CallOnce(method, request, response);
    if (IsWorthRepeating(status)) status = CallOnce(method, request, response);
    if (!status.ok()) return ToFailure(status, callee_);
    return response;
  }

  // How long a call may take from now on.
  void set_timeout(Duration timeout) { callee_.timeout = timeout; }
  const std::string& server() const { return callee_.server; }

 private:
  template <typename Stub, typename Request, typename Response>
  grpc::Status CallOnce(Method<Stub, Request, Response> method, const Request& request,
                        Response& response) {
    grpc::ClientContext context;
    Prepare(context);
    Stub stub(channel_);
    return (stub.*method)(&context, request, &response);
  }

  void Prepare(grpc::ClientContext& context) const;

  Callee callee_;
  Secret token_;
  std::shared_ptr<grpc::Channel> channel_;  // shared with gRPC's stubs: that is its interface
};

}  // namespace drawbridge::cli
