#pragma once

#include <cstddef>

#include <google/protobuf/message_lite.h>

namespace drawbridge {

// The relay port takes messages of 1 MiB; what is larger goes in parts.
inline constexpr size_t kMessageBytesMax = size_t{512} << 10;

// How much of a message one entry of a repeated field takes, with what stands before it.
inline size_t SizeInList(const google::protobuf::MessageLite& entry) {
  return entry.ByteSizeLong() + 8;
}

}  // namespace drawbridge
