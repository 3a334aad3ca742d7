#pragma once

#include <optional>
#include <string>
#include <vector>

#include "drawbridge/v1/bridge.pb.h"
#include "drawbridge/v1/credential.pb.h"
#include "drawbridge/v1/endpoint.pb.h"
#include "drawbridge/v1/relay_admin.pb.h"
#include "drawbridge/v1/stream.pb.h"
#include "server/control/fleet_controller.h"
#include "server/store/stream_store.h"

// What the store and the controller know, as operators see it.

namespace drawbridge {

v1::Endpoint ToProto(const StoredEndpoint& endpoint);
v1::Bridge ToProto(const StoredBridge& bridge, const FleetView& view);
v1::Stream ToProto(const StoredStream& stream, const StoredBridge& bridge, const FleetView& view,
                   const std::vector<StreamStore::Passed>& passed);
v1::Partition ToProto(const StoredPartition& partition, const StoredStream& stream,
                      const StoredBridge& bridge, const FleetView& view);
v1::Gap ToProto(const StoredGap& gap);
v1::DeadLetterGroup ToProto(const StoredDeadLetters& group);
v1::Relay ToProto(const StoredRelay& relay, const FleetView& view);
v1::Credential ToProto(const StoredCredential& credential);

const StoredBridge* FindBridge(const FleetView& view, const std::string& name);

}  // namespace drawbridge
