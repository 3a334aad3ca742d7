#include "server/store/writer.h"

#include <future>

#include <pthread.h>

#include "base/failpoint.h"
#include "base/log.h"

namespace drawbridge {
namespace {

const Log kLog("server.store");

constexpr size_t kGroupMax = 1000;
constexpr int kCommitsPerCheckpoint = 100;

}  // namespace

Writer::Writer(Database database)
    : database_(std::move(database)),
      thread_([this](const std::stop_token& stop) { Loop(stop); }) {}

Writer::~Writer() {
  {
    const MutexLock lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Writer::Post(Operation operation, Done done) {
  {
    const MutexLock lock(mutex_);
    queue_.push_back({std::move(operation), std::move(done), {}});
  }
  changed_.notify_one();
}

Status Writer::Run(Operation operation) {
  std::promise<Status> promise;
  std::future<Status> future = promise.get_future();
  Post(std::move(operation), [&](const Status& status) { promise.set_value(status); });
  return future.get();
}

bool Writer::is_degraded() const {
  const MutexLock lock(mutex_);
  return is_degraded_;
}

void Writer::Loop(const std::stop_token& /*stop*/) {
  pthread_setname_np(pthread_self(), "store-writer");
  int commits = 0;
  while (true) {
    std::deque<Item> group;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !is_ending_) changed_.wait(mutex_);
      if (queue_.empty()) return;
      while (!queue_.empty() && group.size() < kGroupMax) {
        group.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
    }
    const Status committed = Commit(group);
    {
      const MutexLock lock(mutex_);
      if (is_degraded_ == committed.ok()) {
        is_degraded_ = !committed.ok();
        if (is_degraded_) kLog.Error("storage is degraded", {{"text", committed.message()}});
        if (!is_degraded_) kLog.Info("storage works again");
      }
    }
    for (Item& item : group) item.done(committed.ok() ? item.status : committed);
    if (++commits % kCommitsPerCheckpoint == 0) database_.Checkpoint();
  }
}

Status Writer::Commit(std::deque<Item>& group) {
  Failpoint("store.before_begin");
  if (Status begun = database_.Execute("BEGIN IMMEDIATE"); !begun.ok()) return begun;
  for (Item& item : group) {
    Status status = database_.Execute("SAVEPOINT operation");
    if (status.ok()) {
      try {
        item.status = item.operation(database_);
      } catch (const std::exception& error) {
        item.status = {StatusCode::kInternal, Reason::kInternal, error.what()};
      }
      // A full disk fails the group: what is reported must be about the disk, not about one item.
      if (item.status.reason() == Reason::kStorageDegraded) status = item.status;
      if (status.ok() && !item.status.ok()) status = database_.Execute("ROLLBACK TO operation");
      if (status.ok()) status = database_.Execute("RELEASE operation");
    }
    if (!status.ok()) {
      std::ignore = database_.Execute("ROLLBACK");
      return status;
    }
  }
  Failpoint("store.before_commit");
  Status committed = Failpoint("store.commit")
                         ? Status(StatusCode::kUnavailable, Reason::kStorageDegraded,
                                  "the database cannot be written (failpoint)")
                         : database_.Execute("COMMIT");
  if (!committed.ok()) std::ignore = database_.Execute("ROLLBACK");
  Failpoint("store.after_commit");
  return committed;
}

}  // namespace drawbridge
