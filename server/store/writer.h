#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "base/mutex.h"
#include "base/status.h"
#include "server/store/database.h"

namespace drawbridge {

// Owns the one connection that writes a file, and the one thread that uses it. Operations that wait
// together are committed together; each has a savepoint of its own, so that one that fails does not
// take the others along. What is reported as done is on the disk.
//
// Thread-safe.
class Writer {
 public:
  using Operation = std::function<Status(Database&)>;
  using Done = std::function<void(const Status&)>;

  explicit Writer(Database database);
  // Finishes what was posted.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Queues an operation. `done` is called on the writer's thread, after the COMMIT.
  void Post(Operation operation, Done done);

  // Runs an operation and waits until it is durable or has failed. Not from the writer's thread.
  Status Run(Operation operation);

  // Run() for an operation that has a result.
  template <typename T>
  StatusOr<T> Get(std::function<StatusOr<T>(Database&)> operation) {
    std::optional<T> result;
    const Status status = Run([&](Database& database) -> Status {
      StatusOr<T> got = operation(database);
      if (!got.ok()) return got.status();
      result = *std::move(got);
      return {};
    });
    if (!status.ok()) return status;
    return *std::move(result);
  }

  // Whether the last group could not be written; clears by itself with the next that can.
  bool is_degraded() const;

 private:
  struct Item {
    Operation operation;
    Done done;
    Status status;
  };

  void Loop(const std::stop_token& stop);
  Status Commit(std::deque<Item>& group);

  Database database_;
  mutable Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Item> queue_ DRAWBRIDGE_GUARDED_BY(mutex_);
  bool is_degraded_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  bool is_ending_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace drawbridge
