#pragma once

#include "base/clock.h"
#include "cli/table.h"
#include "drawbridge/v1/bridge.pb.h"
#include "drawbridge/v1/credential.pb.h"
#include "drawbridge/v1/endpoint.pb.h"
#include "drawbridge/v1/relay_admin.pb.h"
#include "drawbridge/v1/stream.pb.h"

// One table per kind of resource, a row for each. `now` turns times into ages.
namespace drawbridge::cli {

Table EndpointTable(const v1::ListEndpointsResponse& list);
Table BridgeTable(const v1::ListBridgesResponse& list);
Table StreamTable(const v1::ListStreamsResponse& list);
Table PartitionTable(const v1::ListPartitionsResponse& list);
Table CredentialTable(const v1::ListCredentialsResponse& list, WallTime now);
Table RelayTable(const v1::ListRelaysResponse& list, WallTime now);
// Partitions, with what is stored of them.
Table CheckpointTable(const v1::ListPartitionsResponse& list, WallTime now);
Table GapTable(const v1::ListGapsResponse& list);
Table DeadLetterTable(const v1::ListDeadLettersResponse& list);
Table LetterTable(const v1::ReadDeadLettersResponse& page);
Table ConditionTable(const google::protobuf::RepeatedPtrField<v1::Condition>& conditions);

}  // namespace drawbridge::cli
