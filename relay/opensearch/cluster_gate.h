#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "relay/opensearch/http_client.h"

namespace drawbridge {

// Keeps records from another cluster than the one that is meant: an address that was changed by
// mistake may lead to one where the same credential works. Each address is asked before its first
// request, and every minute after, as there may be another cluster behind a name one day.
// Not thread-safe.
class ClusterGate {
 public:
  // `cluster_id`: the cluster_uuid of the one that is meant; empty: any will do.
  ClusterGate(std::string cluster_id, size_t addresses)
      : cluster_id_(std::move(cluster_id)), known_until_(addresses) {}

  bool IsKnown(size_t address, BootTime now) const {
    return cluster_id_.empty() || now < known_until_[address];
  }

  // Whether the answer is one to believe only when it is known which cluster is there by now: a new
  // connection may lead elsewhere.
  bool Doubts(const HttpAnswer& answer) const {
    return !cluster_id_.empty() && answer.is_first && answer.status != 0;
  }

  // Which cluster is there.
  static HttpRequest Question();
  // The answer to that, of status 200. kFailedPrecondition: it is not the one that is meant, or
  // does not say.
  Status Take(size_t address, const HttpAnswer& answer, BootTime now);

  // The address did not answer, and may lead elsewhere when it does again.
  void Forget(size_t address) { known_until_[address] = {}; }

 private:
  const std::string cluster_id_;
  std::vector<BootTime> known_until_;
};

}  // namespace drawbridge
