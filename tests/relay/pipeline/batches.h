#pragma once

#include <initializer_list>
#include <string_view>

#include "relay/pipeline/io.h"

namespace drawbridge {

constexpr OffsetRange RangeOf(int64_t first, int64_t end) { return {{first}, {end}}; }

// A record without headers. The texts outlive it.
inline Record RecordAt(int64_t offset, std::optional<std::string_view> key = std::nullopt,
                       std::optional<std::string_view> value = "value") {
  Record record;
  record.offset = {offset};
  record.timestamp_ms = 1'000 + offset;
  record.key = key;
  record.value = value;
  return record;
}

// A batch that was read from `from` to `read_to`, with records at these offsets.
inline Batch BatchOf(int64_t from, std::initializer_list<int64_t> offsets, int64_t read_to) {
  Batch batch;
  batch.from = {from};
  batch.read_to = {read_to};
  for (const int64_t offset : offsets) batch.records.push_back(RecordAt(offset));
  return batch;
}

}  // namespace drawbridge
