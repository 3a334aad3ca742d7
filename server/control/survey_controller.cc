#include "server/control/survey_controller.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace drawbridge {
namespace {

// Partitions that take records at the target, counted from 0 without a hole.
int ReadyPartitions(const SurveyedTopic& topic) {
  std::set<PartitionNumber> ready;
  for (const SurveyedPartition& partition : topic.partitions) {
    if (partition.is_target_ready) ready.insert(partition.partition);
  }
  int count = 0;
  while (ready.contains(count)) ++count;
  return count;
}

Condition Changed(Side side, BridgeId bridge, const std::string& was, const std::string& is) {
  return {
      .side = side,
      .reason = Reason::kSourceChanged,
      .text = fmt::format("cluster {} answers where cluster {} was before: correct the endpoint's "
                          "addresses, or delete the bridge and make it again for the new cluster",
                          is, was),
      .bridge = bridge,
      .stream = std::nullopt,
      .partition = std::nullopt,
      .topic = {},
      .age = std::nullopt,
      .blocks = true};
}

// Notes what the first survey that names topics has named. A server that was started again has not
// heard it: what is not stored by then counts as later, and no record of it is left out.
void NameFirst(SurveyState& state, const SurveyResult& survey, const StoredBridge& bridge,
               const DesiredState& stored) {
  if (bridge.is_start_resolved) state.named_first.clear();
  const bool has_streams = std::ranges::any_of(
      stored.streams, [&](const StoredStream& stream) { return stream.bridge == bridge.id; });
  if (bridge.is_start_resolved || has_streams || !state.named_first.empty()) return;
  for (const SurveyedTopic& topic : survey.topics) {
    for (const SurveyedPartition& partition : topic.partitions) {
      state.named_first.emplace(topic.topic, partition.partition);
    }
  }
}

}  // namespace

void SurveyState::Take(const SurveyResult& survey, const std::optional<Condition>& change,
                       BootTime now, WallTime wall_now) {
  received_at = now;
  conditions = survey.conditions;
  is_blocked = change.has_value();
  if (change) {
    conditions.push_back(*change);
    return;
  }
  if (!survey.is_complete) return;
  succeeded_at = wall_now;
  generation = survey.generation;
  topics.emplace();
  for (const SurveyedTopic& topic : survey.topics) topics->insert(topic.topic);
}

bool SurveyState::Blocks(const std::string& topic) const {
  return std::ranges::any_of(conditions, [&](const Condition& condition) {
    return condition.blocks && (condition.topic.empty() || condition.topic == topic);
  });
}

bool SurveyState::Stops(const std::string& topic) const {
  return is_blocked || std::ranges::any_of(conditions, [&](const Condition& condition) {
           return condition.blocks && condition.topic == topic;
         });
}

bool SurveyState::Misses(const std::string& topic, int64_t generation_now) const {
  if (!topics || generation != generation_now || topics->contains(topic)) return false;
  return std::ranges::none_of(conditions, [&](const Condition& condition) {
    return condition.topic == topic || (condition.topic.empty() && condition.blocks);
  });
}

void ChooseSurveyors(const std::vector<StoredBridge>& bridges,
                     const std::vector<Candidate>& candidates,
                     std::map<BridgeId, SurveyState>& surveys) {
  std::map<RelayName, int> counts;
  for (const auto& [bridge, survey] : surveys) {
    if (survey.surveyor) ++counts[*survey.surveyor];
  }
  for (const StoredBridge& bridge : bridges) {
    SurveyState& survey = surveys[bridge.id];
    const auto may_survey = [&](const Candidate& candidate) {
      return candidate.can_take && MayRun(candidate.labels, bridge.spec.placement);
    };
    const bool can_stay =
        survey.surveyor && std::ranges::any_of(candidates, [&](const auto& other) {
          return other.name == *survey.surveyor && may_survey(other);
        });
    if (can_stay) continue;
    if (survey.surveyor) --counts[*std::exchange(survey.surveyor, std::nullopt)];
    for (const Candidate& candidate : candidates) {
      if (!may_survey(candidate)) continue;
      if (!survey.surveyor || counts[candidate.name] < counts[*survey.surveyor]) {
        survey.surveyor = candidate.name;
      }
    }
    if (survey.surveyor) ++counts[*survey.surveyor];
  }
}

