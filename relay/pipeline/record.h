#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "model/checkpoint.h"
#include "model/offset.h"

namespace drawbridge {

// One header of a record: names may repeat, values may be null.
struct Header {
  std::string_view name;
  std::optional<std::string_view> value;
};

// Keeps the bytes of a record alive; destroying it gives them back to the source's library.
using RecordOwner = std::unique_ptr<void, void (*)(void*)>;

// Makes the owner of a record out of what its bytes are in.
template <typename Bytes>
RecordOwner OwnerOf(std::unique_ptr<Bytes> bytes) {
  return RecordOwner(bytes.release(), [](void* owned) { delete static_cast<Bytes*>(owned); });
}

// One record as the source gave it: views into memory that `owner` keeps. Null and empty are two
// things, for keys and values alike.
struct Record {
  Offset offset;
  int64_t timestamp_ms = -1;  // -1: the source has none
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::span<const Header> headers;           // into `header_storage`
  std::unique_ptr<Header[]> header_storage;  // null: no headers
  RecordOwner owner{nullptr, [](void*) {}};
  size_t weight = 0;  // what it counts for in the window; set by the lane

  // Bytes of key, value and headers.
  size_t bytes() const;
};

// XXH3-64 over key, value and headers, null told from empty: two records that differ in any of them
// differ in this, but for one in 2^64.
uint64_t RecordHash(const Record& record);

// What a checkpoint keeps of its last record.
Anchor AnchorOf(const Record& record);

}  // namespace drawbridge
