#pragma once

#include <map>
#include <string>
#include <vector>

#include "relay/kafka/cluster_view.h"
#include "relay/kafka/patience.h"

namespace drawbridge {

// The ids by which a cluster tells the lives of a topic apart: one that was deleted and made anew
// has another. Topics are missing of which it does not tell: an older broker (before Kafka 2.8), a
// service without ids, or an older client library, whatever is asked of it (before librdkafka 2.3).
std::map<std::string, std::string> TopicIdsOf(ClusterView& cluster,
                                              const std::vector<std::string>& topics,
                                              const Patience& patience);

}  // namespace drawbridge
