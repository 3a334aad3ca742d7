#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/ids.h"
#include "model/offset.h"

// Records that a target refused for good, one by one: their counts are in checkpoint.h.

namespace drawbridge {

// Which dead letters of a bridge; what is empty means any.
struct DeadLetterSelection {
  std::string topic;
  std::string error;  // as in DeadLetters
};

// A record as the dead letters hold it. Large values are cut, and of many headers none is told.
struct DeadLetterRecord {
  std::string topic;
  PartitionNumber partition = 0;
  Offset offset;
  int source_epoch = 1;
  int64_t timestamp_ms = -1;  // -1: the record has none
  std::optional<std::string> key = std::nullopt;
  std::optional<std::string> value = std::nullopt;  // the beginning of it
  int64_t value_bytes = 0;                          // of all of it
  std::vector<std::pair<std::string, std::optional<std::string>>> headers = {};
  std::string error;  // as in DeadLetters: what it was refused for first
  int status = 0;     // that the engine answered last; 0: it was not asked
  std::string reason;
  std::string index;
  int attempts = 0;
  WallTime first_refused{};
  WallTime last_refused{};
};

// What a relay answers that was asked for dead letters, those refused last first.
struct DeadLetterPage {
  std::vector<DeadLetterRecord> letters;
  int64_t total = 0;  // of the selection
};

// Dead letters of one partition and error that the target has taken after all.
struct RetriedGroup {
  std::string topic;
  PartitionNumber partition = 0;
  std::string error;
  int64_t records = 0;
};

// What has become of dead letters that were sent again.
struct RetriedDeadLetters {
  std::vector<RetriedGroup> groups;
  int64_t refused = 0;  // again
  int64_t left = 0;     // still to be tried in this turn
  std::string turn;     // what is refused again in it is not tried in it once more
};

}  // namespace drawbridge
