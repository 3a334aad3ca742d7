#include "relay/letters/letter.h"

#include <fmt/format.h>

namespace drawbridge {

std::string DocumentId(const Route& route, Offset offset) {
  return fmt::format("{:016x}:{}:{}:{}:{}", route.source_cluster, route.source_epoch,
                     route.source_topic, route.partition, offset.value);
}

std::string DeadLetterId(std::string_view bridge, const Route& route, Offset offset) {
  return fmt::format("{}:{}", bridge, DocumentId(route, offset));
}

}  // namespace drawbridge
