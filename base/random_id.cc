#include "base/random_id.h"

#include <random>

#include <fmt/format.h>

namespace drawbridge {

std::string NewRandomId() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

}  // namespace drawbridge
