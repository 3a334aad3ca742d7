#include "relay/opensearch/engine_test.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "model/index_template.h"
#include "relay/opensearch/engine_view.h"
#include "relay/opensearch/index_view.h"

namespace drawbridge {
namespace {

// What is worst of an index.
Status KeepsPromises(EngineView& view, const std::string& index, Duration patience,
                     const Clock& clock) {
  const StatusOr<IndexTemplate> name = IndexTemplate::Create(index);
  if (!name.ok()) return name.status();
  if (name->has_time() || name->has_topic()) {
    return {StatusCode::kInvalidArgument, Reason::kFieldInvalid,
            fmt::format("{} stands for many indexes: name the one to look at, as it is in the "
                        "engine",
                        index)};
  }
  const IndexView::Findings found = IndexView(view, clock).Check(*name, {}, patience);
  return found.problems.empty() ? Status() : found.problems.front().status;
}

}  // namespace

std::vector<EndpointCheck> TestEngine(SearchEngine engine, const std::vector<std::string>& indexes,
                                      Duration deadline, const Clock& clock) {
  const BootTime end = clock.Now() + deadline;
  std::vector<EndpointCheck> checks;
  const auto left = [&] { return std::max<Duration>(end - clock.Now(), std::chrono::seconds(1)); };
  const auto note = [&](std::string name, const Status& status, const std::string& detail) {
    checks.push_back({.name = std::move(name),
                      .is_ok = status.ok(),
                      .reason = status.reason(),
                      .detail = status.ok() ? detail : status.message()});
    return status.ok();
  };
  const StatusOr<std::unique_ptr<EngineView>> view = EngineView::Open(std::move(engine));
  if (!view.ok()) {
    note("connect", view.status(), {});
    return checks;
  }
  const StatusOr<EngineIdentity> identity = (*view)->Identify(deadline / 2);
  if (!note("connect", identity.status(), identity.ok() ? identity->Text() : "")) return checks;
  std::vector<std::string> written = indexes;
  if (written.empty()) written.emplace_back(kDeadLetterIndex);
  for (const std::string& index : written) {
    if (const StatusOr<IndexTemplate> name = IndexTemplate::Create(index);
        !name.ok() || name->has_time() || name->has_topic()) {
      continue;
    }
    const Status rights = (*view)->CheckRights(index, left() / 4);
    if (rights.code() == StatusCode::kUnimplemented) continue;
    note("create", rights, fmt::format("we may create documents in {}", index));
  }
  const StatusOr<std::string> disks = (*view)->CheckDisks(deadline / 4);
  // Not every engine tells, nor tells everybody: that is no fault of the endpoint.
  if (disks.ok() || disks.status().code() == StatusCode::kFailedPrecondition) {
    note("disk", disks.status(), disks.ok() ? *disks : "");
  }
  for (const std::string& index : indexes) {
    const Status kept = KeepsPromises(**view, index, left() / 2, clock);
    note("index " + index, kept, "its pipelines and its translog keep what is promised");
  }
  return checks;
}

}  // namespace drawbridge
