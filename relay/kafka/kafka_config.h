#pragma once

#include <optional>
#include <string>

#include "base/file.h"
#include "base/status.h"
#include "model/credential.h"
#include "model/definition.h"
#include "relay/kafka/kafka_error.h"
#include "relay/kafka/kafka_handle.h"

namespace drawbridge {

// A cluster to connect to, with the secret that opens it.
struct KafkaCluster {
  EndpointSpec endpoint;
  std::optional<CredentialSecret> secret;
  // What the cluster that is meant calls itself, where that is known: another one is neither read
  // nor written. Empty: any.
  std::string expected_id = {};
};

// What a client of a cluster may hold in memory.
struct KafkaBudget {
  size_t prefetch_bytes = size_t{32} << 20;  // consumer: fetched and not taken
  size_t window_bytes = size_t{64} << 20;    // producer: produced and not confirmed
  // Producer: nothing goes past a record that is refused, so that the client ends with it.
  bool keeps_order = true;
};

// What is needed to word the errors of a cluster.
ErrorContext ContextOf(const KafkaCluster& cluster);

// Clients with the settings that docs/adr and the comments in kafka_config.cc give reasons for. The
// secret is in the library's memory afterwards and nowhere else.
StatusOr<ClientHandle> CreateConsumer(const KafkaCluster& cluster, const std::string& group,
                                      const KafkaBudget& budget);
// `batch_bytes` bounds a batch before its compression; the profile may bound it further.
inline constexpr int64_t kBatchBytesMost = 1'000'000;
StatusOr<ClientHandle> CreateProducer(const KafkaCluster& cluster, Compression compression,
                                      int64_t batch_bytes, const KafkaBudget& budget);
// For metadata, offsets and administration: neither reads nor writes records.
StatusOr<ClientHandle> CreateObserver(const KafkaCluster& cluster);

}  // namespace drawbridge
