#pragma once

#include <string>

#include <grpcpp/support/status.h>

#include "base/clock.h"
#include "cli/failure.h"

namespace drawbridge::cli {

// Who was called, for messages.
struct Callee {
  std::string server;
  Duration timeout;
};

// Turns a failed call into problems with a reason, a field and a sentence. The server's own words
// come as google.rpc details; a call that never reached it is explained here.
Failure ToFailure(const grpc::Status& status, const Callee& callee);

// Whether the call may succeed if it is repeated at once: nobody has answered it, or the server
// says that it is not available at present.
bool IsWorthRepeating(const grpc::Status& status);

}  // namespace drawbridge::cli
