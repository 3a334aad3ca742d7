#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "relay/opensearch/bulk_answer.h"
#include "relay/opensearch/cluster_gate.h"
#include "relay/opensearch/http_client.h"

namespace drawbridge {

// Who answers at an engine's addresses.
struct EngineIdentity {
  std::string cluster_id;  // empty: it does not say
  SearchProduct product = SearchProduct::kAsItTells;
  std::string version;  // "2.19.1"; empty: it does not say

  std::string Text() const;  // "OpenSearch 2.19.1"
};

// Looks at an engine by one request after the other, each with the address that answered last.
// Waits for it; runs on one thread.
class EngineView {
 public:
  // With `cluster_id` it asks no other cluster than that one: each address is asked once which it
  // is, so that such a view is for a moment.
  static StatusOr<std::unique_ptr<EngineView>> Open(SearchEngine engine,
                                                    std::string cluster_id = {});

  // Who answers. Refuses what is no search engine, or a version that is not known to work.
  StatusOr<EngineIdentity> Identify(Duration patience);

  // Whether we may create documents in an index; nothing is created. kUnimplemented where the
  // engine cannot say, and for an alias.
  Status CheckRights(const std::string& index, Duration patience);

  // Makes the index for dead letters, if it is missing, and adds what its mapping lacks. Refuses
  // one in which they would not be found.
  Status MakeDeadLetterIndex(const std::string& index, Duration patience);
  // Why they would not be found in it, if it is there and we may look.
  Status CheckDeadLetterIndex(const std::string& index, Duration patience);

  // How near the engine's disks are to the mark where it locks its indexes: a sentence, or a status
  // when one is beyond it. kPermissionDenied where we may not ask.
  StatusOr<std::string> CheckDisks(Duration patience);

  // The answer of the first address that gives one.
  StatusOr<HttpAnswer> Ask(HttpRequest request, Duration patience);
  // Sends a bulk of an action on each of these ids, its body framed as in bulk_request.h: the
  // outcome of each. Where there are none the answer says why, if it has come, or the status.
  StatusOr<std::vector<BulkItem>> Bulk(HttpRequest request, const std::vector<std::string>& ids,
                                       Duration patience, HttpAnswer& answer);
  // What an answer says that is no success, with what to do.
  Status Refused(const HttpAnswer& answer) const;

  const std::string& endpoint() const { return client_->engine().endpoint.name; }

 private:
  EngineView(std::unique_ptr<HttpClient> client, std::string cluster_id)
      : client_(std::move(client)), gate_(std::move(cluster_id), client_->addresses()) {}

  Status CheckCluster(size_t address, Duration patience);

  Status CheckDeadLetterMapping(const std::string& index, const std::string& answer) const;

  const std::unique_ptr<HttpClient> client_;
  ClusterGate gate_;
  size_t address_ = 0;
};

}  // namespace drawbridge
