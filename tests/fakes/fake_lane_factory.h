#pragma once

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mutex.h"
#include "relay/supervisor/lane_factory.h"
#include "tests/fakes/fake_sink.h"
#include "tests/fakes/fake_source.h"

namespace drawbridge {

// Makes lanes between fake sources and fake sinks. Lanes run on threads of their own: whatever a
// test does with a lane's ends or with the logs, it does in With(). Thread-safe.
class FakeLaneFactory final : public LaneFactory {
 public:
  // The two ends of a lane that was made, in the order of making. They stay when the lane has gone.
  struct Ends {
    FakeSource source;
    FakeSink sink;
    bool fails = false;  // the lane's next turn throws
    bool is_alive = true;
    LaneBudget budget;
    FileDescriptor wake{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};

    Ends(FakeLogs& logs, const Clock& clock, LaneBudget its_budget)
        : source(logs, clock), budget(its_budget) {}
  };
  using Lanes = std::vector<std::unique_ptr<Ends>>;

  explicit FakeLaneFactory(const Clock& clock) : clock_(clock) {}

  // Runs `task` while all lanes stand still, and wakes them after it.
  template <typename Task>
  auto With(Task task) {
    const MutexLock lock(mutex_);
    const Waker waker{lanes_};
    return task(lanes_);
  }
  void WithLogs(const std::function<void(FakeLogs&)>& task) {
    const MutexLock lock(mutex_);
    const Waker waker{lanes_};
    task(logs_);
  }

  // Whether sinks confirm what they take.
  void SetAutomatic(bool is_automatic) {
    const MutexLock lock(mutex_);
    const Waker waker{lanes_};
    is_automatic_ = is_automatic;
    for (const auto& lane : lanes_) lane->sink.SetAutomatic(is_automatic);
  }

  // While it is held, no sink comes to its end.
  void HoldEnds(bool are_held) {
    {
      const MutexLock lock(ends_mutex_);
      are_ends_held_ = are_held;
    }
    ends_go_on_.notify_all();
  }

  // MakeLane fails until it is called with nullopt.
  void RefuseLanes(std::optional<Status> status) {
    const MutexLock lock(mutex_);
    refusal_ = std::move(status);
  }

  // MakeLane throws, as when there are no threads left, until it is called with false.
  void ThrowAtLanes(bool throws) {
    const MutexLock lock(mutex_);
    throws_ = throws;
  }

  StatusOr<LaneEnds> MakeLane(const BridgeAssignment& /*bridge*/, const BridgeSecrets& /*secrets*/,
                              LaneBudget budget) override {
    const MutexLock lock(mutex_);
    if (refusal_) return *refusal_;
    if (throws_) throw std::system_error(EAGAIN, std::generic_category());
    lanes_.push_back(std::make_unique<Ends>(logs_, clock_, budget));
    Ends& ends = *lanes_.back();
    ends.sink.SetAutomatic(is_automatic_);
    return LaneEnds{.source = std::make_unique<SourceEnd>(mutex_, ends),
                    .sink = std::make_unique<SinkEnd>(*this, mutex_, ends)};
  }

  StatusOr<std::unique_ptr<Survey>> MakeSurvey(const BridgeAssignment& bridge,
                                               const BridgeSecrets& /*secrets*/) override {
    return std::unique_ptr<Survey>(std::make_unique<CompleteSurvey>(bridge));
  }

  // While it is held, no test of an endpoint comes to its end.
  void HoldTests(bool is_held) {
    {
      const MutexLock lock(tests_mutex_);
      are_tests_held_ = is_held;
    }
    tests_go_on_.notify_all();
  }
  // How many tests of endpoints run now.
  size_t tests_running() {
    const MutexLock lock(tests_mutex_);
    return tests_running_;
  }

  std::vector<EndpointCheck> TestEndpoint(const EndpointSpec& endpoint,
                                          const std::optional<CredentialSecret>& /*secret*/,
                                          const std::vector<std::string>& /*topics*/,
                                          Duration /*deadline*/) override {
    MutexLock lock(tests_mutex_);
    ++tests_running_;
    while (are_tests_held_) tests_go_on_.wait(tests_mutex_);
    --tests_running_;
    return {{.name = "connect",
             .is_ok = true,
             .reason = Reason::kUnspecified,
             .detail = endpoint.name}};
  }

  // What is answered to whoever asks for dead letters, and what was asked.
  StatusOr<DeadLetterPage> dead_letters = DeadLetterPage{};
  StatusOr<RetriedDeadLetters> retried = RetriedDeadLetters{};
  std::optional<DeadLetterPlace> place;

