#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/index_template.h"
#include "relay/letters/letter.h"
#include "relay/opensearch/presence_check.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// Where records of a partition go.
struct Destination {
  Route route;
  IndexTemplate index;

  std::string IndexOf(const Record& record) const {
    return index.Apply(route.source_topic, record.timestamp_ms);
  }
};

// A record between Submit and its confirmation. It keeps its own destination: its slot may be
// another partition's by the time it is sent again.
struct Pending {
  Slot slot = 0;
  std::shared_ptr<const Destination> to;
  uint32_t window = 0;
  OffsetRange covered;
  Record record;
  int attempts = 0;
  bool may_be_there = false;  // it may have been written before
  // Since when the engine has failed at it, which says that it may pass.
  std::optional<BootTime> failing_since = std::nullopt;
  WallTime first_seen{};
  std::optional<Refusal> refusal;  // set: it shall be a dead letter
  bool is_in_budget = false;       // it counts among those of its partition
  std::string index;               // where it was refused

  // What its dead letter says of where and when; `bridge` by its name.
  RefusedAt At(const std::string& bridge, WallTime now) const {
    return {.bridge = bridge,
            .index = index,
            .attempts = attempts,
            .first_seen = first_seen,
            .last_seen = now};
  }
};

// What is sent in one request.
struct Bulk {
  std::vector<Pending> entries;
  size_t bytes = 0;         // about, before compression
  BootTime due{};           // when it may be sent
  BootTime since{};         // of its first record
  bool is_dead = false;     // all of them dead letters
  bool is_checked = false;  // those that were there are out of it
  // Of a blocked partition, or of what the engine fails at: it is on its way beside all others,
  // which do not wait for it.
  bool is_probe = false;
  // Since when it has been refused as a whole.
  std::optional<BootTime> failing_since = std::nullopt;
  // When it failed last though others passed.
  std::optional<BootTime> blamed_at = std::nullopt;
  // Its only record has failed by itself while others passed.
  bool has_failed_alone = false;
  // What is asked before it is sent, as far as it has come.
  std::optional<PresenceCheck> check = std::nullopt;

  // Things may have changed by the time it is sent again: what is there is looked for from the
  // start.
  void Doubt() {
    is_checked = false;
    check.reset();
  }
  // It may have been carried out, or some of it.
  void MayBeThere() {
    for (Pending& entry : entries) entry.may_be_there = true;
    Doubt();
  }
};

// Moves those that `is_wanted` behind `to`, in their order.
template <typename Entries, typename Predicate>
void ExtractIf(Entries& from, const Predicate& is_wanted, std::vector<Pending>& to) {
  const auto wanted = std::stable_partition(
      from.begin(), from.end(), [&](const Pending& entry) { return !is_wanted(entry); });
  to.insert(to.end(), std::make_move_iterator(wanted), std::make_move_iterator(from.end()));
  from.erase(wanted, from.end());
}

}  // namespace drawbridge
