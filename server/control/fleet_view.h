#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "model/observation.h"
#include "server/control/fleet_observations.h"
#include "server/control/survey_controller.h"
#include "server/store/rows.h"

namespace drawbridge {

// What operators see: the stored state and the observations, at one moment.
struct FleetView {
  struct Bridge {
    int64_t observed_generation = 0;
    std::optional<RelayName> surveyor;
    std::optional<WallTime> surveyed_at;
    std::vector<SeenCondition> conditions;
  };
  struct Relay {
    bool is_connected = false;
    std::optional<WallTime> last_seen;
    int partitions = 0;
    int surveys = 0;
    std::vector<Condition> conditions;
  };

  DesiredState stored;
  std::map<BridgeId, Bridge> bridges;
  std::map<PartitionKey, PartitionStatus> partitions;
  std::map<RelayName, Relay> relays;
  WallTime at{};
};

// A relay as its sessions show it.
struct SeenRelay {
  bool is_connected = false;
  std::optional<WallTime> last_seen;
  std::map<BridgeId, int64_t> converged;  // generations that it runs
  std::optional<Duration> twin_age;       // since when another process uses its identity
};

// What a view is made of besides the stored state.
struct FleetEvidence {
  const FleetObservations& observations;
  const std::map<BridgeId, SurveyState>& surveys;
  std::map<RelayName, SeenRelay> relays;
  bool is_storage_degraded = false;  // the server's disk is full or failing
};

// What is wrong with bridges at present, in their order. Pure.
std::vector<SeenCondition> ConditionsOf(const DesiredState& stored, const FleetEvidence& evidence);

// Puts both together. Pure.
FleetView ViewOf(DesiredState stored, const FleetEvidence& evidence, BootTime now,
                 WallTime wall_now);

}  // namespace drawbridge
