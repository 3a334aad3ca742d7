#include "relay/opensearch/engine_view.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "relay/opensearch/bulk_answer.h"
#include "relay/opensearch/bulk_request.h"
#include "relay/opensearch/document.h"
#include "relay/opensearch/flood_mark.h"
#include "relay/opensearch/json_at.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr const char* kPreflightId = "drawbridge-preflight";
constexpr std::string_view kJson = "application/json";

int MajorOf(const std::string& version) {
  int major = 0;
  std::from_chars(version.data(), version.data() + version.size(), major);
  return major;
}

Status NoEngine(const std::string& endpoint, const HttpAnswer& answer) {
  constexpr size_t kQuoteMax = 120;
  return {StatusCode::kFailedPrecondition, Reason::kBrokerError,
          fmt::format("{}: what answers there is neither OpenSearch nor Elasticsearch: check the "
                      "address, and for a proxy before it (it says {})",
                      endpoint, answer.body.substr(0, kQuoteMax))};
}

std::string BytesText(double bytes) {
  constexpr double kGiB = 1024.0 * 1024 * 1024;
  return bytes >= kGiB ? fmt::format("{:.0f} GiB", bytes / kGiB)
                       : fmt::format("{:.0f} MiB", bytes / 1024 / 1024);
}

}  // namespace

std::string EngineIdentity::Text() const {
  const std::string_view name = product == SearchProduct::kElasticsearch ? "Elasticsearch"
                                : product == SearchProduct::kOpenSearch  ? "OpenSearch"
                                                                         : "a search engine";
  return version.empty() ? std::string(name) : fmt::format("{} {}", name, version);
}

StatusOr<std::unique_ptr<EngineView>> EngineView::Open(SearchEngine engine,
                                                       std::string cluster_id) {
  StatusOr<std::unique_ptr<HttpClient>> client = HttpClient::Open(std::move(engine));
  if (!client.ok()) return client.status();
  return std::unique_ptr<EngineView>(new EngineView(*std::move(client), std::move(cluster_id)));
}

StatusOr<HttpAnswer> EngineView::Ask(HttpRequest request, Duration patience) {
  request.timeout = patience / static_cast<int64_t>(client_->addresses());
  Status failure;
  bool may_be_done = false;
  for (size_t i = 0; i < client_->addresses(); ++i) {
    const size_t address = (address_ + i) % client_->addresses();
    if (Status meant = CheckCluster(address, request.timeout); !meant.ok()) {
      failure = std::move(meant);
      continue;
    }
    HttpAnswer answer = client_->Call(request, address);
    if (answer.status != 0) {
      address_ = address;
      answer.may_be_done = may_be_done;
      return answer;
    }
    may_be_done = true;
    failure = answer.failure;
  }
  return Status(failure.code(), failure.reason(),
                fmt::format("{}: {}", endpoint(), failure.message()));
}

Status EngineView::CheckCluster(size_t address, Duration patience) {
  constexpr BootTime kOnce{};
  if (gate_.IsKnown(address, kOnce)) return {};
  HttpRequest question = ClusterGate::Question();
  question.timeout = patience;
  const HttpAnswer answer = client_->Call(std::move(question), address);
  if (answer.status == 0) return answer.failure;
  if (answer.status == 200) return gate_.Take(address, answer, kOnce);
  return {StatusCode::kUnavailable, Reason::kBrokerError,
          fmt::format("which cluster is there is not known: it answers {}",
                      ReadError(answer.status, answer.body).Text())};
}

StatusOr<std::vector<BulkItem>> EngineView::Bulk(HttpRequest request,
                                                 const std::vector<std::string>& ids,
                                                 Duration patience, HttpAnswer& answer) {
  StatusOr<std::string> packed = Gzip(request.body);
  if (!packed.ok()) return packed.status();
  request.method = "POST";
  request.body = *std::move(packed);
  request.content_type = "application/x-ndjson";
  request.is_gzip = true;
  StatusOr<HttpAnswer> said = Ask(std::move(request), patience);
  if (!said.ok()) return said.status();
  answer = *std::move(said);
  if (answer.status != 200) return Refused(answer);
  return ReadItems(answer.body, ids);
}

Status EngineView::Refused(const HttpAnswer& answer) const {
  const EngineError error = ReadError(answer.status, answer.body);
  if (answer.status == 401) {
    return {
        StatusCode::kUnauthenticated, Reason::kAuthenticationFailed,
        fmt::format(
            "{}: the engine does not know us: set the endpoint's credential, or set it again ({})",
            endpoint(), error.Text())};
  }
  if (answer.status == 403) {
    return {StatusCode::kPermissionDenied, Reason::kAuthorizationFailed,
            fmt::format("{}: the engine refuses us: grant the endpoint's user the rights that "
                        "docs/guides/oci-to-elasticsearch.md lists ({})",
                        endpoint(), error.Text())};
  }
  return {StatusCode::kUnavailable, Reason::kBrokerError,
          fmt::format("{}: the engine answers {}", endpoint(), error.Text())};
}

