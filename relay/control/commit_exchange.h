#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "drawbridge/v1/relay.pb.h"
#include "model/checkpoint.h"
#include "relay/supervisor/supervisor.h"

namespace drawbridge {

// What a relay commits, and what became of it: one batch is on its way at a time, and a partition
// that was given back is told as released only when the result of its last commit is final, since
// its next owner begins where the server says.
//
// Knows no connection. Not thread-safe.
class CommitExchange {
 public:
  // What the server has stored is learnt anew in each session. Nothing is awaited any more; what
  // was given back waits to be committed again.
  void EndSession();
  // Forgets what was given back and never told: the server hears of it as held.
  void BeginSession();

  // Something shall be committed at once.
  void Hurry() { is_urgent_ = true; }
  void GiveBack(GivenBack given_back);

  // What was given back, and what of `news` the server has not stored, as far as it fits into a
  // message; the rest goes with the next. nullopt: a batch is awaited, or there is nothing to say.
  std::optional<v1::Commit> Next(std::vector<PartitionNews> news, BootTime now);

  // Takes the answer to the awaited batch; returns what the server has stored. An answer to another
  // batch, or of what was not sent, changes nothing: a gap could be forgotten that never was
  // stored. One that cannot be read lets the batch go again.
  std::vector<CommitResult> Take(int64_t batch, const StatusOr<std::vector<CommitResult>>& results);

  // Partitions whose last commit has its final result, each once.
  std::vector<GivenBack> TakeReleased();

  bool is_due_at_once() const { return is_urgent_ && awaited_batch_ == 0; }
  bool has_released() const { return !released_.empty(); }
  // Whether all that was given back is stored and told, and no batch is awaited.
  bool is_all_said() const;

 private:
  using CommitId = std::tuple<PartitionKey, FencingToken, Offset>;

  // What the server has stored of a partition, as it said.
  struct Acknowledged {
    FencingToken token;
    Offset next;
    bool is_refused = false;  // the token is stale: nothing more is sent under it
  };

  bool IsNewsToTheServer(const PartitionNews& news) const;
  bool Note(const CommitResult& result);
  void CommitAgain();

  bool is_urgent_ = false;
  // On its way from here to the server: to be committed, in the awaited batch, to be told.
  std::deque<GivenBack> given_back_;
  std::vector<GivenBack> committing_;
  std::vector<GivenBack> released_;
  std::map<PartitionKey, Acknowledged> acknowledged_;
  int64_t last_batch_ = 0;
  int64_t awaited_batch_ = 0;
  std::set<CommitId> awaited_items_;
  BootTime sent_at_{};
  PartitionKey committed_last_;  // the next batch begins behind it: each has its turn
};

}  // namespace drawbridge
