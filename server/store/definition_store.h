#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "server/store/rows.h"
#include "server/store/writer.h"

namespace drawbridge {

// One step of a change of definitions, decided elsewhere.
struct PutEndpoint {
  EndpointSpec spec;
};
struct DeleteEndpoint {
  std::string name;
};
struct PutBridge {
  BridgeSpec spec;
};
struct DeleteBridge {
  std::string name;
};
using DefinitionStep = std::variant<PutEndpoint, DeleteEndpoint, PutBridge, DeleteBridge>;

// Endpoints and bridges, with every revision of a bridge kept. Thread-safe; each call is one
// transaction, and a success means durable.
class DefinitionStore {
 public:
  DefinitionStore(Writer& writer, const Clock& clock) : writer_(writer), clock_(clock) {}

  // Makes the steps true, all of them or none, if the revision is still the one that they were
  // decided on; kAborted if not: decide again.
  StatusOr<Receipt> Apply(const std::vector<DefinitionStep>& steps, int64_t decided_at_revision,
                          const Mutation& mutation);

  // What the first call with this request got; nullopt: there was none.
  StatusOr<std::optional<std::string>> FindResponse(const Mutation& mutation);

  StatusOr<Receipt> SetBridgePaused(const std::string& name, bool is_paused,
                                    const Mutation& mutation);

 private:
  Writer& writer_;
  const Clock& clock_;
};

}  // namespace drawbridge
