#include "relay/pipeline/journal.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/failpoint.h"

namespace drawbridge {

// 112 bytes, in the machine's byte order: the file does not leave the machine.
struct Journal::Slot {
  static constexpr uint64_t kMagic = 0x316c6e726a626472;  // "rdbjrnl1"

  uint64_t magic;
  uint64_t sequence;  // the higher of a pair's is the newer
  int64_t stream;
  int64_t partition;
  int64_t incarnation;
  int64_t epoch;
  int64_t base;
  int64_t next;
  int64_t anchor_offset;
  int64_t anchor_timestamp_ms;
  uint64_t anchor_hash;
  uint64_t has_anchor;
  uint64_t reserved;
  uint64_t checksum;  // of all before it

  uint64_t Sum() const { return XXH3_64bits(this, offsetof(Slot, checksum)); }
  bool IsWhole() const { return magic == kMagic && checksum == Sum(); }

  JournalEntry Entry() const {
    JournalEntry entry{
        .key = {.stream = {stream}, .partition = static_cast<PartitionNumber>(partition)},
        .token = {.incarnation = incarnation, .epoch = epoch},
        .base = {base},
        .checkpoint = {.next = {next}, .anchor = std::nullopt}};
    if (has_anchor != 0) {
      entry.checkpoint.anchor = Anchor{
          .offset = {anchor_offset}, .timestamp_ms = anchor_timestamp_ms, .hash = anchor_hash};
    }
    return entry;
  }
};

struct Journal::Pair {
  Slot slots[2];
  std::array<char, 32> padding;  // 256 bytes a pair, so that none lies across two sectors
};

struct Journal::Chunk {
  static constexpr size_t kPairs = 256;
  static constexpr size_t kBytes = kPairs * 256;

  explicit Chunk(Pair* mapped) : pairs(mapped) {}
  ~Chunk() { munmap(pairs, kBytes); }
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

  Pair* const pairs;
};

namespace {

Status Unavailable(const std::string& what, const std::filesystem::path& path, int error) {
  return {error == ENOSPC ? StatusCode::kResourceExhausted : StatusCode::kUnavailable,
          Reason::kJournalUnavailable,
          fmt::format("cannot {} the journal {}: {}; make room on the relay's disk", what,
                      path.string(), std::generic_category().message(error))};
}

}  // namespace

Journal::Journal(FileDescriptor file, std::filesystem::path path)
    : file_(std::move(file)), path_(std::move(path)) {}

Journal::~Journal() = default;

StatusOr<std::unique_ptr<Journal>> Journal::Open(const std::filesystem::path& folder) {
  static_assert(sizeof(Pair) == 256);
  const std::filesystem::path path = folder / "journal";
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.is_open()) return Unavailable("open", path, errno);
  std::unique_ptr<Journal> journal(new Journal(std::move(file), path));
  struct stat about {};
  if (fstat(journal->file_.get(), &about) != 0) return Unavailable("read", path, errno);
  const MutexLock lock(journal->mutex_);
  const auto chunks = (static_cast<size_t>(about.st_size) + Chunk::kBytes - 1) / Chunk::kBytes;
  while (journal->chunks_.size() < chunks) {
    if (Status grown = journal->Grow(); !grown.ok()) return grown;
  }
  journal->Load();
  return journal;
}

Status Journal::Grow() {
  const auto at = static_cast<off_t>(chunks_.size() * Chunk::kBytes);
  // Real blocks, not a hole: a store into a mapped hole on a full disk is a SIGBUS.
  const int error = Failpoint("journal.grow")
                        ? ENOSPC
                        : posix_fallocate(file_.get(), at, static_cast<off_t>(Chunk::kBytes));
  if (error != 0) return Unavailable("grow", path_, error);
  void* const mapped =
      mmap(nullptr, Chunk::kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), at);
  if (mapped == MAP_FAILED) return Unavailable("map", path_, errno);
  for (size_t i = Chunk::kPairs; i > 0; --i) {
    free_.push_back(chunks_.size() * Chunk::kPairs + i - 1);
  }
  chunks_.push_back(std::make_unique<Chunk>(static_cast<Pair*>(mapped)));
  return {};
}

