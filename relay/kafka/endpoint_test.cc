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

using Offsets = std::map<TopicPartition, int64_t>;

EndpointCheck CheckTopic(const ClusterView& cluster, const std::string& topic,
                         const Offsets& starts, const Offsets& ends) {
  const std::string step = fmt::format("topic {}", topic);
  const TopicView* const view = cluster.Find(topic);
  if (view == nullptr) {
    const auto found = cluster.topics().find(topic);
    const rd_kafka_resp_err_t error = found == cluster.topics().end()
                                          ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                                          : found->second.error;
    return Failed(step, ToStatus(error, rd_kafka_err2str(error), cluster.context()));
  }
  int64_t records = 0;
  int silent = 0;
  for (PartitionNumber i = 0; i < view->partitions(); ++i) {
    const auto start = starts.find({topic, i});
    const auto end = ends.find({topic, i});
    if (start == starts.end() || end == ends.end()) {
      ++silent;
    } else {
      records += end->second - start->second;
    }
  }
  if (silent > 0) {
    return Failed(step, {StatusCode::kUnavailable, Reason::kUnreachable,
                         fmt::format("{} of its {} partitions do not answer: check that each has a "
                                     "leader that can be reached",
                                     silent, view->partitions())});
  }
  return Passed(step,
                fmt::format("{} partitions, at most {} records", view->partitions(), records));
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
      Passed("connect", fmt::format("cluster {}, {} broker{}",
                                    view.cluster_id().empty() ? "of unknown id" : view.cluster_id(),
                                    view.brokers(), view.brokers() == 1 ? "" : "s")));
  checks.push_back(Passed("topics", fmt::format("{} topics can be seen", view.topics().size())));

  std::vector<std::string> missing;
  for (const std::string& topic : topics) {
    if (view.Find(topic) == nullptr) missing.push_back(topic);
  }
  const Status seen = view.LookUp(missing, patience);
  std::vector<TopicPartition> partitions;
  for (const std::string& topic : topics) {
    const TopicView* const found = view.Find(topic);
    const int count = found == nullptr ? 0 : found->partitions();
    for (PartitionNumber i = 0; i < count; ++i) partitions.emplace_back(topic, i);
  }
  const Offsets starts = view.OffsetsAt(partitions, ClusterView::kLogStart, patience);
  const Offsets ends = view.OffsetsAt(partitions, ClusterView::kLogEnd, patience);
  for (const std::string& topic : topics) {
    const bool is_missing = std::ranges::find(missing, topic) != missing.end();
    checks.push_back(!seen.ok() && is_missing ? Failed(fmt::format("topic {}", topic), seen)
                                              : CheckTopic(view, topic, starts, ends));
  }
  return checks;
}

}  // namespace drawbridge
