#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "relay/kafka/cluster_identity.h"
#include "relay/kafka/confirmation_watch.h"
#include "relay/kafka/kafka_config.h"
#include "relay/kafka/kafka_handle.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// Writes partitions of one cluster: each record to the partition of the same number, with its key,
// value, headers and time as they came, and the provenance header on top. A confirmation is a
// delivery report with acks=all.
//
// A producer that ends with a fatal error is routine (an idempotent one does so after an ordinary
// timeout), and one that lost sight of a partition does not find it by itself: what is in flight
// comes back as failed, a new producer takes its place, and the lane replays. Where another cluster
// answers than the one that is meant, no record is taken. Runs on the lane's thread only. The
// reaper and the clock outlive it.
class KafkaSink final : public Sink {
 public:
  static StatusOr<std::unique_ptr<KafkaSink>> Open(KafkaCluster cluster, Compression compression,
                                                   KafkaBudget budget, Reaper& reaper,
                                                   const Clock& clock);
  ~KafkaSink() override;

  Status Open(Slot slot, const Route& route) override;
  size_t Submit(Batch& batch, size_t from, uint32_t window) override;
  void Poll(std::vector<Confirmation>& confirmations) override;
  bool IsReady() const override {
    return client_ != nullptr && !is_ending_ && !drain_ && identity_.is_right();
  }
  std::optional<Condition> Trouble() const override;
  std::vector<int> descriptors() const override;

  // How large the requests are that it makes at present. A target that refuses larger ones makes
  // them smaller, for all slots; after a while larger ones are tried again.
  int64_t batch_bytes() const { return batch_bytes_; }

 private:
  // A record between produce and its delivery report.
  struct InFlight;
  // What is on its way is left to arrive before the client ends: a purge has it sent twice.
  struct Drain {
    std::string_view why;
    BootTime by;
  };
  // A partition that is written.
  struct Writing {
    std::string topic;
    PartitionNumber partition = 0;
    bool stamps_provenance = false;
    ClusterKey source_cluster = 0;
    std::optional<ProvenanceStamp> stamp;
    rd_kafka_topic_t* handle = nullptr;  // owned by topics_
  };

  KafkaSink(KafkaCluster cluster, Compression compression, KafkaBudget budget, Reaper& reaper,
            const Clock& clock);
  Status Connect();
  rd_kafka_topic_t* TopicOf(const std::string& name);
  HeadersHandle HeadersFor(Writing& writing, const Record& record);
  rd_kafka_resp_err_t Produce(Writing& writing, Record& record, InFlight& in_flight);
  void TakeReports(rd_kafka_event_t* event, std::vector<Confirmation>& confirmations);
  void Report(InFlight& in_flight, rd_kafka_resp_err_t error,
              std::vector<Confirmation>& confirmations);
  void FitBatches(const std::vector<Confirmation>& confirmations, BootTime now);
  void TakeStatistics(const char* json);
  void StartDrain(std::string_view why, BootTime now);
  void EndClient(std::string_view why);
  void Rebuild();
  InFlight* NewInFlight();
  void Recycle(InFlight* in_flight);

  const KafkaCluster cluster_;
  const Compression compression_;
  const KafkaBudget budget_;
  Reaper& reaper_;
  const Clock& clock_;
  ClientTrouble trouble_;
  ClusterIdentity identity_;
  int64_t batch_bytes_ = kBatchBytesMost;
  Duration grow_after_;
  BootTime grow_at_{};  // when batches below the most may be larger again
  bool is_ending_ = false;
  std::optional<Drain> drain_;  // nothing more is taken until the client is made anew
  BootTime next_attempt_{};
  std::vector<Writing> writings_;  // by slot
  std::vector<Confirmation> refused_at_once_;
  std::deque<InFlight> pool_;  // stays where it is: reports point into it
  InFlight* free_ = nullptr;
  ConfirmationWatch watch_;
  ClientHandle client_;
  std::map<std::string, TopicHandle> topics_;  // destroyed before the client
  QueueHandle queue_;
  FileDescriptor wake_;
};

}  // namespace drawbridge
