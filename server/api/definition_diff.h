#pragma once

#include "drawbridge/v1/bridge.pb.h"
#include "server/control/definitions.h"

namespace drawbridge {

// A plan as the API tells it: one change per definition, with the fields that differ.
v1::ApplyResponse ToProto(const DefinitionPlan& plan);

}  // namespace drawbridge