StatusOr<EngineIdentity> EngineView::Identify(Duration patience) {
  const StatusOr<HttpAnswer> answer = Ask({.method = "GET", .path = "/"}, patience);
  if (!answer.ok()) return answer.status();
  const SearchProduct said = client_->engine().endpoint.opensearch().product;
  // A service without a version of its own answers nothing here; then the definition tells.
  if (answer->status == 404 && said != SearchProduct::kAsItTells) {
    return EngineIdentity{.cluster_id = {}, .product = said, .version = {}};
  }
  if (answer->status != 200) return Refused(*answer);
  const json about = json::parse(answer->body, nullptr, false);
  EngineIdentity identity{.cluster_id = TextAt(about, {"cluster_uuid"}),
                          .product = said,
                          .version = TextAt(about, {"version", "number"})};
  if (identity.version.empty()) return NoEngine(endpoint(), *answer);
  if (said == SearchProduct::kAsItTells) {
    // OpenSearch can be told to call itself 7.10.2; its distribution it leaves out then.
    identity.product = TextAt(about, {"version", "distribution"}) == "opensearch"
                           ? SearchProduct::kOpenSearch
                           : SearchProduct::kElasticsearch;
  }
  const int major = MajorOf(identity.version);
  const bool is_known = identity.product == SearchProduct::kOpenSearch
                            ? (major >= 1 && major <= 3) || major == 7
                            : major >= 7 && major <= 9;
  if (!is_known) {
    return Status(StatusCode::kFailedPrecondition, Reason::kGuaranteeUnsupported,
                  fmt::format("{}: {} is not known to keep what it confirms: OpenSearch 1 to 3 and "
                              "Elasticsearch 7 to 9 are",
                              endpoint(), identity.Text()));
  }
  return identity;
}

Status EngineView::CheckRights(const std::string& index, Duration patience) {
  patience /= 2;
  const StatusOr<HttpAnswer> alias = Ask({.method = "GET", .path = "/_alias/" + index}, patience);
  if (!alias.ok()) return alias.status();
  if (alias->status != 404) {
    return {StatusCode::kUnimplemented, Reason::kBrokerError,
            fmt::format("whether we may create documents in {} is not known until we do", index)};
  }
  // It may not be made, since no alias has this name: an engine that says so would have let us.
  std::string body = fmt::format(R"({{"create":{{"_index":"{}","_id":"{}","require_alias":true}}}})"
                                 "\n{{}}\n",
                                 index, kPreflightId);
  const StatusOr<HttpAnswer> answer = Ask({.method = "POST",
                                           .path = std::string(kBulkPath),
                                           .body = std::move(body),
                                           .content_type = "application/x-ndjson"},
                                          patience);
  if (!answer.ok()) return answer.status();
  if (answer->status == 400 && answer->body.find("require_alias") != std::string::npos) {
    return {StatusCode::kUnimplemented, Reason::kBrokerError,
            "before 7.10 an engine does not say whether we may create documents until we do"};
  }
  if (answer->status != 200) return Refused(*answer);
  const StatusOr<std::vector<BulkItem>> items = ReadItems(answer->body, {kPreflightId});
  if (!items.ok()) return items.status();
  const EngineError& error = items->front().error;
  if (error.status == 404) return {};
  HttpAnswer refused;
  refused.status = error.status;
  refused.body = error.Text();
  return error.status < 300 ? Status() : Refused(refused);
}

// An index that was deleted is made by the next letter, and not as we would.
Status EngineView::CheckDeadLetterMapping(const std::string& index,
                                          const std::string& answer) const {
  constexpr const char* kBridge = "drawbridge-error-bridge";
  const json mappings = json::parse(answer, nullptr, false);
  for (const json& one : At(mappings, {})) {
    const std::string type = TextAt(one, {"mappings", "properties", kBridge, "type"});
    if (type.empty() || type == "keyword") continue;
    return {StatusCode::kFailedPrecondition, Reason::kBrokerError,
            fmt::format("{}: the index {} has {} as {} where a keyword is needed, so that its dead "
                        "letters are not found: copy it to another index (_reindex), delete it, "
                        "and copy them back once the relay has made it anew",
                        endpoint(), index, kBridge, type)};
  }
  return {};
}

Status EngineView::CheckDeadLetterIndex(const std::string& index, Duration patience) {
  const StatusOr<HttpAnswer> there =
      Ask({.method = "GET", .path = fmt::format("/{}/_mapping", index)}, patience);
  if (!there.ok()) return there.status();
  return there->status == 200 ? CheckDeadLetterMapping(index, there->body) : Status();
}

