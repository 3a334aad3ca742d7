#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include <sqlite3.h>

namespace drawbridge {

// Stands between SQLite and the disk for as long as it lives, and fails on demand. Databases that
// are opened meanwhile go through it; close them before it dies. One at a time.
//
// Thread-safe.
class FaultyDisk {
 public:
  FaultyDisk();
  ~FaultyDisk();
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  // From now on no write finds room, until Heal().
  void Fill() { first_failed_write_ = writes_ + 1, last_failed_write_ = INT64_MAX; }
  // The n-th write from now on fails, and only that one.
  void FailWrite(int64_t n) { first_failed_write_ = last_failed_write_ = writes_ + n; }
  // The n-th sync from now on fails, and only that one, as disks do it.
  void FailSync(int64_t n) { failed_sync_ = syncs_ + n; }
  void Heal() { first_failed_write_ = last_failed_write_ = failed_sync_ = 0; }

  int64_t writes() const { return writes_; }
  int64_t syncs() const { return syncs_; }

  // For the functions that SQLite calls.
  int BeforeWrite();
  int BeforeSync();
  sqlite3_vfs* real() const { return real_; }

 private:
  sqlite3_vfs* real_;
  sqlite3_vfs faulty_;
  std::atomic<int64_t> writes_{0};
  std::atomic<int64_t> syncs_{0};
  std::atomic<int64_t> first_failed_write_{0};
  std::atomic<int64_t> last_failed_write_{0};
  std::atomic<int64_t> failed_sync_{0};
};

}  // namespace drawbridge
