#include "relay/supervisor/lane_thread.h"

#include <exception>

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.supervisor");

void Signal(int fd) {
  const uint64_t one = 1;
  std::ignore = write(fd, &one, sizeof one);
}

}  // namespace

LaneThread::LaneThread(LaneSettings settings, LaneEnds ends, Journal& journal, ProgressBoard& board,
                       const Clock& clock, OnReleased on_released)
    : settings_(settings),
      ends_(std::move(ends)),
      journal_(journal),
      board_(board),
      clock_(clock),
      on_released_(std::move(on_released)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      thread_([this] { Run(); }) {}

LaneThread::~LaneThread() {
  Stop();
  thread_.join();
}

void LaneThread::Stop() {
  is_stopping_ = true;
  Signal(wake_.get());
}

void LaneThread::Post(std::function<void(Lane&)> order) {
  {
    const MutexLock lock(mutex_);
    orders_.push_back(std::move(order));
  }
  Signal(wake_.get());
}

void LaneThread::Run() {
  Loop();
  ends_.sink.reset();  // before the source, of which it may hold records
  ends_.source.reset();
  has_ended_ = true;
}

void LaneThread::Loop() {
  pthread_setname_np(pthread_self(), fmt::format("lane-{}", settings_.lane).c_str());
  try {
    Lane lane(settings_, *ends_.source, *ends_.sink, journal_, board_, clock_);
    while (!is_stopping_) Turn(lane);
  } catch (const std::exception& error) {
    kLog.Error("lane failed", {{"lane", settings_.lane}, {"text", error.what()}});
    has_failed_ = true;
  }
}

void LaneThread::Turn(Lane& lane) {
  std::vector<std::function<void(Lane&)>> orders;
  {
    const MutexLock lock(mutex_);
    orders.swap(orders_);
  }
  for (const auto& order : orders) order(lane);
  const BootTime next = lane.Step();
  for (ReleasedPartition& released : lane.TakeReleased()) on_released_(std::move(released));
  Wait(next);
}

void LaneThread::Wait(BootTime until) {
  const Duration left = until - clock_.Now();
  if (left <= Duration::zero()) return;
  // Few descriptors, and a client that is made anew has others: cheaper to name them each time than
  // to keep a set up to date.
  std::vector<pollfd> waits{{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
  for (const int fd : ends_.source->descriptors()) {
    waits.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  }
  for (const int fd : ends_.sink->descriptors()) {
    waits.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  }
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  if (poll(waits.data(), waits.size(), static_cast<int>(milliseconds)) <= 0) return;
  for (const pollfd& wait : waits) {
    uint64_t count = 0;
    if ((wait.revents & POLLIN) != 0) std::ignore = read(wait.fd, &count, sizeof count);
  }
}

}  // namespace drawbridge
