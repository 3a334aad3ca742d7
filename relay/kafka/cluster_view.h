#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "relay/kafka/kafka_config.h"
#include "relay/kafka/kafka_error.h"
#include "relay/kafka/kafka_handle.h"
#include "relay/kafka/patience.h"

namespace drawbridge {

using TopicPartition = std::pair<std::string, PartitionNumber>;

// A topic as the cluster's metadata describes it.
struct TopicView {
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::vector<int32_t> leaders;  // of each partition, by its number; -1: none at present

  int partitions() const { return static_cast<int>(leaders.size()); }
};

// Of so many partitions as are listed: what numbers itself beyond that is left out, as the library
// does, so that no answer decides how much memory it takes.
TopicView ViewOf(const rd_kafka_metadata_topic_t& topic);

// A topic's configuration, as far as the cluster tells: "retention.ms" -> "604800000".
using TopicSettings = std::map<std::string, std::string, std::less<>>;

// One cluster, looked at without reading or writing records: what is there, where logs begin and
// end, and how topics are configured. Every call waits, at most for as long as its patience goes.
//
// The client is made anew after trouble: the library learns a cluster's id only once, tells an
// error only once in half a minute, and keeps addresses that nobody answers at any more.
//
// Runs on one thread. The reaper and the clock outlive it.
class ClusterView {
 public:
  static StatusOr<std::unique_ptr<ClusterView>> Open(KafkaCluster cluster, Side side,
                                                     Reaper& reaper, const Clock& clock);
  ~ClusterView();

  // Reads brokers, topics and partitions anew; what was known is kept if that fails.
  Status Refresh(const Patience& patience);

  // Asks for topics by name: the only way to tell a topic that is not there from one that must not
  // be seen. Their views are found below afterwards, with an error perhaps.
  Status LookUp(const std::vector<std::string>& names, const Patience& patience);

  const std::map<std::string, TopicView, std::less<>>& topics() const { return topics_; }
  // nullptr for a topic that is not listed, or not there.
  const TopicView* Find(std::string_view topic) const;
  // What the cluster says, or the endpoint's cluster_key; empty: neither.
  const std::string& cluster_id() const { return cluster_id_; }
  // It is not the cluster that is meant: another client may reach that, after a while.
  void Doubt() { is_suspect_ = true; }
  int brokers() const { return brokers_; }

  // The first offset with at least this time, by partition; -1 if there is none. kLogStart and
  // kLogEnd stand for the log's ends (its end is the last stable offset). A partition that did not
  // answer is not in the result.
  static constexpr int64_t kLogEnd = -1;
  static constexpr int64_t kLogStart = -2;
  std::map<TopicPartition, int64_t> OffsetsAt(const std::vector<TopicPartition>& partitions,
                                              int64_t time_ms, const Patience& patience);

  // Reads the configuration of topics that it does not know, or has known for a minute.
  void ReadSettings(const std::vector<std::string>& names, const Patience& patience);
  // Empty: the cluster does not tell.
  const TopicSettings& SettingsOf(std::string_view topic) const;
  // Whether the cluster has answered the question, or has been asked often enough.
  bool HasAnsweredFor(std::string_view topic) const;

  // Waits for the answer to a question of administration; nullptr: none came.
  EventHandle Await(rd_kafka_queue_t* answers, const Patience& patience);
  // The client's words for a call that failed: what its connections met, if they met something.
  Status Failure(rd_kafka_resp_err_t error, std::string_view text);

  rd_kafka_t* client() const { return client_.get(); }
  const ErrorContext& context() const { return trouble_.context(); }
  const EndpointSpec& endpoint() const { return cluster_.endpoint; }
  const std::string& expected_id() const { return cluster_.expected_id; }

 private:
  struct Settings {
    TopicSettings values;
    BootTime asked_at{};
    int attempts = 0;  // without an answer
    bool is_answered = false;
  };

  ClusterView(KafkaCluster cluster, Side side, Reaper& reaper, const Clock& clock);
  Status Connect();
  Status ConnectAnew();
  void Disconnect();
  void TakeErrors();
  void TakeMetadata(const rd_kafka_metadata_t& metadata);
  StatusOr<MetadataHandle> Metadata(bool is_all, const Patience& patience);
  rd_kafka_resp_err_t AskOffsets(const std::vector<TopicPartition>& partitions, int64_t time_ms,
                                 int timeout_ms, std::map<TopicPartition, int64_t>& answers);
  void AskSettings(const std::vector<std::string>& names, const Patience& patience);

  const KafkaCluster cluster_;
  Reaper& reaper_;
  const Clock& clock_;
  ClientTrouble trouble_;
  BootTime connected_at_{};
  bool is_suspect_ = false;  // something went wrong since it was connected
  ClientHandle client_;
  QueueHandle main_queue_;  // destroyed before the client
  std::map<std::string, TopicView, std::less<>> topics_;
  std::map<std::string, Settings, std::less<>> settings_;
  std::string cluster_id_;
  int brokers_ = 0;
};

}  // namespace drawbridge
