#pragma once

#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/assignment.h"
#include "model/topic.h"
#include "relay/kafka/cluster_view.h"
#include "relay/kafka/topic_creation.h"
#include "relay/pipeline/survey.h"

namespace drawbridge {

// Surveys a bridge between two Kafka clusters, or the source of one to something else, with a
// client of its own at either end, so that it sees what no lane does: new topics and partitions,
// the ends of logs that nobody reads, and what is wrong with a cluster that no lane reaches.
//
// A look takes about 10 s at most. What it could not do in that time is done by the next one.
// Runs on one thread. The reaper and the clock outlive it.
class KafkaSurveyor final : public Survey {
 public:
  static StatusOr<std::unique_ptr<KafkaSurveyor>> Open(BridgeAssignment bridge, KafkaCluster source,
                                                       KafkaCluster target, Reaper& reaper,
                                                       const Clock& clock);
  // Of the source alone: what it finds has no target yet.
  static StatusOr<std::unique_ptr<KafkaSurveyor>> OpenSource(BridgeAssignment bridge,
                                                             KafkaCluster source, Reaper& reaper,
                                                             const Clock& clock);

  SurveyResult Look(const std::stop_token& stop) override;

 private:
  static StatusOr<std::unique_ptr<KafkaSurveyor>> Make(BridgeAssignment bridge,
                                                       std::unique_ptr<ClusterView> source,
                                                       std::unique_ptr<ClusterView> target,
                                                       const Clock& clock);
  KafkaSurveyor(BridgeAssignment bridge, TopicFlow flow, std::vector<TopicFlow> reverse_flows,
                std::unique_ptr<ClusterView> source, std::unique_ptr<ClusterView> target,
                const Clock& clock);

  // The parts of a look, in their order. Each appends what it sees to the result.
  void ReadClusters(SurveyResult& result, const Patience& patience);
  void ChooseTopics(SurveyResult& result, const Patience& patience);
  void ReadPositions(SurveyResult& result, const Patience& patience);
  void ReadTraits(SurveyResult& result, const Patience& patience);
  void MakeTarget(SurveyResult& result, const Patience& patience);
  void AwaitTarget(const Patience& patience);
  void ReadTarget(SurveyResult& result, const Patience& patience);

  bool IsElsewhere(const SurveyResult& result);
  bool IsOntoItself(const SurveyResult& result) const;
  std::map<std::string, WantedTopic> WantedTopics(const SurveyResult& result) const;
  bool LookUpAtTarget(const std::map<std::string, WantedTopic>& wanted, SurveyResult& result,
                      const Patience& patience);
  void NoteMissing(SurveyResult& result, const std::vector<std::string>& missing) const;
  void Note(SurveyResult& result, Side side, const Status& status, bool blocks,
            const std::string& topic = {}) const;
  // The partitions of a topic that did not answer; `topic` is the source's.
  void NoteSilent(SurveyResult& result, Side side, const std::string& topic,
                  const ClusterView& cluster, const std::string& name,
                  const std::vector<PartitionNumber>& partitions) const;
  void NoteRefusals(SurveyResult& result, const std::vector<TopicRefusal>& refusals) const;

  const BridgeAssignment bridge_;
  const TopicFlow flow_;
  const std::vector<TopicFlow> reverse_flows_;
  const Clock& clock_;
  const std::unique_ptr<ClusterView> source_;
  const std::unique_ptr<ClusterView> target_;  // null: of the source alone
  // Partitions at the target that are new and have not answered yet: a producer that writes to one
  // before its leader serves may be refused for ever.
  std::set<TopicPartition> awaited_;
  std::map<std::string, int> settled_;  // how many partitions of a target topic are not new
  bool has_seen_target_ = false;        // what is there at the first look is not new
  bool is_source_seen_ = false;         // by this look
  bool is_target_seen_ = false;
};

}  // namespace drawbridge
