#pragma once

#include <string>
#include <string_view>

namespace drawbridge {

// The text as a message can carry it: what is no UTF-8 becomes U+FFFD, since a peer would refuse
// the whole message for it; what is longer than `bytes_max` is cut and ends with an ellipsis. For
// the words of others (brokers, libraries, users).
std::string ToUtf8(std::string_view text, size_t bytes_max = std::string_view::npos);

}  // namespace drawbridge
