#pragma once

#include <chrono>
#include <vector>

#include <poll.h>

#include "base/clock.h"

namespace drawbridge {

// Turns `step` until it is true, between two turns waiting for the descriptors as a lane does;
// false when 15 s have passed. Clients tell some things by no descriptor, so a wait is short.
template <typename Step>
bool TurnUntil(const std::vector<int>& descriptors, Step step) {
  const BootTime deadline = Clock::System().Now() + std::chrono::seconds(15);
  while (!step()) {
    if (Clock::System().Now() > deadline) return false;
    std::vector<pollfd> waits;
    for (const int descriptor : descriptors) waits.push_back({descriptor, POLLIN, 0});
    poll(waits.data(), waits.size(), 20);
  }
  return true;
}

}  // namespace drawbridge
