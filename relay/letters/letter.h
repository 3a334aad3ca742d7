#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// The id under which a target keeps a record that is to be there once: "<cluster>:<source epoch>:
// <topic>:<partition>:<offset>", the cluster as 16 hex digits. The same record always has the same,
// so that sending it again is harmless; and no other has it, also not one at the same offset of a
// topic that was made anew. At most 300 bytes; engines take 512.
std::string DocumentId(const Route& route, Offset offset);

// The id of its dead letter: bridges that keep them in one place each have one of their own. At
// most 400 bytes.
std::string DeadLetterId(std::string_view bridge, const Route& route, Offset offset);

// Why a target, or we in its place, refused a record.
struct Refusal {
  int status = 0;  // of the target; 0: it was not asked
  std::string type = {};
  std::string caused_by = {};
  std::string reason = {};
  std::string group = {};  // as in DeadLetters.error
};

// Where and when that was.
struct RefusedAt {
  std::string bridge = {};
  std::string index = {};
  int attempts = 1;
  WallTime first_seen{};
  WallTime last_seen{};
};

// A record that was refused, as it is kept: byte for byte.
struct KeptRecord {
  Route route;  // without its key, target topic and stamps
  Offset offset;
  int64_t timestamp_ms = -1;
  std::optional<std::string> key = std::nullopt;
  std::optional<std::string> value = std::nullopt;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers = {};
  Refusal refusal;
  std::string index;
  int attempts = 0;
};

// A dead letter where it is kept.
struct Letter {
  std::string id;  // as DeadLetterId made it
  KeptRecord kept;
  WallTime first_refused{};
  WallTime last_refused{};
};

}  // namespace drawbridge
