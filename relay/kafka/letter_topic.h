#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "relay/kafka/cluster_view.h"

namespace drawbridge {

// The topic that keeps a bridge's dead letters: sees to it that it is there, and that what is
// written there stays. Waits for the cluster; runs on one thread. The reaper and the clock outlive
// it.
class LetterTopic {
 public:
  static StatusOr<std::unique_ptr<LetterTopic>> Open(KafkaCluster cluster, std::string topic,
                                                     Reaper& reaper, const Clock& clock);

  // Makes it, if it is missing. Why it cannot keep letters: it is not there and cannot be made, it
  // is compacted, or it would delete what is old by the time of its record.
  Status Make(Duration patience);

 private:
  LetterTopic(std::unique_ptr<ClusterView> cluster, std::string topic, const Clock& clock)
      : cluster_(std::move(cluster)), topic_(std::move(topic)), clock_(clock) {}

  Status Create(const Patience& patience);
  Status CheckSettings() const;

  const std::unique_ptr<ClusterView> cluster_;
  const std::string topic_;
  const Clock& clock_;
};

}  // namespace drawbridge
