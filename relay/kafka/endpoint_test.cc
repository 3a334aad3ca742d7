#include "relay/kafka/endpoint_test.h"

#include <algorithm>

#include <fmt/format.h>

#include "relay/kafka/cluster_view.h"

namespace drawbridge {
namespace {

EndpointCheck Passed(std::string name, std::string detail) {
  return {std::move(name), true, Reason::kUnspecified, std::move(detail)};
}

EndpointCheck Failed(std::string name, const Status& status) {
  return {std::move(name), false, status.reason(), status.message()};
}

EndpointCheck CheckTopic(ClusterView& cluster, const std::string& topic, const Patience& patience) {
  const std::string step = fmt::format("topic {}", topic);
  const auto found = cluster.topics().find(topic);
  const bool is_there = found != cluster.topics().end();
  const int count = is_there ? found->second.partitions() : 0;
  if (count == 0) {
    const rd_kafka_resp_err_t error =
        is_there ? found->second.error : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    return Failed(step, ToStatus(error, rd_kafka_err2str(error), cluster.context()));
  }
  std::vector<TopicPartition> partitions;
  for (PartitionNumber i = 0; i < count; ++i) partitions.emplace_back(topic, i);
  const auto starts = cluster.OffsetsAt(partitions, ClusterView::kLogStart, patience);
  const auto ends = cluster.OffsetsAt(partitions, ClusterView::kLogEnd, patience);
  int64_t records = 0;
  int readable = 0;
  for (const TopicPartition& partition : partitions) {
    const auto start = starts.find(partition);
    const auto end = ends.find(partition);
    if (start == starts.end() || end == ends.end()) continue;
    ++readable;
    records += end->second - start->second;
  }
  if (readable < count) {
    return Failed(step, {StatusCode::kUnavailable, Reason::kBrokerError,
                         fmt::format("{} of its {} partitions do not answer: check that each has a "
                                     "leader that can be reached",
                                     count - readable, count)});
  }
  return Passed(step, fmt::format("{} partitions, at most {} records", count, records));
}

}  // namespace

std::vector<EndpointCheck> TestEndpoint(const KafkaCluster& cluster,
                                        const std::vector<std::string>& topics, Duration deadline) {
  const Patience patience(Clock::System(), deadline, {});
  std::vector<EndpointCheck> checks;
  Reaper reaper;
  StatusOr<std::unique_ptr<ClusterView>> opened =
      ClusterView::Open(cluster, Side::kSource, reaper, Clock::System());
  if (!opened.ok()) {
    checks.push_back(Failed("connect", opened.status()));
    return checks;
  }
  ClusterView& view = **opened;
  if (Status reached = view.Refresh(patience); !reached.ok()) {
    checks.push_back(Failed("connect", reached));
    return checks;
  }
  checks.push_back(
      Passed("connect", fmt::format("cluster {}, {} brokers",
                                    view.cluster_id().empty() ? "of unknown id" : view.cluster_id(),
                                    view.brokers())));
  checks.push_back(Passed("topics", fmt::format("{} topics can be seen", view.topics().size())));

  std::vector<std::string> missing;
  for (const std::string& topic : topics) {
    if (view.Find(topic) == nullptr) missing.push_back(topic);
  }
  const Status seen = view.LookUp(missing, patience);
  for (const std::string& topic : topics) {
    const bool is_missing = std::ranges::find(missing, topic) != missing.end();
    checks.push_back(!seen.ok() && is_missing ? Failed(fmt::format("topic {}", topic), seen)
                                              : CheckTopic(view, topic, patience));
  }
  return checks;
}

}  // namespace drawbridge
