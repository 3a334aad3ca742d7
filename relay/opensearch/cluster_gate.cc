#include "relay/opensearch/cluster_gate.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "relay/opensearch/json_at.h"

namespace drawbridge {
namespace {

constexpr Duration kKnownFor = std::chrono::seconds(60);
// It is answered at once, or the address hangs.
constexpr Duration kPatience = std::chrono::seconds(10);

}  // namespace

HttpRequest ClusterGate::Question() {
  return {.method = "GET",
          .path = "/?filter_path=cluster_uuid",
          .needs_new_connection = true,
          .timeout = kPatience};
}

Status ClusterGate::Take(size_t address, const HttpAnswer& answer, BootTime now) {
  const std::string seen =
      TextAt(nlohmann::json::parse(answer.body, nullptr, false), {"cluster_uuid"});
  if (seen == cluster_id_) {
    known_until_[address] = now + kKnownFor;
    return {};
  }
  return {
      StatusCode::kFailedPrecondition, Reason::kSourceChanged,
      fmt::format("{} answers where cluster {} was before, and no record counts as delivered "
                  "there: correct the endpoint's addresses, or make another endpoint for the new "
                  "cluster",
                  seen.empty() ? "what does not say which cluster it is" : "cluster " + seen,
                  cluster_id_)};
}

}  // namespace drawbridge
