#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/file.h"
#include "base/mutex.h"
#include "base/status.h"
#include "model/checkpoint.h"
#include "model/ids.h"

namespace drawbridge {

// What the journal keeps of a partition: what was confirmed under which token.
struct JournalEntry {
  PartitionKey key;
  FencingToken token;
  Offset base;  // where the range begins that was confirmed under the token
  Checkpoint checkpoint;

  friend bool operator==(const JournalEntry&, const JournalEntry&) = default;
};

// Where a relay notes every confirmation at once, so that after a kill it knows more than the
// server does: the duplicates are then exactly the window. Two checksummed slots per partition, in
// memory that is mapped from a file: a torn write leaves the other slot. A kill loses nothing; a
// power cut what was written since the last Sync().
//
// Thread-safe; Write() for one partition comes from one thread at a time.
class Journal {
 public:
  // Opens or makes the file `journal` in the folder; the caller holds the folder's lock. Slots that
  // cannot be read are left out: the server's checkpoint then decides.
  static StatusOr<std::unique_ptr<Journal>> Open(const std::filesystem::path& folder);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Makes room for the partition, on the disk: writing to it cannot fail for want of space later.
  // kResourceExhausted with JOURNAL_UNAVAILABLE when there is none.
  Status Reserve(PartitionKey key);

  // Notes an entry. The partition was reserved.
  void Write(const JournalEntry& entry);

  // The newest entry of a partition.
  std::optional<JournalEntry> Read(PartitionKey key) const;

  // The newest entry of every partition.
  std::vector<JournalEntry> ReadAll() const;

  // Takes a partition out, and lets its room be used again.
  void Forget(PartitionKey key);

  // Makes what was written durable against a power cut. Every second by the supervisor.
  Status Sync();

 private:
  struct Slot;   // as it lies on the disk
  struct Pair;   // two of them
  struct Chunk;  // a mapped part of the file

  explicit Journal(FileDescriptor file, std::filesystem::path path);
  Status Grow() DRAWBRIDGE_REQUIRES(mutex_);
  void Load() DRAWBRIDGE_REQUIRES(mutex_);
  Pair* At(size_t index) const DRAWBRIDGE_REQUIRES(mutex_);
  static const Slot* Newest(const Pair& pair);

  const FileDescriptor file_;
  const std::filesystem::path path_;
  mutable Mutex mutex_;
  std::vector<std::unique_ptr<Chunk>> chunks_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::map<PartitionKey, size_t> index_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::vector<size_t> free_ DRAWBRIDGE_GUARDED_BY(mutex_);
};

}  // namespace drawbridge
