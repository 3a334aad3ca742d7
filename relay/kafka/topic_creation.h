#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "relay/kafka/cluster_view.h"

namespace drawbridge {

// A topic to be made, or to be given more partitions.
struct WantedTopic {
  std::string name;
  int partitions = 1;
  int replication_factor = 0;  // 0: the cluster's default
  TopicSettings settings;
};

// What the cluster does not do, with its words.
struct TopicRefusal {
  std::string topic;
  Status status;
};

// The configuration of the topic that takes the records of a topic with these settings: they must
// fit, whatever their size and time.
TopicSettings SettingsForCopy(const TopicSettings& source, const Capabilities& source_profile);

// Takes out of `settings` what a cluster that answered `text` may have refused: what it names; if
// it names nothing, more at every call. False when nothing was left to take out.
bool Reduce(TopicSettings& settings, std::string_view text);

// Makes topics. A setting that the cluster does not take is left out: a plain topic at the worst.
// One that is there already is no refusal.
std::vector<TopicRefusal> CreateTopics(ClusterView& cluster, std::vector<WantedTopic> topics,
                                       const Patience& patience);

// Raises topics to the number of partitions wanted.
std::vector<TopicRefusal> GrowTopics(ClusterView& cluster, const std::vector<WantedTopic>& topics,
                                     const Patience& patience);

}  // namespace drawbridge
