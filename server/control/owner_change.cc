#include "server/control/owner_change.h"

namespace drawbridge {

std::optional<std::string_view> WhyToReassign(const OwnerCase& partition) {
  switch (partition.owner) {
    case OwnerState::kNone:
      if (partition.has_taker) return "granted";
      return std::nullopt;
    case OwnerState::kRevoked:
      return "revoked";
    case OwnerState::kReleased:
      return "released";
    case OwnerState::kRunning:  // until it has released it, or does not
      if (partition.is_overdue && partition.has_taker) return "not released";
      return std::nullopt;
    case OwnerState::kLeased:
      return std::nullopt;
    case OwnerState::kSilent:
      if (partition.may_reclaim && (partition.has_taker || !partition.is_wanted)) {
        return "lease expired";
      }
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace drawbridge
