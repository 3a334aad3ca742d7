#pragma once

#include <filesystem>

#include "base/mutex.h"
#include "base/status.h"
#include "server/store/database.h"

namespace drawbridge {

// A read-only connection that threads take turns at. What is read in one call is one consistent
// state. Keep it short: a reader that stays keeps the log from being folded into the file.
// Thread-safe.
class Reader {
 public:
  explicit Reader(Database database) : database_(std::move(database)) {}

  // Calls `read` (Database& -> StatusOr<T>) within one read transaction.
  template <typename Read>
  auto Get(Read read) -> decltype(read(std::declval<Database&>())) {
    const MutexLock lock(mutex_);
    if (Status begun = database_.Execute("BEGIN"); !begun.ok()) return begun;
    auto result = read(database_);
    std::ignore = database_.Execute("COMMIT");
    return result;
  }

 private:
  Mutex mutex_;
  Database database_ DRAWBRIDGE_GUARDED_BY(mutex_);
};

}  // namespace drawbridge
