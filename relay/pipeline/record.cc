#include "relay/pipeline/record.h"

#include <xxhash.h>

namespace drawbridge {
namespace {

constexpr uint64_t kNull = 0x9e3779b97f4a7c15;  // stands for "null" where a length would stand

// Chained by the seed: cheaper for short texts than a streaming state.
uint64_t Mix(uint64_t seed, const std::optional<std::string_view>& text) {
  if (!text) return XXH3_64bits_withSeed(&kNull, sizeof kNull, seed);
  const uint64_t size = text->size();
  return XXH3_64bits_withSeed(text->data(), text->size(),
                              seed ^ (size * 0xff51afd7ed558ccdULL + 1));
}

}  // namespace

size_t Record::bytes() const {
  size_t bytes = (key ? key->size() : 0) + (value ? value->size() : 0);
  for (const Header& header : headers) {
    bytes += header.name.size() + (header.value ? header.value->size() : 0);
  }
  return bytes;
}

uint64_t RecordHash(const Record& record) {
  uint64_t hash = Mix(Mix(0, record.key), record.value);
  for (const Header& header : record.headers) hash = Mix(Mix(hash, header.name), header.value);
  return hash;
}

Anchor AnchorOf(const Record& record) {
  return {.offset = record.offset, .timestamp_ms = record.timestamp_ms, .hash = RecordHash(record)};
}

}  // namespace drawbridge
