#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// Tells when a producer should be made anew because confirmations that it should have do not come:
//
// - none at all for minutes: it may know addresses only that nobody answers at any more;
// - none of one partition of which the library says that nobody leads it: librdkafka 2.4 and newer
//   can take a leader that is away for a moment for one that is away for ever (its issue 5430). It
//   may also be true, and a new client would not help: it is tried at longer and longer intervals.
//
// A partition that has a leader is waited for: it is slow, or its cluster is. Counts what is in
// flight on the way. Runs on the lane's thread.
class ConfirmationWatch {
 public:
  void Sent(Slot slot, BootTime now);
  // A record has come back.
  void Confirmed(Slot slot, BootTime now);
  void Failed(Slot slot);
  // Whether the library knows who leads the slot's partition; as it does until it says otherwise.
  void Led(Slot slot, bool is_led, BootTime now);
  // The slot is another partition's from now on.
  void Reset(Slot slot);

  int64_t in_flight() const { return in_flight_; }
  // Those of partitions that wait in vain: to wait for more than the others is in vain too.
  int64_t stuck(BootTime now) const;

  // Why to make the producer anew; nullopt: it may stay. Looks at the partitions once a second.
  std::optional<std::string_view> Verdict(BootTime now);
  // The producer is given up: what is in flight fails.
  void GivenUp(BootTime now);

 private:
  struct Waiting {
    int64_t in_flight = 0;
    std::optional<BootTime> unled_since = std::nullopt;
    Duration patience;  // with the present producer
  };

  Waiting& At(Slot slot);
  bool IsStuck(const Waiting& waiting, BootTime now) const;

  std::vector<Waiting> slots_;
  int64_t in_flight_ = 0;
  BootTime since_{};  // the last confirmation of all, or when the first record was sent
  BootTime looks_at_{};
};

}  // namespace drawbridge
