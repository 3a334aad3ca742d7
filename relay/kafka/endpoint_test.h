#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "model/observation.h"
#include "relay/kafka/kafka_config.h"

namespace drawbridge {

// Tries a cluster as a relay would use it: whether it lets us in, how many topics it shows, and
// whether each of `topics` is there and can be looked into. In this order; what follows from an
// earlier failure is not tried. Waits for the cluster, for about `deadline` at most.
std::vector<EndpointCheck> TestEndpoint(const KafkaCluster& cluster,
                                        const std::vector<std::string>& topics, Duration deadline);

}  // namespace drawbridge
