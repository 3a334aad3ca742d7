#pragma once

#include "base/status.h"
#include "drawbridge/v1/relay.pb.h"
#include "model/assignment.h"

namespace drawbridge {

v1::PartitionAssignment ToProto(const PartitionAssignment& partition);
StatusOr<PartitionAssignment> FromProto(const v1::PartitionAssignment& message);

v1::StreamAssignment ToProto(const StreamAssignment& stream);
StatusOr<StreamAssignment> FromProto(const v1::StreamAssignment& message);

v1::BridgeAssignment ToProto(const BridgeAssignment& bridge);
StatusOr<BridgeAssignment> FromProto(const v1::BridgeAssignment& message);

// All but the nonce, which is the session's.
v1::Assignments ToProto(const Assignments& assignments);

// kFieldInvalid as well for a bridge, stream or partition that is named twice. The definitions in
// it were validated by the server and are not validated again.
StatusOr<Assignments> FromProto(const v1::Assignments& message);

v1::HeldPartition ToProto(const HeldPartition& held);
StatusOr<HeldPartition> FromProto(const v1::HeldPartition& message);

}  // namespace drawbridge
