#include "model/observation.h"

namespace drawbridge {

std::string_view Name(Side side) {
  switch (side) {
    case Side::kSource:
      return "source";
    case Side::kTarget:
      return "target";
    case Side::kRelay:
      return "relay";
    case Side::kServer:
      return "server";
  }
  return "relay";
}

}  // namespace drawbridge
