#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "model/assignment.h"
#include "relay/pipeline/journal.h"
#include "relay/pipeline/progress_board.h"
#include "relay/supervisor/lane_factory.h"
#include "relay/supervisor/lane_thread.h"
#include "relay/supervisor/survey_thread.h"

namespace drawbridge {

// A partition that was given back.
struct GivenBack {
  PartitionKey key;
  FencingToken token;
  CommitItem last;
  bool is_leaving = false;  // the relay is stopping
};

struct SupervisorSettings {
  size_t memory_limit = size_t{256} << 20;  // what all lanes together may hold, bytes
  Duration drain_timeout = std::chrono::seconds(20);
};

// Starts, moves and stops lanes and surveys so that they match the assignments. A partition that
// changes lanes, clients or relays does so with an empty window: it stops reading, what is in
// flight is confirmed, and it goes on elsewhere from exactly there. What cannot be taken over
// leaves the last good configuration running.
//
// All work is done on one thread of its own; the public methods are thread-safe and wait for it.
// Factory, journal and board outlive it; the callbacks are called on its threads.
class Supervisor {
 public:
  using OnGivenBack = std::function<void(GivenBack)>;
  using OnSurvey = std::function<void(SurveyResult)>;

  Supervisor(SupervisorSettings settings, LaneFactory& factory, Journal& journal,
             ProgressBoard& board, const Clock& clock, OnGivenBack on_given_back,
             OnSurvey on_survey);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Makes the assignments true. Returns the streams that could not be taken over, with the reason.
  // After Drain() it does nothing.
  std::vector<std::pair<StreamId, Status>> Apply(Assignments assignments,
                                                 std::map<SecretRef, CredentialSecret> secrets);

  // The server has stored a commit.
  void Stored(PartitionKey key, FencingToken token, Offset next);

  // What runs here, and what the journal has besides.
  std::vector<HeldPartition> Held();

  // Generations that run here.
  std::vector<std::pair<BridgeId, int64_t>> Converged();

  // Gives everything back, and returns when all of it is, or after the drain timeout; whether all
  // of it is. For the last time: nothing is taken up any more.
  bool Drain();

 private:
  struct RunningLane {
    uint64_t id = 0;
    int version = 0;  // of the bridge's clients
    int index = 0;
    std::unique_ptr<LaneThread> thread;
    std::map<PartitionKey, FencingToken> partitions;
    size_t releasing = 0;  // of them
  };
  struct RunningPartition {
    Route route;
    // Where it goes on when it is on no lane, with what the last lane passed and the server has not
    // stored.
    CommitItem last;
    bool is_paused = false;
    bool is_wanted = true;
    bool is_releasing = false;
    uint64_t lane = 0;  // 0: on none
  };
  struct RunningBridge {
    BridgeAssignment assignment;
    BridgeSecrets secrets;
    int version = 1;  // rises when the clients must be made anew
    std::vector<RunningLane> lanes;
    std::map<PartitionKey, RunningPartition> partitions;
    std::unique_ptr<SurveyThread> survey;
    uint64_t unmade_lane = 0;  // stands on the board for a lane that cannot be made; 0: none
  };

  void Post(std::function<void()> task);
  template <typename T>
  T Call(std::function<T()> task);
  void Loop();
  void Tick();
  void TakeBack(RunningBridge& bridge, RunningLane& failed);

  void ApplyBridge(const BridgeAssignment& wanted, BridgeSecrets secrets,
                   std::vector<std::pair<StreamId, Status>>& errors);
  Status Reserve(const StreamAssignment& stream);
  void KeepPartition(RunningBridge& bridge, const StreamAssignment& stream,
                     RunningPartition& running);
  Status TakePartition(RunningBridge& bridge, const StreamAssignment& stream,
                       const PartitionAssignment& wanted);
  void ApplySurvey(RunningBridge& bridge, bool has_changed);
  void Converge(RunningBridge& bridge);
  void SayNoLane(RunningBridge& bridge, const Status& status);
  StatusOr<RunningLane*> TryLaneFor(RunningBridge& bridge);
  StatusOr<RunningLane*> LaneFor(RunningBridge& bridge);
  void End(RunningLane& lane);
  RunningLane* FindLane(RunningBridge& bridge, uint64_t id);
  void StartOn(RunningPartition& partition, RunningLane& lane);
  void GiveBackUnwanted(RunningBridge& bridge);
  void Release(RunningBridge& bridge, RunningPartition& partition);
  void TakeReleased(BridgeId bridge, uint64_t lane, ReleasedPartition released);
  void ShareMemory();
  LaneBudget Budget() const;
  void ForgetOldEntries(const Assignments& assignments);

  const SupervisorSettings settings_;
  LaneFactory& factory_;
  Journal& journal_;
  ProgressBoard& board_;
  const Clock& clock_;
  const OnGivenBack on_given_back_;
  const OnSurvey on_survey_;

  // The supervisor's thread only.
  std::map<BridgeId, RunningBridge> bridges_;
  std::vector<std::unique_ptr<LaneThread>> ending_;  // lanes that nobody waits for
  uint64_t last_lane_ = 0;
  bool is_leaving_ = false;

  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<std::function<void()>> tasks_ DRAWBRIDGE_GUARDED_BY(mutex_);
  bool is_ending_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace drawbridge