std::vector<Condition> TopicChanges(const SurveyResult& survey, const DesiredState& stored,
                                    SurveyState& state) {
  std::vector<Condition> changes;
  for (const StoredStream& stream : stored.streams) {
    if (stream.bridge != survey.bridge) continue;
    const auto topic = std::ranges::find(survey.topics, stream.topic, &SurveyedTopic::topic);
    const bool is_told = topic != survey.topics.end() && !topic->topic_id.empty();
    if (is_told && !stream.topic_id.empty()) {
      if (topic->topic_id == stream.topic_id) {
        state.made_anew.erase(stream.id);
      } else {
        state.made_anew.insert(stream.id);
      }
    }
    if (!stream.is_selected || !state.made_anew.contains(stream.id)) continue;
    changes.push_back(
        {.side = Side::kSource,
         .reason = Reason::kSourceChanged,
         .text = fmt::format("the topic {} was deleted and made anew: take it out of this bridge "
                             "and give it one of its own, which carries it from its beginning",
                             stream.topic),
         .bridge = survey.bridge,
         .stream = stream.id,
         .partition = std::nullopt,
         .topic = stream.topic,
         .age = std::nullopt,
         .blocks = true});
  }
  return changes;
}

std::vector<StreamId> StreamsWithoutTopic(const SurveyResult& survey, const StoredBridge& bridge,
                                          const DesiredState& stored, const SurveyState& state) {
  std::vector<StreamId> without;
  for (const StoredStream& stream : stored.streams) {
    if (stream.bridge != bridge.id || !stream.is_selected) continue;
    const bool is_not_found = std::ranges::any_of(survey.conditions, [&](const Condition& one) {
      return one.side == Side::kSource && one.reason == Reason::kTopicNotFound &&
             one.topic == stream.topic;
    });
    if (is_not_found || state.Misses(stream.topic, bridge.generation)) without.push_back(stream.id);
  }
  return without;
}

std::optional<Condition> ClusterChange(const SurveyResult& survey, const StoredBridge& bridge) {
  const auto differs = [](const std::string& was, const std::string& is) {
    return !was.empty() && !is.empty() && was != is;
  };
  if (differs(bridge.source_cluster_id, survey.source_cluster_id)) {
    return Changed(Side::kSource, bridge.id, bridge.source_cluster_id, survey.source_cluster_id);
  }
  if (differs(bridge.target_cluster_id, survey.target_cluster_id)) {
    return Changed(Side::kTarget, bridge.id, bridge.target_cluster_id, survey.target_cluster_id);
  }
  return std::nullopt;
}

std::optional<Learnt> LearnFrom(const SurveyResult& survey, const StoredBridge& bridge,
                                const DesiredState& stored, SurveyState& state) {
  NameFirst(state, survey, bridge, stored);
  Learnt learnt{.bridge = bridge.id,
                .source_cluster_id = survey.source_cluster_id,
                .target_cluster_id = survey.target_cluster_id,
                .resolves_start = survey.is_complete,
                .streams = {}};
  bool has_news = (bridge.source_cluster_id.empty() && !survey.source_cluster_id.empty()) ||
                  (bridge.target_cluster_id.empty() && !survey.target_cluster_id.empty());
  for (const SurveyedTopic& topic : survey.topics) {
    const auto stream = std::ranges::find_if(stored.streams, [&](const StoredStream& other) {
      return other.bridge == bridge.id && other.topic == topic.topic;
    });
    LearntStream found{.topic = topic.topic,
                       .target_topic = topic.target_topic,
                       .target_partitions = ReadyPartitions(topic),
                       .new_partitions = {},
                       .topic_id = topic.topic_id};
    std::set<PartitionNumber> known;
    if (stream != stored.streams.end()) {
      for (const StoredPartition& partition : stored.partitions) {
        if (partition.key.stream == stream->id) known.insert(partition.key.partition);
      }
    }
    for (const SurveyedPartition& partition : topic.partitions) {
      if (known.contains(partition.partition)) continue;
      const std::optional<Offset> start =
          state.named_first.contains({topic.topic, partition.partition}) ? partition.start
                                                                         : partition.log_start;
      if (start) {
        found.new_partitions.emplace_back(partition.partition, *start);
      } else {
        learnt.resolves_start = false;
      }
    }
    const bool has_new_id =
        stream != stored.streams.end() && stream->topic_id.empty() && !found.topic_id.empty();
    const bool is_new = stream == stored.streams.end() || !found.new_partitions.empty() ||
                        has_new_id || stream->target_partitions != found.target_partitions ||
                        stream->target_topic != found.target_topic;
    if (!is_new) continue;
    has_news = true;
    learnt.streams.push_back(std::move(found));
  }
  if (learnt.resolves_start && !bridge.is_start_resolved) has_news = true;
  if (!has_news) return std::nullopt;
  return learnt;
}

}  // namespace drawbridge
