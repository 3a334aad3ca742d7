#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "model/observation.h"
#include "relay/opensearch/http_client.h"

namespace drawbridge {

// Tries, step by step, whether an engine can be a target: who answers, whether we may create
// documents, how full its disks are, and of each of the indexes whether it, or the template that
// would make it, keeps what a bridge promises. Creates none. Returns within about `deadline`.
std::vector<EndpointCheck> TestEngine(SearchEngine engine, const std::vector<std::string>& indexes,
                                      Duration deadline, const Clock& clock);

}  // namespace drawbridge
