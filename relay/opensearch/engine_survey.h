#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "model/assignment.h"
#include "model/index_template.h"
#include "relay/opensearch/engine_view.h"
#include "relay/opensearch/index_view.h"
#include "relay/pipeline/survey.h"

namespace drawbridge {

// Surveys a bridge whose target is a search engine: the source as another survey sees it, and the
// engine beside it. An engine has no partitions; those of the source count as there when it can be
// reached, and what keeps its dead letters is made. Runs on one thread.
class EngineSurvey final : public Survey {
 public:
  // Makes what keeps dead letters, if it is missing; why they cannot be kept there. Waits for so
  // long at most.
  using MakeLetters = std::function<Status(Duration patience)>;

  // Without `make_letters` they have an index of the engine.
  static StatusOr<std::unique_ptr<EngineSurvey>> Open(BridgeAssignment bridge, SearchEngine engine,
                                                      std::unique_ptr<Survey> source,
                                                      const Clock& clock,
                                                      MakeLetters make_letters = {});

  SurveyResult Look(const std::stop_token& stop) override;

 private:
  EngineSurvey(BridgeAssignment bridge, IndexTemplate index, std::unique_ptr<EngineView> engine,
               std::unique_ptr<Survey> source, const Clock& clock, MakeLetters make_letters);

  bool Reach(SurveyResult& result);
  // Makes the index for dead letters. Refuses one whose pipelines do not keep them.
  Status MakeLetterIndex(Duration patience);
  // Before the engine locks its indexes for it.
  void CheckDisks();
  // What is known against the indexes that a topic goes to.
  struct Checked {
    std::vector<IndexView::Problem> problems;
    BootTime at{};

    bool blocks() const;
  };

  // Asks the engine about the indexes of the topics, for some seconds at most: those first that it
  // was never asked about, or longest ago.
  void CheckIndexes(const std::vector<SurveyedTopic>& topics, const std::stop_token& stop);
  void CheckIndex(const std::string& topic);
  // Whether the indexes that a topic goes to keep the promises, as far as was asked; while the
  // engine is away, what was known before.
  bool MayRun(const std::string& topic) const;
  void NoteProblems(SurveyResult& result, const std::string& topic) const;
  Checked ProblemsOf(const std::string& topic, bool& is_seen);
  void Note(SurveyResult& result, const Status& status, bool blocks,
            const std::string& topic = {}) const;

  const BridgeAssignment bridge_;
  const IndexTemplate index_;
  const std::unique_ptr<EngineView> engine_;
  const std::unique_ptr<Survey> source_;
  const Clock& clock_;
  const MakeLetters make_letters_;
  std::map<std::string, Checked> checked_;  // by topic
  Status disks_;
  std::optional<BootTime> disks_at_;
  Status letters_;  // what is known against their index
  std::optional<BootTime> letters_at_;
};

}  // namespace drawbridge
