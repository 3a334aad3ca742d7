#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "relay/letters/letter_store.h"
#include "relay/opensearch/engine_view.h"

namespace drawbridge {

// Dead letters in an index of the engine that refused them. The view and the clock outlive it.
class IndexLetterStore final : public LetterStore {
 public:
  IndexLetterStore(EngineView& engine, std::string index, std::string bridge, const Clock& clock);

  StatusOr<FoundLetters> Find(const DeadLetterSelection& selection, const std::string& turn,
                              LetterOrder order, int limit, BootTime deadline) override;
  FiledLetters File(const LetterOutcomes& outcomes, const std::string& turn,
                    BootTime deadline) override;
  bool IsIndex(const std::string& name) const override { return name == index_; }

 private:
  // A letter that was found, and not read yet.
  struct Hit {
    std::string id;
    int64_t bytes = 0;
    WallTime first_refused{};
    WallTime last_refused{};
  };

  Duration Left(BootTime deadline) const;
  StatusOr<std::vector<Hit>> Search(const DeadLetterSelection& selection, const std::string& turn,
                                    LetterOrder order, int limit, BootTime deadline,
                                    int64_t& total);
  std::string FilingOf(const LetterOutcomes& outcomes, const std::string& turn,
                       std::vector<std::string>& ids) const;
  Status Fetch(const std::vector<Hit>& hits, BootTime deadline, FoundLetters& found);

  EngineView& engine_;
  const std::string index_;
  const std::string bridge_;
  const Clock& clock_;
  bool is_refreshed_ = false;
};

}  // namespace drawbridge
