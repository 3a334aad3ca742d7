#include "relay/opensearch/request_outcome.h"

#include <fmt/format.h>

namespace drawbridge {

RequestOutcome OutcomeOfRequest(const EngineError& error, bool has_others) {
  const std::string text = error.Text();
  switch (error.status) {
    case 400:
    case 413:
      return {.remedy = RequestRemedy::kSplit};
    case 401:
      return {
          .remedy = RequestRemedy::kBlock,
          .reason = Reason::kAuthenticationFailed,
          .text = fmt::format(
              "the engine does not know us: set the endpoint's credential, or set it again ({})",
              text)};
    case 403:
      return {.remedy = RequestRemedy::kBlock,
              .reason = Reason::kAuthorizationFailed,
              .text = fmt::format("the engine refuses us: grant the endpoint's user the right to "
                                  "create documents in the indexes ({})",
                                  text)};
    case 429:
      return {.remedy = RequestRemedy::kSlower,
              .reason = Reason::kThrottled,
              .text = fmt::format("the engine asks for less ({})", text)};
    default:
      break;
  }
  if (IsPassing(error.status)) {
    return {.remedy = RequestRemedy::kElsewhere,
            .text = fmt::format("the engine answers {}", text)};
  }
  if (has_others) {
    // They may be the engine.
    return {.remedy = RequestRemedy::kElsewhere,
            .text = fmt::format("one of the addresses does not take documents: check it, and for "
                                "a proxy before it ({})",
                                text)};
  }
  return {.remedy = RequestRemedy::kBlock,
          .text = fmt::format("what answers there does not take documents: check the endpoint's "
                              "address, and for a proxy before it ({})",
                              text)};
}

}  // namespace drawbridge
