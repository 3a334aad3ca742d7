#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/observation.h"
#include "server/control/assigner.h"
#include "server/store/rows.h"
#include "server/store/stream_store.h"

namespace drawbridge {

// What is known from the newest survey of a bridge.
struct SurveyState {
  std::optional<RelayName> surveyor;
  std::optional<BootTime> received_at;
  std::optional<WallTime> succeeded_at;
  std::vector<Condition> conditions;
  // The topics that the last complete one has found, of this generation of the bridge; unset: there
  // was none.
  std::optional<std::set<std::string>> topics;
  int64_t generation = 0;
  // Whether the bridge as a whole must not run (another cluster answers).
  bool is_blocked = false;
  // Topics and partitions of the first survey that named any: what is named later appeared later.
  // Empty once the start is resolved.
  std::set<std::pair<std::string, PartitionNumber>> named_first;
  // Streams whose topic was seen with another id than theirs, and not with theirs since.
  std::set<StreamId> made_anew;

  // A survey of the bridge has come. `change`: of the cluster; what else it says is then not about
  // this bridge.
  void Take(const SurveyResult& survey, const std::optional<Condition>& change, BootTime now,
            WallTime wall_now);

  // Whether the topic must not start.
  bool Blocks(const std::string& topic) const;
  // Whether it must not go on either: for what was found about this topic. One end that a survey
  // does not reach stops nothing.
  bool Stops(const std::string& topic) const;
  // Whether a survey of this generation has not found the topic, and has not said why.
  bool Misses(const std::string& topic, int64_t generation_now) const;
};

// Gives each bridge a relay that looks at its clusters: one that may run it and is connected, the
// least busy one; it keeps the one that it has while that may stay. `surveys` gets an entry of
// each.
void ChooseSurveyors(const std::vector<StoredBridge>& bridges,
                     const std::vector<Candidate>& candidates,
                     std::map<BridgeId, SurveyState>& surveys);

// Turns a survey into what is to be stored: which streams and partitions are new, and where they
// start. A start is resolved once: a partition that is stored keeps its checkpoint, and what
// appears after the first survey that named topics starts at its earliest record, so that nothing
// between is lost. nullopt: the survey says nothing new. Changes nothing but state.named_first.
std::optional<Learnt> LearnFrom(const SurveyResult& survey, const StoredBridge& bridge,
                                const DesiredState& stored, SurveyState& state);

// Topics that were deleted and made anew since their streams began: what is stored of those is
// about records that are gone, so that they must not go on. So it stays while a survey cannot tell.
// Changes nothing but state.made_anew.
std::vector<Condition> TopicChanges(const SurveyResult& survey, const DesiredState& stored,
                                    SurveyState& state);

// Streams of the bridge whose topic the survey has not found: another one may come in its place.
std::vector<StreamId> StreamsWithoutTopic(const SurveyResult& survey, const StoredBridge& bridge,
                                          const DesiredState& stored, const SurveyState& state);

// A source or target that is not the cluster that the bridge was made for; nullopt: it is.
std::optional<Condition> ClusterChange(const SurveyResult& survey, const StoredBridge& bridge);

}  // namespace drawbridge
