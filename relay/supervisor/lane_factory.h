#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/assignment.h"
#include "model/credential.h"
#include "model/dead_letter.h"
#include "model/observation.h"
#include "relay/pipeline/io.h"
#include "relay/pipeline/survey.h"

namespace drawbridge {

// The secrets of a bridge's two endpoints.
struct BridgeSecrets {
  std::optional<CredentialSecret> source;
  std::optional<CredentialSecret> target;
};

// The two ends of a lane. The sink goes first: it may hold records of the source.
struct LaneEnds {
  std::unique_ptr<Source> source;
  std::unique_ptr<Sink> sink;
};

// How much a lane may hold: fetched and not taken, and sent and not confirmed.
struct LaneBudget {
  size_t prefetch_bytes = 0;
  size_t window_bytes = 0;
};

// Dead letters of a bridge, and how to get at them.
struct DeadLetterPlace {
  BridgeSpec bridge;
  EndpointSpec target;
  std::optional<CredentialSecret> secret;  // of the target
  std::string target_cluster_id;           // that is meant; empty: any
  std::optional<EndpointSpec> source;      // for letters in a topic there
  std::optional<CredentialSecret> source_secret;
  DeadLetterSelection selection;
};

// Makes what fits the kinds of a bridge's endpoints. The wiring knows which kinds there are.
// Thread-safe.
class LaneFactory {
 public:
  virtual ~LaneFactory() = default;
  virtual StatusOr<LaneEnds> MakeLane(const BridgeAssignment& bridge, const BridgeSecrets& secrets,
                                      LaneBudget budget) = 0;
  virtual StatusOr<std::unique_ptr<Survey>> MakeSurvey(const BridgeAssignment& bridge,
                                                       const BridgeSecrets& secrets) = 0;
  // Waits for the cluster, at most until the deadline.
  virtual std::vector<EndpointCheck> TestEndpoint(const EndpointSpec& endpoint,
                                                  const std::optional<CredentialSecret>& secret,
                                                  const std::vector<std::string>& topics,
                                                  Duration deadline) = 0;
  // The dead letters that were refused last. Waits for the target, at most until the deadline, as
  // does the next one. kFailedPrecondition for a kind of target that keeps none.
  virtual StatusOr<DeadLetterPage> ReadDeadLetters(const DeadLetterPlace& place, int limit,
                                                   Duration deadline) = 0;
  // Sends dead letters again, as many as can be done in half of the time, but none that was refused
  // again in this turn. Without a turn one begins.
  virtual StatusOr<RetriedDeadLetters> RetryDeadLetters(const DeadLetterPlace& place,
                                                        const std::string& turn,
                                                        Duration deadline) = 0;
};

}  // namespace drawbridge
