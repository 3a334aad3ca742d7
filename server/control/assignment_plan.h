#pragma once

#include <map>
#include <optional>

#include "model/assignment.h"
#include "server/control/assigner.h"
#include "server/control/survey_controller.h"
#include "server/store/rows.h"

// What a relay is told to do. Pure functions.

namespace drawbridge {

// The newest version of an endpoint's secret; nullopt: it needs none.
std::optional<SecretRef> SecretOf(const DesiredState& stored, const EndpointSpec& endpoint);

// Everything that a relay shall do: the partitions that are placed on it and are its own already,
// and the surveys that it was chosen for.
Assignments AssignmentsFor(const RelayName& relay, const DesiredState& stored,
                           const Assigner::Placement& placement,
                           const std::map<BridgeId, SurveyState>& surveys);

// Whether a relay that was told the one need not be told the other: checkpoints move all the time,
// and a relay that holds a token knows its own better.
bool SaysTheSame(const Assignments& a, const Assignments& b);

// Whether a partition is among them.
bool Names(const Assignments& assignments, PartitionKey key);

}  // namespace drawbridge
