#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "model/dead_letter.h"
#include "model/definition.h"
#include "model/index_template.h"
#include "relay/letters/letter_store.h"
#include "relay/opensearch/bulk_answer.h"
#include "relay/opensearch/document.h"
#include "relay/opensearch/engine_view.h"

namespace drawbridge {

// The dead letters of one bridge to an engine: reads them where its sink keeps them, and sends them
// to the bridge's index again, as the sink would and under the same ids. A letter is one until the
// engine has its record, so that nothing is lost wherever this ends.
//
// Waits for the engine, at most until the deadline that each call is given. Runs on one thread; the
// clock outlives it.
class DeadLetterBox {
 public:
  // Asks no other cluster than the one that is meant; empty: any. `relay` is told in each document.
  // Without `letters` they are in the bridge's index of them.
  static StatusOr<std::unique_ptr<DeadLetterBox>> Open(
      SearchEngine engine, std::string cluster_id, const BridgeSpec& bridge, std::string relay,
      const Clock& clock, std::unique_ptr<LetterStore> letters = nullptr);

  // The last that were refused; fewer than `limit` where they are large.
  StatusOr<DeadLetterPage> Read(const DeadLetterSelection& selection, int limit, BootTime deadline);

  // Sends again, those refused first first, until all are done or half of the time has passed. An
  // empty `turn` begins one: see RetriedDeadLetters. What the engine does not take at present for
  // itself (a full disk, too many requests) is left as it is, and the status says why once there is
  // nothing else to tell; what it does not take for one index, as a closed one, counts as refused.
  StatusOr<RetriedDeadLetters> Retry(const DeadLetterSelection& selection, std::string turn,
                                     BootTime deadline);

 private:
  // What is done with the letters of one round.
  struct Round {
    LetterOutcomes outcomes;
    Status halt;  // why the others were left as they are
  };
  // How many letters were taken, by topic, partition and what they were refused for.
  using Groups = std::map<std::tuple<std::string, PartitionNumber, std::string>, int64_t>;

  DeadLetterBox(std::unique_ptr<EngineView> engine, IndexTemplate index,
                std::unique_ptr<LetterStore> letters, std::string task_prefix, std::string relay,
                const Clock& clock);

  Duration Left(BootTime deadline) const;
  Status TakePresent(std::vector<Letter>& letters, LetterOutcomes& outcomes, BootTime deadline);
  Status Frame(std::vector<Letter>& letters, LetterOutcomes& outcomes, std::string& body);
  void Judge(Letter letter, const BulkItem& item, ItemOutcome outcome, Round& round) const;
  StatusOr<Round> Send(std::vector<Letter> letters, BootTime deadline);

  const std::unique_ptr<EngineView> engine_;
  const IndexTemplate index_;
  const std::unique_ptr<LetterStore> letters_;
  const std::string task_prefix_;  // of retries of the bridge
  const Clock& clock_;
  DocumentShaper shaper_;
  int round_letters_max_;
};

}  // namespace drawbridge
