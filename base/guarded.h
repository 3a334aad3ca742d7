#pragma once

#include <exception>
#include <string_view>

#include "base/log.h"

namespace drawbridge {

// Does a step of a loop that has to go on whatever comes: what the step throws is logged under
// `message`, and the rest of it is not done. Whether all of it was.
template <typename Step>
bool DoGuarded(const Log& log, std::string_view message, const Step& step) {
  try {
    step();
    return true;
  } catch (const std::exception& error) {
    log.Error(message, {{"text", error.what()}});
    return false;
  }
}

}  // namespace drawbridge
