#pragma once

#include <cstdint>
#include <deque>
#include <set>

#include "base/clock.h"
#include "model/offset.h"

namespace drawbridge {

// How many of a partition's records may become dead letters: a share of those of the last hour,
// where the bridge sets one. Many refusals of many kinds are no storm, and yet more than a few bad
// records. The first twenty of an hour are always few. Runs on the lane's thread only.
class LetterBudget {
 public:
  // `percent` of the records; 0: as many as there are.
  explicit LetterBudget(int percent = 0) : percent_(percent) {}

  // A record, whatever becomes of it. One that is read again counts once.
  void AddRecord(Offset offset, BootTime now);
  // A letter is written, which counts from here on; and what became of it. One of a record that has
  // one already does not count again.
  void Begin() { ++begun_; }
  void Keep(Offset offset, BootTime now);
  void GiveBack() { --begun_; }
  // Nobody says any more what becomes of those that were begun: their records are read again.
  void ForgetBegun() { begun_ = 0; }
  bool has_begun() const { return begun_ > 0; }
  // Whether a letter of this record would be one too many.
  bool IsSpent(Offset offset, BootTime now);

 private:
  struct Minute {
    BootTime since;
    int64_t records = 0;
    int64_t letters = 0;
  };

  void Forget(BootTime now);
  Minute& At(BootTime now);

  int percent_;
  std::deque<Minute> hour_;
  Offset counted_to_{};
  int64_t records_ = 0;
  int64_t letters_ = 0;
  int64_t begun_ = 0;
  std::set<Offset> kept_;  // the newest: those before are below any checkpoint
};

}  // namespace drawbridge
