#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "server/control/relay_session.h"
#include "server/store/rows.h"

// What relays are asked on behalf of the API's callers, and which of them. Pure functions.

namespace drawbridge {

// A query without its id and deadline, and who gets it.
struct PlannedQuery {
  RelayName relay;
  Query query;
};

// What a relay is asked about an endpoint. The named relay gets it; without a name one that may run
// a bridge of the endpoint, as its way to the cluster is the one that matters; else any.
StatusOr<PlannedQuery> PlanEndpointTest(const DesiredState& stored,
                                        const std::set<RelayName>& connected,
                                        const std::string& endpoint, const std::string& relay,
                                        const std::vector<std::string>& topics);

// What a relay that may run the bridge is asked about its dead letters. The question is of one of
// the kinds about them, and needs no bridge yet.
template <typename Question>
StatusOr<PlannedQuery> PlanOfDeadLetters(const DesiredState& stored,
                                         const std::set<RelayName>& connected,
                                         const std::string& bridge, Question question);

extern template StatusOr<PlannedQuery> PlanOfDeadLetters(const DesiredState&,
                                                         const std::set<RelayName>&,
                                                         const std::string&,
                                                         DeadLetterReadQuestion);
extern template StatusOr<PlannedQuery> PlanOfDeadLetters(const DesiredState&,
                                                         const std::set<RelayName>&,
                                                         const std::string&,
                                                         DeadLetterRetryQuestion);

}  // namespace drawbridge
