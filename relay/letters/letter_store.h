#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "model/dead_letter.h"
#include "relay/letters/letter.h"

namespace drawbridge {

enum class LetterOrder { kRefusedFirst, kRefusedLast };

// Letters as they were found.
struct FoundLetters {
  std::vector<Letter> letters;
  std::vector<std::string> unreadable;  // ids of what is no letter of ours
  int64_t total = 0;                    // of the selection, with those that are not here
};

// What became of letters that were sent again.
struct LetterOutcomes {
  std::vector<Letter> taken = {};            // the target has their records
  std::vector<Letter> refused = {};          // with the refusal of today
  std::vector<std::string> unreadable = {};  // they stay as they are

  size_t size() const { return taken.size() + refused.size() + unreadable.size(); }
};

// How much of that was noted. Where it could not be, the status says why.
struct FiledLetters {
  std::vector<size_t> taken;  // which of those that were taken are letters no more
  int64_t refused = 0;
  Status status;
};

// Where the dead letters of one bridge are, for whoever reads them or sends them again: the sink
// that keeps them writes them by itself. Waits, at most until the deadline that each call is given.
// Runs on one thread.
class LetterStore {
 public:
  // What is read at once, as the records came.
  static constexpr int64_t kBytesMost = int64_t{8} << 20;

  virtual ~LetterStore() = default;

  // At most `limit` letters of the selection and about kBytesMost, but one at least. With a turn,
  // those that File was told in this turn are left out.
  virtual StatusOr<FoundLetters> Find(const DeadLetterSelection& selection, const std::string& turn,
                                      LetterOrder order, int limit, BootTime deadline) = 0;

  // Notes what became of them, so that the next Find knows.
  virtual FiledLetters File(const LetterOutcomes& outcomes, const std::string& turn,
                            BootTime deadline) = 0;

  // What names the turn from here on, so that the next call goes on where this one has come to.
  virtual std::string Continue(const std::string& turn) const { return turn; }

  // Whether an engine's index of this name is what they are kept in.
  virtual bool IsIndex(const std::string& name) const = 0;
};

}  // namespace drawbridge
