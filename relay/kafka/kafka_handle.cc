#include "relay/kafka/kafka_handle.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include <sys/eventfd.h>

#include "base/log.h"

namespace drawbridge {
namespace {

const Log kLog("relay.kafka");

constexpr std::chrono::seconds kDestroyPatience{5};

}  // namespace

StatusOr<ClientHandle> CreateClient(rd_kafka_type_t type, ConfHandle conf) {
  std::array<char, 512> reason{};
  ClientHandle client(rd_kafka_new(type, conf.get(), reason.data(), reason.size()));
  if (!client) {
    return Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid, reason.data());
  }
  std::ignore = conf.release();  // rd_kafka_new took it over, as it does only on success
  return client;
}

StatusOr<FileDescriptor> WakeOn(rd_kafka_queue_t* queue) {
  FileDescriptor wake(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake.is_open()) return Status(StatusCode::kResourceExhausted, std::strerror(errno));
  constexpr uint64_t kOne = 1;
  rd_kafka_queue_io_event_enable(queue, wake.get(), &kOne, sizeof kOne);
  return wake;
}

Reaper::~Reaper() {
  const auto deadline = std::chrono::steady_clock::now() + kDestroyPatience;
  count_->mutex.lock();
  while (count_->under_way > 0) {
    if (count_->ended.wait_until(count_->mutex, deadline) == std::cv_status::timeout) break;
  }
  const int left = count_->under_way;
  count_->mutex.unlock();
  if (left > 0) kLog.Warn("kafka clients did not end and are left behind", {{"count", left}});
}

void Reaper::Destroy(ClientHandle client) {
  {
    const MutexLock lock(count_->mutex);
    ++count_->under_way;
  }
  std::thread([count = count_, client = std::move(client)]() mutable {
    client.reset();
    const MutexLock lock(count->mutex);
    --count->under_way;
    count->ended.notify_all();
  }).detach();
}

std::string LibraryVersion() { return rd_kafka_version_str(); }

std::string LibraryFeatures() {
  const ConfHandle conf(rd_kafka_conf_new());
  std::array<char, 512> features{};
  size_t size = features.size();
  const auto found = rd_kafka_conf_get(conf.get(), "builtin.features", features.data(), &size);
  return found == RD_KAFKA_CONF_OK ? features.data() : "";
}

bool LibraryIsAtLeast(int major, int minor, int patch) {
  // 0xMMmmrrxx
  return (rd_kafka_version() >> 8) >= ((major << 16) | (minor << 8) | patch);
}

}  // namespace drawbridge
