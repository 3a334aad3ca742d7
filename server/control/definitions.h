#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/definition.h"
#include "server/store/definition_store.h"
#include "server/store/rows.h"

namespace drawbridge {

// What someone wants to be defined.
struct WantedDefinitions {
  std::vector<EndpointSpec> endpoints;
  std::vector<BridgeSpec> bridges;
  bool prunes = false;  // delete what is not named
};

enum class ChangeAction { kUnchanged, kCreated, kUpdated, kDeleted };

// What becomes of one definition. Exactly one of the two kinds is set in `before` and `after`.
struct DefinitionChange {
  ChangeAction action = ChangeAction::kUnchanged;
  std::optional<EndpointSpec> endpoint_before;
  std::optional<EndpointSpec> endpoint_after;
  std::optional<BridgeSpec> bridge_before;
  std::optional<BridgeSpec> bridge_after;
};

// How to get from what is to what is wanted.
struct DefinitionPlan {
  int64_t decided_at_revision = 0;
  std::vector<DefinitionStep> steps;
  std::vector<DefinitionChange> changes;
  std::vector<std::string> warnings;
};

// Decides a change of definitions against what is stored: validates each by itself and all of them
// together as they would be, and says what would change. Changes nothing. A pure function; an
// error names the field ("bridges[oci-logs].source.topics[1]").
StatusOr<DefinitionPlan> PlanDefinitions(const DesiredState& stored,
                                         const WantedDefinitions& wanted);

}  // namespace drawbridge
