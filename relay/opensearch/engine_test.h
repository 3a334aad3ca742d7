#pragma once

#include <vector>

#include "base/clock.h"
#include "model/observation.h"
#include "relay/opensearch/http_client.h"

namespace drawbridge {

// Tries, step by step, whether an engine can be a target: who answers, and whether we may create
// documents, and how full its disks are. Creates none. Returns within about `deadline`.
std::vector<EndpointCheck> TestEngine(SearchEngine engine, Duration deadline);

}  // namespace drawbridge
