#pragma once

#include <string>

#include "base/status.h"
#include "relay/opensearch/bulk_answer.h"

namespace drawbridge {

// What the sink does about a request that was refused as a whole.
enum class RequestRemedy {
  kSplit,      // one of its records is at fault, or it is too much at once
  kSlower,     // it was not carried out: the same again, later and with less beside it
  kElsewhere,  // it may have been carried out: the same again, at another address if there is one
  kBlock,      // no request passes before somebody does something
};

struct RequestOutcome {
  RequestRemedy remedy = RequestRemedy::kBlock;
  Reason reason = Reason::kBrokerError;
  std::string text = {};  // what is wrong, and what to do
};

// `has_others`: the engine has other addresses than the one that answered. Pure.
RequestOutcome OutcomeOfRequest(const EngineError& error, bool has_others);

}  // namespace drawbridge
