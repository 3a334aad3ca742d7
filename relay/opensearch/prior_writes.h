#pragma once

#include <cstddef>
#include <optional>

#include "base/clock.h"
#include "model/offset.h"

namespace drawbridge {

// Which records of one partition the engine may have already: those that were sent before the
// partition was opened again, and those that a relay before this one may have had on their way.
// Nothing tells how far that one came, but for its window: beyond the last record that it has
// written lies at least as much as that of what it has not. A value.
class PriorWrites {
 public:
  // `window_bytes` is what a lane sends without a confirmation.
  explicit PriorWrites(size_t window_bytes = 0) : window_bytes_(window_bytes) {}

  // The partition is opened: anybody may have written it until now.
  void Suspect();

  // Whether the record may be there, which is about to be sent.
  bool MayHave(Offset offset, BootTime now);

  // Records below `end` have been sent from here.
  void Sent(Offset end);

  // A record that might have been there was.
  void WasThere();
  // One of so many bytes was not.
  void WasMissing(size_t bytes, BootTime now);

 private:
  size_t window_bytes_;
  Offset sent_to_;
  size_t unproven_bytes_ = 0;  // while it is not 0, a relay before may have written what comes
  // Set by the first answer: until then nothing was looked for.
  std::optional<BootTime> unproven_until_;
  // Since when a record under suspicion waits for its answer, or its neighbour.
  std::optional<BootTime> waiting_since_;
};

}  // namespace drawbridge
