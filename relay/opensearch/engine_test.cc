#include "relay/opensearch/engine_test.h"

#include <utility>

#include "relay/opensearch/engine_view.h"

namespace drawbridge {

std::vector<EndpointCheck> TestEngine(SearchEngine engine, Duration deadline) {
  std::vector<EndpointCheck> checks;
  const auto note = [&](std::string name, const Status& status, std::string detail) {
    checks.push_back({.name = std::move(name),
                      .is_ok = status.ok(),
                      .reason = status.reason(),
                      .detail = status.ok() ? std::move(detail) : status.message()});
    return status.ok();
  };
  const StatusOr<std::unique_ptr<EngineView>> view = EngineView::Open(std::move(engine));
  if (!view.ok()) {
    note("connect", view.status(), {});
    return checks;
  }
  const StatusOr<EngineIdentity> identity = (*view)->Identify(deadline / 2);
  if (!note("connect", identity.status(), identity.ok() ? identity->Text() : "")) return checks;
  note("create", (*view)->CheckRights(deadline / 4), "we may create documents");
  const StatusOr<std::string> disks = (*view)->CheckDisks(deadline / 4);
  // Not every engine tells, nor tells everybody: that is no fault of the endpoint.
  if (disks.ok() || disks.status().code() == StatusCode::kFailedPrecondition) {
    note("disk", disks.status(), disks.ok() ? *disks : "");
  }
  return checks;
}

}  // namespace drawbridge
