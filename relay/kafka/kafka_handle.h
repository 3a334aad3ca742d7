#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <librdkafka/rdkafka.h>

#include "base/file.h"
#include "base/mutex.h"
#include "base/status.h"

namespace drawbridge {

// Owning handles for librdkafka's C objects: each knows its destroy function and nothing else.
template <auto kDestroy>
struct Destroyer {
  void operator()(auto* object) const noexcept { kDestroy(object); }
};

using ConfHandle = std::unique_ptr<rd_kafka_conf_t, Destroyer<rd_kafka_conf_destroy>>;
// With what CreateClient gave it.
void DestroyClient(rd_kafka_t* client);
using ClientHandle = std::unique_ptr<rd_kafka_t, Destroyer<DestroyClient>>;
using EventHandle = std::unique_ptr<rd_kafka_event_t, Destroyer<rd_kafka_event_destroy>>;
using QueueHandle = std::unique_ptr<rd_kafka_queue_t, Destroyer<rd_kafka_queue_destroy>>;
using TopicHandle = std::unique_ptr<rd_kafka_topic_t, Destroyer<rd_kafka_topic_destroy>>;
using ErrorHandle = std::unique_ptr<rd_kafka_error_t, Destroyer<rd_kafka_error_destroy>>;
using HeadersHandle = std::unique_ptr<rd_kafka_headers_t, Destroyer<rd_kafka_headers_destroy>>;
using MetadataHandle =
    std::unique_ptr<const rd_kafka_metadata_t, Destroyer<rd_kafka_metadata_destroy>>;
using PartitionListHandle = std::unique_ptr<rd_kafka_topic_partition_list_t,
                                            Destroyer<rd_kafka_topic_partition_list_destroy>>;
using TopicPartitionHandle =
    std::unique_ptr<rd_kafka_topic_partition_t, Destroyer<rd_kafka_topic_partition_destroy>>;
using NewTopicHandle = std::unique_ptr<rd_kafka_NewTopic_t, Destroyer<rd_kafka_NewTopic_destroy>>;
using NewPartitionsHandle =
    std::unique_ptr<rd_kafka_NewPartitions_t, Destroyer<rd_kafka_NewPartitions_destroy>>;
using ConfigResourceHandle =
    std::unique_ptr<rd_kafka_ConfigResource_t, Destroyer<rd_kafka_ConfigResource_destroy>>;
using AdminOptionsHandle =
    std::unique_ptr<rd_kafka_AdminOptions_t, Destroyer<rd_kafka_AdminOptions_destroy>>;

// Consumes `conf`, whether or not the client comes up.
StatusOr<ClientHandle> CreateClient(rd_kafka_type_t type, ConfHandle conf);

// What the newest TLS handshake that failed found wrong with the other end's certificate, in
// OpenSSL's words; empty: nothing. The library's own error says only that it is not good. Any
// thread.
std::string_view CertificateFault(const rd_kafka_t* client);

// How the newest connection ended that the client lost since the last call, in the library's words;
// empty: none did. Where the other end closed it, newer libraries write a log line and tell no
// error. Any thread.
std::string TakeDisconnect(const rd_kafka_t* client);
void NoteDisconnect(const rd_kafka_t* client, std::string_view text);

// An eventfd that becomes readable when the queue turns from empty to not empty, and only then: the
// queue must be drained before each wait.
StatusOr<FileDescriptor> WakeOn(rd_kafka_queue_t* queue);

// Destroys clients on threads of their own: rd_kafka_destroy waits for what is still open, and with
// a fault of the library for ever. A client that does not end is left behind, counted and logged,
// and the process exits without it. Thread-safe.
class Reaper {
 public:
  Reaper() = default;
  // Waits a few seconds for those under way.
  ~Reaper();
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  void Destroy(ClientHandle client);

 private:
  struct Count {
    Mutex mutex;
    ConditionVariable ended;
    int under_way DRAWBRIDGE_GUARDED_BY(mutex) = 0;
  };
  // Shared: a thread that never ends must not be left with a dangling reference.
  std::shared_ptr<Count> count_ = std::make_shared<Count>();
};

// "2.0.2": of the library found at run time.
std::string LibraryVersion();
// Its builtin.features.
std::string LibraryFeatures();
// Whether the library is at least this version.
bool LibraryIsAtLeast(int major, int minor, int patch);

}  // namespace drawbridge