Status EngineView::MakeDeadLetterIndex(const std::string& index, Duration patience) {
  const StatusOr<HttpAnswer> there =
      Ask({.method = "GET", .path = fmt::format("/{}/_mapping", index)}, patience);
  if (!there.ok()) return there.status();
  if (there->status == 200) {
    if (Status found = CheckDeadLetterMapping(index, there->body); !found.ok()) return found;
    // One that somebody else has made. Where we may not add to it, only a retry is the poorer.
    if (there->body.find("drawbridge-error-turn") != std::string::npos) return {};
    const json mapping = json::parse(DeadLetterIndex(false));
    const StatusOr<HttpAnswer> added = Ask({.method = "PUT",
                                            .path = fmt::format("/{}/_mapping", index),
                                            .body = mapping["mappings"].dump(),
                                            .content_type = std::string(kJson)},
                                           patience);
    return added.ok() ? Status() : added.status();
  }
  const auto make = [&](bool knows_final_pipelines) {
    return Ask({.method = "PUT",
                .path = fmt::format("/{}", index),
                .body = DeadLetterIndex(knows_final_pipelines),
                .content_type = std::string(kJson)},
               patience);
  };
  StatusOr<HttpAnswer> made = make(true);
  if (made.ok() && made->status == 400 && made->body.find("final_pipeline") != std::string::npos) {
    made = make(false);
  }
  if (!made.ok()) return made.status();
  if (made->status == 200) return {};
  const EngineError error = ReadError(made->status, made->body);
  if (error.type == "resource_already_exists_exception") return {};
  return {StatusCode::kFailedPrecondition, Reason::kBrokerError,
          fmt::format("{}: the index {} for dead letters cannot be made: make it, or grant the "
                      "endpoint's user the right to ({})",
                      endpoint(), index, error.Text())};
}

StatusOr<std::string> EngineView::CheckDisks(Duration patience) {
  const StatusOr<HttpAnswer> said =
      Ask({.method = "GET", .path = "/_nodes/stats/fs?filter_path=nodes.*.name,nodes.*.fs.total"},
          patience / 2);
  if (!said.ok()) return said.status();
  if (said->status != 200) return Refused(*said);
  const StatusOr<HttpAnswer> marks =
      Ask({.method = "GET",
           .path = "/_cluster/settings?include_defaults=true&flat_settings=true&filter_path="
                   "*.cluster.routing.allocation.disk.watermark.flood_stage*,"
                   "*.cluster.routing.allocation.disk.threshold_enabled"},
          patience / 2);
  if (!marks.ok()) return marks.status();
  if (marks->status != 200) return Refused(*marks);
  const json settings = json::parse(marks->body, nullptr, false);
  const auto mark_of = [&](const char* name) {
    for (const char* level : {"transient", "persistent", "defaults"}) {
      if (std::string said_there = TextAt(settings, {level, name}); !said_there.empty()) {
        return said_there;
      }
    }
    return std::string();
  };
  const std::string mark = mark_of("cluster.routing.allocation.disk.watermark.flood_stage");
  const std::string headroom =
      mark_of("cluster.routing.allocation.disk.watermark.flood_stage.max_headroom");
  const bool is_judged = mark_of("cluster.routing.allocation.disk.threshold_enabled") != "false";
  const std::optional<FloodMark> flood = is_judged ? FloodMark::Read(mark, headroom) : std::nullopt;
  const json stats = json::parse(said->body, nullptr, false);
  struct Disk {
    std::string node;
    double size = 0;
    double free = 0;
    double left = 0;  // until its indexes are locked; its free space where that is not known
  };
  std::optional<Disk> fullest;
  for (const json& node : At(stats, {"nodes"})) {
    Disk disk{.node = TextAt(node, {"name"}),
              .size = NumberAt(node, {"fs", "total", "total_in_bytes"}),
              .free = NumberAt(node, {"fs", "total", "available_in_bytes"})};
    if (disk.size <= 0) continue;
    disk.left = disk.free - (flood ? flood->FreeLeast(disk.size) : 0);
    if (!fullest || disk.left < fullest->left) fullest = std::move(disk);
  }
  if (!fullest) return std::string("the engine does not say how full its disks are");
  const std::string text =
      fmt::format("the fullest disk, of node {}, is {:.0f} % full", fullest->node,
                  100 * (fullest->size - fullest->free) / fullest->size);
  if (!flood) return text;
  const std::string locks = fmt::format("with less than {} free the engine locks its indexes",
                                        BytesText(flood->FreeLeast(fullest->size)));
  if (fullest->left > 0) return fmt::format("{}; {}", text, locks);
  return Status(
      StatusCode::kFailedPrecondition, Reason::kBrokerError,
      fmt::format("{}: {}: {} and takes no record: make room there", endpoint(), text, locks));
}

}  // namespace drawbridge
