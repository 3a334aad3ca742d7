#pragma once

#include "base/status.h"

namespace drawbridge {

// Keeps the memory of this process out of core files and away from debuggers of the same user,
// since it holds secrets. Called first in main(), before any secret is read. A failure is worth a
// warning, not the end of the program.
Status HardenProcess();

}  // namespace drawbridge