Journal::Pair* Journal::At(size_t index) const {
  return &chunks_[index / Chunk::kPairs]->pairs[index % Chunk::kPairs];
}

const Journal::Slot* Journal::Newest(const Pair& pair) {
  const Slot* newest = nullptr;
  for (const Slot& slot : pair.slots) {
    if (slot.IsWhole() && (newest == nullptr || slot.sequence > newest->sequence)) newest = &slot;
  }
  return newest;
}

void Journal::Load() {
  free_.clear();
  for (size_t i = chunks_.size() * Chunk::kPairs; i > 0; --i) {
    const Slot* const newest = Newest(*At(i - 1));
    if (newest == nullptr || !index_.emplace(newest->Entry().key, i - 1).second) {
      free_.push_back(i - 1);
    }
  }
}

Status Journal::Reserve(PartitionKey key) {
  const MutexLock lock(mutex_);
  if (index_.contains(key)) return {};
  if (free_.empty()) {
    if (Status grown = Grow(); !grown.ok()) return grown;
  }
  index_.emplace(key, free_.back());
  std::memset(At(free_.back())->slots, 0, sizeof(Pair::slots));
  free_.pop_back();
  return {};
}

void Journal::Write(const JournalEntry& entry) {
  // Held to the end: a reader must not meet a slot that is half written.
  const MutexLock lock(mutex_);
  const auto found = index_.find(entry.key);
  if (found == index_.end()) return;
  Pair* const pair = At(found->second);
  const Slot* const newest = Newest(*pair);
  Slot& slot = pair->slots[newest == &pair->slots[0] ? 1 : 0];
  Slot written{};
  written.magic = Slot::kMagic;
  written.sequence = newest == nullptr ? 1 : newest->sequence + 1;
  written.stream = entry.key.stream.value;
  written.partition = entry.key.partition;
  written.incarnation = entry.token.incarnation;
  written.epoch = entry.token.epoch;
  written.base = entry.base.value;
  written.next = entry.checkpoint.next.value;
  if (entry.checkpoint.anchor) {
    written.has_anchor = 1;
    written.anchor_offset = entry.checkpoint.anchor->offset.value;
    written.anchor_timestamp_ms = entry.checkpoint.anchor->timestamp_ms;
    written.anchor_hash = entry.checkpoint.anchor->hash;
  }
  written.checksum = written.Sum();
  Failpoint("journal.before_write");
  std::memcpy(&slot, &written, sizeof written);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  Failpoint("journal.after_write");
}

std::optional<JournalEntry> Journal::Read(PartitionKey key) const {
  const MutexLock lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) return std::nullopt;
  const Slot* const newest = Newest(*At(found->second));
  if (newest == nullptr) return std::nullopt;
  return newest->Entry();
}

std::vector<JournalEntry> Journal::ReadAll() const {
  const MutexLock lock(mutex_);
  std::vector<JournalEntry> entries;
  for (const auto& [key, index] : index_) {
    if (const Slot* const newest = Newest(*At(index)); newest != nullptr) {
      entries.push_back(newest->Entry());
    }
  }
  return entries;
}

void Journal::Forget(PartitionKey key) {
  const MutexLock lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) return;
  std::memset(At(found->second)->slots, 0, sizeof(Pair::slots));
  free_.push_back(found->second);
  index_.erase(found);
}

Status Journal::Sync() {
  std::vector<Pair*> mapped;
  {
    const MutexLock lock(mutex_);
    for (const auto& chunk : chunks_) mapped.push_back(chunk->pairs);
  }
  for (Pair* const pairs : mapped) {
    if (msync(pairs, Chunk::kBytes, MS_SYNC) != 0) return Unavailable("sync", path_, errno);
  }
  return {};
}

}  // namespace drawbridge
