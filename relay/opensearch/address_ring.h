#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/status.h"

namespace drawbridge {

// Whose turn it is among the addresses of an engine. One that does not answer is left alone, longer
// and longer, while others answer; when none does, each is tried every few seconds. Not
// thread-safe.
class AddressRing {
 public:
  explicit AddressRing(size_t addresses) : addresses_(addresses) {}

  // The next one that may be asked: nullopt when none may at present.
  std::optional<size_t> Choose(BootTime now);
  // When one may be asked, though it may not answer.
  BootTime MayBeAsked() const;

  // It answers, whatever it was asked.
  void Answered(size_t address);
  // What was sent to it at that time was not answered: it is left alone, three times as long as it
  // kept us waiting at least, and longer each time.
  void StayedAway(size_t address, Status why, BootTime sent_at, BootTime now);

  // Of those that are left alone at present, or were a moment ago and have not been asked since:
  // why the one was that has been away longest, and since when.
  struct Away {
    Status why;
    BootTime since{};
  };
  std::optional<Away> LongestAway(BootTime now) const;

 private:
  struct Address {
    std::optional<Away> away;
    BootTime down_until{};
    BootTime tried_at{};
    Backoff backoff{std::chrono::milliseconds(500), std::chrono::hours(1)};

    BootTime MayBeTried() const { return std::min(down_until, tried_at + std::chrono::seconds(5)); }
  };

  std::vector<Address> addresses_;
  size_t next_ = 0;
};

}  // namespace drawbridge
