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
#include "relay/opensearch/bulk_answer.h"
#include "relay/opensearch/document.h"
#include "relay/opensearch/engine_view.h"

namespace drawbridge {

// The dead letters of one bridge, in the index where its sink keeps them: reads them, and sends
// them to the bridge's index again, as the sink would and under the same ids. A letter leaves the
// index only when the engine has its record, so that nothing is lost wherever this ends.
//
// Waits for the engine, at most until the deadline that each call is given. Runs on one thread; the
// clock outlives it.
class DeadLetterBox {
 public:
  // `relay` is told in each document.
  static StatusOr<std::unique_ptr<DeadLetterBox>> Open(SearchEngine engine, BridgeSpec bridge,
                                                       std::string relay, const Clock& clock);

  // The last that were refused; fewer than `limit` where they are large.
  StatusOr<DeadLetterPage> Read(const DeadLetterSelection& selection, int limit, BootTime deadline);

  // Sends again, those refused first first, until all are done or half of the time has passed. An
  // empty `turn` begins one: see RetriedDeadLetters. What the engine does not take at present for
  // itself (a full disk, too many requests) is left as it is, and the status says why once there is
  // nothing else to tell; what it does not take for one index, as a closed one, counts as refused.
  StatusOr<RetriedDeadLetters> Retry(const DeadLetterSelection& selection, std::string turn,
                                     BootTime deadline);

 private:
  // A letter in the index.
  struct Found {
    std::string id;
    int64_t bytes = 0;
    WallTime first_refused{};
    WallTime last_refused{};
  };
  struct Hits {
    std::vector<Found> found;
    int64_t total = 0;
  };
  struct Letter {
    Found found;
    KeptRecord kept;
  };
  struct Fetched {
    std::vector<Letter> letters;
    std::vector<std::string> unreadable;  // ids of what is no letter of ours
  };
  // What is done with the letters of one round.
  struct Round {
    std::vector<Letter> taken;
    std::vector<Letter> refused;          // with the refusal of today
    std::vector<std::string> unreadable;  // they stay as they are
    Status halt;                          // why the others were left as they are
  };
  // How many letters were taken, by topic, partition and what they were refused for.
  using Groups = std::map<std::tuple<std::string, PartitionNumber, std::string>, int64_t>;

  DeadLetterBox(std::unique_ptr<EngineView> engine, BridgeSpec bridge, IndexTemplate index,
                std::string relay, const Clock& clock);

  Duration Left(BootTime deadline) const;
  StatusOr<Hits> Find(const DeadLetterSelection& selection, const std::string& turn,
                      bool newest_first, int limit, BootTime deadline);
  StatusOr<Fetched> Fetch(const std::vector<Found>& found, BootTime deadline);
  Status TakePresent(std::vector<Letter>& letters, Round& round, BootTime deadline);
  StatusOr<Round> Send(std::vector<Letter> letters, BootTime deadline);
  StatusOr<std::vector<BulkItem>> Bulk(const std::string& path, const std::string& body,
                                       size_t count, BootTime deadline, HttpAnswer& answer);
  Status File(const Round& round, const std::string& turn, BootTime deadline, Groups& groups,
              RetriedDeadLetters& done);

  const std::unique_ptr<EngineView> engine_;
  const BridgeSpec bridge_;
  const IndexTemplate index_;
  const std::string letters_;  // the index that holds them
  const Clock& clock_;
  DocumentShaper shaper_;
  int round_letters_max_;
};

}  // namespace drawbridge