  StatusOr<DeadLetterPage> ReadDeadLetters(const DeadLetterPlace& asked, int /*limit*/,
                                           Duration /*deadline*/) override {
    place = asked;
    return dead_letters;
  }
  StatusOr<RetriedDeadLetters> RetryDeadLetters(const DeadLetterPlace& asked,
                                                const std::string& turn,
                                                Duration /*deadline*/) override {
    place = asked;
    if (retried.ok() && !turn.empty()) retried->turn = turn;
    return retried;
  }

 private:
  struct Waker {
    const Lanes& lanes;
    ~Waker() {
      const uint64_t one = 1;
      for (const auto& lane : lanes) std::ignore = write(lane->wake.get(), &one, sizeof one);
    }
  };

  class SourceEnd final : public Source {
   public:
    SourceEnd(Mutex& mutex, Ends& ends) : mutex_(mutex), ends_(ends) {}
    Status Assign(Slot slot, const Route& route, Offset from, uint32_t fetch) override {
      const MutexLock lock(mutex_);
      return ends_.source.Assign(slot, route, from, fetch);
    }
    void Unassign(Slot slot) override {
      const MutexLock lock(mutex_);
      ends_.source.Unassign(slot);
    }
    void Poll(size_t bytes_max, std::vector<SourceEvent>& events) override {
      const MutexLock lock(mutex_);
      ends_.source.Poll(bytes_max, events);
    }
    void Serve(std::vector<SourceEvent>& events) override {
      const MutexLock lock(mutex_);
      if (std::exchange(ends_.fails, false)) throw std::runtime_error("out of luck");
      ends_.source.Serve(events);
    }
    LogView View(Slot slot) const override {
      const MutexLock lock(mutex_);
      return ends_.source.View(slot);
    }
    std::optional<Duration> SinceSeen(Slot slot, BootTime now) const override {
      const MutexLock lock(mutex_);
      return ends_.source.SinceSeen(slot, now);
    }
    std::optional<Condition> Trouble() const override { return std::nullopt; }
    std::vector<int> descriptors() const override { return {ends_.wake.get()}; }

   private:
    Mutex& mutex_;
    Ends& ends_;
  };

  class SinkEnd final : public Sink {
   public:
    SinkEnd(FakeLaneFactory& factory, Mutex& mutex, Ends& ends)
        : factory_(factory), mutex_(mutex), ends_(ends) {}
    ~SinkEnd() override {
      factory_.WaitToEnd();
      const MutexLock lock(mutex_);
      ends_.is_alive = false;
    }
    Status Open(Slot slot, const Route& route) override {
      const MutexLock lock(mutex_);
      return ends_.sink.Open(slot, route);
    }
    size_t Submit(Batch& batch, size_t from, uint32_t window) override {
      const MutexLock lock(mutex_);
      return ends_.sink.Submit(batch, from, window);
    }
    void Poll(std::vector<Confirmation>& confirmations) override {
      const MutexLock lock(mutex_);
      ends_.sink.Poll(confirmations);
    }
    bool IsReady() const override {
      const MutexLock lock(mutex_);
      return ends_.sink.IsReady();
    }
    std::optional<Condition> Trouble() const override { return std::nullopt; }
    std::vector<int> descriptors() const override { return {}; }

   private:
    FakeLaneFactory& factory_;
    Mutex& mutex_;
    Ends& ends_;
  };

  void WaitToEnd() {
    MutexLock lock(ends_mutex_);
    while (are_ends_held_) ends_go_on_.wait(ends_mutex_);
  }

  class CompleteSurvey final : public Survey {
   public:
    explicit CompleteSurvey(const BridgeAssignment& bridge)
        : bridge_(bridge.bridge), generation_(bridge.generation) {}
    SurveyResult Look(const std::stop_token& /*stop*/) override {
      SurveyResult result;
      result.bridge = bridge_;
      result.generation = generation_;
      result.is_complete = true;
      return result;
    }

   private:
    const BridgeId bridge_;
    const int64_t generation_;
  };

  const Clock& clock_;
  Mutex mutex_;
  FakeLogs logs_;
  Lanes lanes_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::optional<Status> refusal_ DRAWBRIDGE_GUARDED_BY(mutex_);
  bool throws_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  bool is_automatic_ DRAWBRIDGE_GUARDED_BY(mutex_) = true;
  Mutex ends_mutex_;
  ConditionVariable ends_go_on_;
  bool are_ends_held_ DRAWBRIDGE_GUARDED_BY(ends_mutex_) = false;
  Mutex tests_mutex_;
  ConditionVariable tests_go_on_;
  bool are_tests_held_ DRAWBRIDGE_GUARDED_BY(tests_mutex_) = false;
  size_t tests_running_ DRAWBRIDGE_GUARDED_BY(tests_mutex_) = 0;
};

}  // namespace drawbridge
