#pragma once

#include <string>

namespace drawbridge {

// 16 hex digits that nobody has drawn before: names what must be told from all else of its kind. No
// secret. Thread-safe.
std::string NewRandomId();

}  // namespace drawbridge
