#pragma once

#include <grpcpp/support/status.h>

#include "base/reason.h"
#include "base/status.h"
#include "drawbridge/v1/reason.pb.h"
#include "google/rpc/status.pb.h"

// Errors: code and sentence as they are, the reason as ErrorInfo of the domain "drawbridge", the
// field as BadRequest. Texts that are no UTF-8 or very long are mended and cut, so that an error
// always arrives.

namespace drawbridge {

google::rpc::Status ToProto(const Status& status);

// Never fails: of what is not known, a code becomes kUnknown and a reason kUnspecified.
Status FromProto(const google::rpc::Status& message);

// The same within gRPC's own status: what a handler returns.
grpc::Status ToGrpc(const Status& status);

// The outcome of a call. Where nobody of ours has answered there are no details: the reason is then
// the one that is called like the code (kUnavailable, kUnauthenticated, ...), or kUnspecified.
Status FromGrpc(const grpc::Status& status);

v1::Reason ToProto(Reason reason);

// kUnspecified for a reason that only a newer version knows.
Reason FromProto(v1::Reason message);

}  // namespace drawbridge
