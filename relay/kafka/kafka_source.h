#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "relay/kafka/cluster_identity.h"
#include "relay/kafka/kafka_config.h"
#include "relay/kafka/kafka_handle.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// Reads partitions of one cluster by assign() and positions of our own: no group is ever joined, so
// there are no rebalances, and a checkpoint means what it says. Records come as events from the
// consumer queue, one each, and stay in the library's buffer until their owner is destroyed. Where
// another cluster answers than the one that is meant, nothing is read.
//
// Runs on the lane's thread only. The reaper and the clock outlive it.
class KafkaSource final : public Source {
 public:
  static StatusOr<std::unique_ptr<KafkaSource>> Open(KafkaCluster cluster, std::string group,
                                                     KafkaBudget budget, Reaper& reaper,
                                                     const Clock& clock);
  ~KafkaSource() override;

  Status Assign(Slot slot, const Route& route, Offset from, uint32_t fetch) override;
  void Unassign(Slot slot) override;
  void Poll(size_t bytes_max, std::vector<SourceEvent>& events) override;
  void Serve(std::vector<SourceEvent>& events) override;
  LogView View(Slot slot) const override;
  std::optional<Duration> SinceSeen(Slot slot, BootTime now) const override;
  std::optional<Condition> Trouble() const override;
  std::vector<int> descriptors() const override;

 private:
  using TopicPartition = std::pair<std::string, PartitionNumber>;

  // A partition that is, or was, read.
  struct Reading {
    TopicPartition name;
    bool is_assigned = false;
    uint32_t fetch = 0;
    Offset position;
    std::optional<BootTime> seen_at;
    std::optional<Offset> log_start;
    std::optional<Offset> log_end;
  };

  // A partition that is out of range, until it is known where its log is.
  struct Astray {
    uint32_t fetch = 0;
    Offset asked;
    std::optional<Offset> log_start;
  };

  KafkaSource(KafkaCluster cluster, std::string group, KafkaBudget budget, Reaper& reaper,
              const Clock& clock);
  Status Connect();
  // Whether what has arrived may be handed out.
  bool MayRead();
  Status AssignInLibrary(const Reading& reading);
  void Take(EventHandle event, std::vector<SourceEvent>& events, size_t& bytes);
  void TakeError(rd_kafka_event_t* event, std::vector<SourceEvent>& events);
  void TakeStatistics(const char* json);
  void AskWhereLogsAre(std::vector<SourceEvent>& events);
  std::map<Slot, Offset> AskOffsets(const std::vector<Slot>& slots, int64_t which);
  void RebuildIfDead(std::vector<SourceEvent>& events);
  Reading* Find(const rd_kafka_topic_t* topic, PartitionNumber partition, Slot& slot);
  Reading* Find(const TopicPartition& name, Slot& slot);

  const KafkaCluster cluster_;
  const std::string group_;
  const KafkaBudget budget_;
  Reaper& reaper_;
  const Clock& clock_;
  ClientTrouble trouble_;
  ClusterIdentity identity_;
  BootTime connected_at_{};  // or tried to
  ClientHandle client_;
  QueueHandle main_queue_;  // destroyed before the client
  QueueHandle consumer_queue_;
  FileDescriptor main_wake_;
  FileDescriptor consumer_wake_;
  std::unordered_map<Slot, Reading> readings_;
  std::map<TopicPartition, Slot> slots_;
  std::map<Slot, Astray> astray_;
  // The partition of the newest record: records come in runs.
  const rd_kafka_topic_t* last_topic_ = nullptr;
  PartitionNumber last_partition_ = -1;
  Slot last_slot_ = 0;
};

}  // namespace drawbridge
