#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/clock.h"
#include "base/status.h"
#include "model/index_template.h"
#include "relay/opensearch/engine_view.h"

namespace drawbridge {

// Looks at the indexes that a topic's records go to, for what breaks the promises: at the one of
// this hour or the template that would make it, and at those of other times that are there, since
// what is replayed goes to them. Of what we may not look at nothing is known.
//
// Waits for the engine; runs on one thread. The view and the clock outlive it.
class IndexView {
 public:
  IndexView(EngineView& engine, const Clock& clock) : engine_(engine), clock_(clock) {}

  // Something of an index that breaks the promises, and what to do about it.
  struct Problem {
    Status status;
    bool blocks = false;  // records would be there twice, or cannot be written at all
  };
  struct Findings {
    std::vector<Problem> problems;  // the worst first
    bool is_seen = true;            // else not all could be looked at, which is one of them
  };
  // All that is looked at of the indexes that a topic goes to.
  Findings Check(const IndexTemplate& index, const std::string& topic, Duration patience);

  // What pipelines do to the promises.
  struct PipelineVerdict {
    Status keeps_ids;  // else a record that is sent again would be there twice
    Status keeps_all;  // else records are thrown away that count as delivered
    Status is_seen;    // else not all of them could be looked at
  };
  // Takes `patience` at most.
  PipelineVerdict CheckPipelines(const IndexTemplate& index, const std::string& topic,
                                 Duration patience);
  // Whether the engine confirms documents only when they are on its disk; kFailedPrecondition, with
  // what to do, where it does not.
  Status CheckDurability(const IndexTemplate& index, const std::string& topic, Duration patience);

 private:
  // A setting by the name of the index; where one says nothing it is left out.
  using Settings = std::map<std::string, std::string>;

  // One of the settings that the topic's indexes have, or would be made with.
  StatusOr<Settings> SettingOf(const IndexTemplate& index, const std::string& topic,
                               const std::string& name, Duration patience);
  // The same of one index; empty: the engine's default.
  StatusOr<std::string> Setting(const std::string& index, const std::string& name,
                                Duration patience);
  // Which of these indexes behind an alias or a data stream takes what is written.
  StatusOr<std::string> WriteIndex(const nlohmann::json& indexes, const std::string& name,
                                   Duration patience);
  // The setting as the legacy templates (`_template`) have it.
  StatusOr<std::string> LegacySetting(const std::string& index, const std::string& key,
                                      Duration patience);

  EngineView& engine_;
  const Clock& clock_;
};

}  // namespace drawbridge
