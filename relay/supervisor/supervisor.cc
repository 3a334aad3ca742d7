#include "relay/supervisor/supervisor.h"

#include <algorithm>
#include <future>
#include <set>

#include <fmt/format.h>
#include <pthread.h>

#include "base/guarded.h"
#include "base/log.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.supervisor");
constexpr std::string_view kFailed = "supervisor failed";

constexpr Duration kTick = 1s;
constexpr size_t kWindowLeast = size_t{4} << 20;

// How much of a lane's share of the memory may be in flight. The rest is for what is read ahead,
// for the answers that records come in and the requests that they leave in.
size_t WindowOf(size_t share) { return std::max(kWindowLeast, share / 8 * 3); }

// Whether lanes that run with one can go on with the other.
bool NeedsNewClients(const BridgeAssignment& was, const BridgeAssignment& is) {
  return was.source != is.source || was.target != is.target ||
         was.source_secret != is.source_secret || was.target_secret != is.target_secret ||
         was.spec.target != is.spec.target || was.source_cluster_id != is.source_cluster_id ||
         was.target_cluster_id != is.target_cluster_id;
}

std::string ClusterName(const EndpointSpec& endpoint, const std::string& cluster_id) {
  if (!endpoint.is_kafka()) return cluster_id;
  return endpoint.kafka().cluster_key.empty() ? cluster_id : endpoint.kafka().cluster_key;
}

Route RouteOf(const BridgeAssignment& bridge, const StreamAssignment& stream,
              PartitionNumber partition) {
  return {.key = {.stream = stream.stream, .partition = partition},
          .source_topic = stream.topic,
          .target_topic = stream.target_topic,
          .partition = partition,
          .source_epoch = stream.source_epoch,
          .source_cluster = ClusterKeyOf(ClusterName(bridge.source, bridge.source_cluster_id)),
          .stamps_provenance = bridge.spec.target.provenance};
}

}  // namespace

// NOLINTNEXTLINE(readability-function-size): all that it works with, and whom it tells
Supervisor::Supervisor(SupervisorSettings settings, LaneFactory& factory, Journal& journal,
                       ProgressBoard& board, const Clock& clock, OnGivenBack on_given_back,
                       OnSurvey on_survey)
    : settings_(settings),
      factory_(factory),
      journal_(journal),
      board_(board),
      clock_(clock),
      on_given_back_(std::move(on_given_back)),
      on_survey_(std::move(on_survey)),
      thread_([this] { Loop(); }) {}

Supervisor::~Supervisor() {
  {
    const MutexLock lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
  // All at once: each may take seconds.
  for (auto& [id, bridge] : bridges_) {
    for (RunningLane& lane : bridge.lanes) lane.thread->Stop();
  }
  bridges_.clear();
  ending_.clear();
  if (Status synced = journal_.Sync(); !synced.ok()) {
    kLog.Error("journal cannot be synced", {{"text", synced.message()}});
  }
}

// --- The loop -----------------------------------------------------------------------------------

void Supervisor::Post(std::function<void()> task) {
  {
    const MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

template <typename T>
T Supervisor::Call(std::function<T()> task) {
  auto promise = std::make_shared<std::promise<T>>();
  std::future<T> future = promise->get_future();
  Post([promise, task = std::move(task)] {
    try {
      promise->set_value(task());
    } catch (...) {
      promise->set_exception(std::current_exception());
    }
  });
  return future.get();
}

void Supervisor::Loop() {
  pthread_setname_np(pthread_self(), "supervisor");
  BootTime tick_at = clock_.Now() + kTick;
  while (true) {
    std::deque<std::function<void()>> tasks;
    {
      MutexLock lock(mutex_);
      while (tasks_.empty() && !is_ending_ && clock_.Now() < tick_at) {
        changed_.wait_for(mutex_, kTick / 4);
      }
      if (is_ending_) return;
      tasks.swap(tasks_);
    }
    // What fails here is tried again at the next tick; the lanes run on.
    for (const auto& task : tasks) DoGuarded(kLog, kFailed, task);
    if (clock_.Now() < tick_at) continue;
    DoGuarded(kLog, kFailed, [this] { Tick(); });
    tick_at = clock_.Now() + kTick;
  }
}

void Supervisor::Tick() {
  if (Status synced = journal_.Sync(); !synced.ok()) {
    kLog.Error("journal cannot be synced", {{"text", synced.message()}});
  }
  std::erase_if(ending_, [](const auto& lane) { return lane->has_ended(); });
  for (auto& [id, bridge] : bridges_) {
    for (RunningLane& lane : bridge.lanes) {
      if (lane.thread->has_failed()) TakeBack(bridge, lane);
    }
    Converge(bridge);
  }
}

// What a failed lane knew is in the journal; its partitions start again from there.
void Supervisor::TakeBack(RunningBridge& bridge, RunningLane& failed) {
  kLog.Warn("lane is made anew", {{"lane", failed.id}});
  for (const auto& [key, token] : failed.partitions) {
    RunningPartition& partition = bridge.partitions[key];
    partition.lane = 0;
    partition.is_releasing = false;
    if (const auto entry = journal_.Read(key); entry && entry->token == token) {
      partition.last.to = entry->checkpoint;
      // Nothing below the journal's checkpoint waits to be stored.
      partition.last.gaps.clear();
      partition.last.filtered.clear();
      partition.last.dead_letters.clear();
    }
  }
  failed.partitions.clear();
  failed.releasing = 0;
  failed.version = 0;  // obsolete
}

// --- Assignments --------------------------------------------------------------------------------

std::vector<std::pair<StreamId, Status>> Supervisor::Apply(
    Assignments assignments, std::map<SecretRef, CredentialSecret> secrets) {
  using Errors = std::vector<std::pair<StreamId, Status>>;
  return Call<Errors>([this, assignments = std::move(assignments), secrets = std::move(secrets)] {
    Errors errors;
    // Sent before the server heard of it: nothing that is given back is taken up again.
    if (is_leaving_) return errors;
    std::set<BridgeId> wanted;
    for (const BridgeAssignment& bridge : assignments.bridges) {
      wanted.insert(bridge.bridge);
      BridgeSecrets its_secrets;
      if (bridge.source_secret) its_secrets.source = secrets.at(*bridge.source_secret);
      if (bridge.target_secret) its_secrets.target = secrets.at(*bridge.target_secret);
      ApplyBridge(bridge, std::move(its_secrets), errors);
    }
    for (auto& [id, bridge] : bridges_) {
      if (wanted.contains(id)) continue;
      bridge.survey.reset();
      for (auto& [key, partition] : bridge.partitions) partition.is_wanted = false;
      Converge(bridge);
    }
    ForgetOldEntries(assignments);
    ShareMemory();
    return errors;
  });
}

void Supervisor::ApplyBridge(const BridgeAssignment& wanted, BridgeSecrets secrets,
                             std::vector<std::pair<StreamId, Status>>& errors) {
  RunningBridge& bridge = bridges_[wanted.bridge];
  const bool is_new = bridge.assignment.bridge != wanted.bridge;
  const bool has_new_clients = is_new || NeedsNewClients(bridge.assignment, wanted);
  const bool has_new_survey = has_new_clients ||
                              bridge.assignment.generation != wanted.generation ||
                              bridge.assignment.reverse_flows != wanted.reverse_flows;
  if (has_new_clients && !is_new) ++bridge.version;
  bridge.assignment = wanted;
  bridge.secrets = std::move(secrets);

  std::set<PartitionKey> keys;
  for (const StreamAssignment& stream : wanted.streams) {
    const Status reserved = Reserve(stream);
    if (!reserved.ok()) kLog.Error("journal has no room", {{"text", reserved.message()}});
    Status refusal = reserved;
    for (const PartitionAssignment& partition : stream.partitions) {
      const PartitionKey key{.stream = stream.stream, .partition = partition.partition};
      keys.insert(key);
      // The server goes by it that nothing new of a refused stream runs here.
      if (!reserved.ok() && !bridge.partitions.contains(key)) continue;
      Status taken = TakePartition(bridge, stream, partition);
      if (!taken.ok()) refusal = std::move(taken);
    }
    if (!refusal.ok()) errors.emplace_back(stream.stream, std::move(refusal));
  }
  for (auto& [key, partition] : bridge.partitions) {
    if (!keys.contains(key)) partition.is_wanted = false;
  }
  ApplySurvey(bridge, has_new_survey);
  Converge(bridge);
}

// Room in the journal for all of a stream.
Status Supervisor::Reserve(const StreamAssignment& stream) {
  for (const PartitionAssignment& partition : stream.partitions) {
    Status reserved = journal_.Reserve({.stream = stream.stream, .partition = partition.partition});
    if (!reserved.ok()) return reserved;
  }
  return {};
}

// It runs under the token that is wanted: it goes on.
void Supervisor::KeepPartition(RunningBridge& bridge, const StreamAssignment& stream,
                               RunningPartition& running) {
  const PartitionKey key = running.route.key;
  running.is_wanted = true;
  running.route = RouteOf(bridge.assignment, stream, key.partition);
  if (running.is_paused == stream.is_paused) return;
  running.is_paused = stream.is_paused;
  RunningLane* const lane = FindLane(bridge, running.lane);
  if (lane == nullptr) return;
  lane->thread->Post(
      [key, is_paused = stream.is_paused](Lane& its_lane) { its_lane.SetPaused(key, is_paused); });
}

Status Supervisor::TakePartition(RunningBridge& bridge, const StreamAssignment& stream,
                                 const PartitionAssignment& wanted) {
  const PartitionKey key{.stream = stream.stream, .partition = wanted.partition};
  const auto found = bridge.partitions.find(key);
  if (found != bridge.partitions.end() && found->second.last.token > wanted.token) {
    // Its lane would not take it, and what runs could not be given back.
    return {StatusCode::kFailedPrecondition, Reason::kFieldInvalid,
            fmt::format("partition {} runs under a newer token here (incarnation {}, epoch {}): a "
                        "server whose database was restored raises its incarnation",
                        key.partition, found->second.last.token.incarnation,
                        found->second.last.token.epoch)};
  }
  if (found != bridge.partitions.end() && found->second.last.token == wanted.token) {
    KeepPartition(bridge, stream, found->second);
    return {};
  }
  RunningPartition partition{.route = RouteOf(bridge.assignment, stream, wanted.partition),
                             .last = {.key = key,
                                      .token = wanted.token,
                                      .base = wanted.start.next,
                                      .to = wanted.start,
                                      .gaps = {},
                                      .filtered = {},
                                      .dead_letters = {}},
                             .is_paused = stream.is_paused,
                             .is_wanted = true,
                             .is_releasing = false,
                             .lane = 0};
  // After a restart the journal knows more than the server did when it answered.
  const std::optional<JournalEntry> entry = journal_.Read(key);
  if (entry && entry->token == wanted.token && entry->checkpoint.next >= wanted.start.next) {
    partition.last.base = entry->base;
    partition.last.to = entry->checkpoint;
  } else {
    journal_.Write(
        {.key = key, .token = wanted.token, .base = wanted.start.next, .checkpoint = wanted.start});
  }
  if (found != bridge.partitions.end()) {
    // Another position or a new grant: what runs under the old token is forgotten by the lane.
    partition.lane = found->second.lane;
    partition.is_releasing = found->second.is_releasing;
    found->second = std::move(partition);
    RunningLane* const lane = FindLane(bridge, found->second.lane);
    if (lane != nullptr) {
      StartOn(found->second, *lane);
    } else {
      found->second.lane = 0;
    }
    return {};
  }
  bridge.partitions.emplace(key, std::move(partition));
  return {};
}

void Supervisor::ApplySurvey(RunningBridge& bridge, bool has_changed) {
  const BridgeAssignment& assignment = bridge.assignment;
  if (!assignment.surveys) {
    bridge.survey.reset();
    return;
  }
  if (bridge.survey && !has_changed) return;
  bridge.survey.reset();
  SurveyResult blank;
  blank.bridge = assignment.bridge;
  blank.generation = assignment.generation;
  bridge.survey = std::make_unique<SurveyThread>(
      [this, assignment, secrets = bridge.secrets] {
        return factory_.MakeSurvey(assignment, secrets);
      },
      std::move(blank), on_survey_);
}

// Entries of partitions that are neither here nor wanted here: the server has been told of them.
void Supervisor::ForgetOldEntries(const Assignments& assignments) {
  std::set<PartitionKey> kept;
  for (const auto& [id, bridge] : bridges_) {
    for (const auto& [key, partition] : bridge.partitions) kept.insert(key);
  }
  for (const BridgeAssignment& bridge : assignments.bridges) {
    for (const StreamAssignment& stream : bridge.streams) {
      for (const PartitionAssignment& partition : stream.partitions) {
        kept.insert({.stream = stream.stream, .partition = partition.partition});
      }
    }
  }
  for (const JournalEntry& entry : journal_.ReadAll()) {
    if (!kept.contains(entry.key)) journal_.Forget(entry.key);
  }
}

// --- Lanes --------------------------------------------------------------------------------------

Supervisor::RunningLane* Supervisor::FindLane(RunningBridge& bridge, uint64_t id) {
  const auto found = std::ranges::find(bridge.lanes, id, &RunningLane::id);
  return id == 0 || found == bridge.lanes.end() ? nullptr : &*found;
}

// One step of a bridge towards what is wanted of it; called again whenever something has moved.
void Supervisor::Converge(RunningBridge& bridge) {
  const int lanes = std::clamp(bridge.assignment.spec.lanes, 1, kLanesMax);
  GiveBackUnwanted(bridge);
  // How many partitions a lane may have when all lanes have their share.
  const size_t fair =
      (bridge.partitions.size() + static_cast<size_t>(lanes) - 1) / static_cast<size_t>(lanes);
  for (auto& [key, partition] : bridge.partitions) {
    RunningLane* lane = FindLane(bridge, partition.lane);
    if (lane == nullptr) {
      if (!partition.is_wanted) continue;
      const StatusOr<RunningLane*> chosen = TryLaneFor(bridge);
      if (!chosen.ok()) {
        SayNoLane(bridge, chosen.status());
        return;  // again at the next tick
      }
      StartOn(partition, **chosen);
      continue;
    }
    const bool is_obsolete = lane->version != bridge.version || lane->index >= lanes;
    const bool is_crowded = lane->partitions.size() - lane->releasing > fair &&
                            bridge.partitions.size() >= static_cast<size_t>(lanes);
    if (partition.is_releasing) continue;
    if (!partition.is_wanted || is_obsolete || is_crowded) Release(bridge, partition);
  }
  std::erase_if(bridge.lanes, [&](RunningLane& lane) {
    const bool is_obsolete = lane.version != bridge.version || lane.index >= lanes;
    const bool is_needed = !lane.partitions.empty() || (!is_obsolete && !bridge.partitions.empty());
    if (!is_needed) End(lane);
    return !is_needed;
  });
  if (bridge.unmade_lane != 0) board_.RemoveLane(std::exchange(bridge.unmade_lane, 0));
}

// Its partitions wait, and no lane says so.
void Supervisor::SayNoLane(RunningBridge& bridge, const Status& status) {
  kLog.Error("lane cannot be made",
             {{"bridge", bridge.assignment.spec.name}, {"text", status.message()}});
  if (bridge.unmade_lane == 0) bridge.unmade_lane = ++last_lane_;
  const BridgeId id = bridge.assignment.bridge;
  Condition condition{
      .side = Side::kRelay,
      .reason = status.reason(),
      .text = fmt::format("no lane can be made, which is tried every second: {}", status.message()),
      .bridge = id,
      .stream = std::nullopt,
      .partition = std::nullopt,
      .topic = {},
      .age = std::nullopt,
      .blocks = true};
  board_.PutLane(bridge.unmade_lane, {.at = clock_.Now(),
                                      .bridge = id,
                                      .conditions = {std::move(condition)},
                                      .buffered_bytes = 0});
}

// LaneFor(), where a lack of memory or threads is an error like others: the other bridges go on.
StatusOr<Supervisor::RunningLane*> Supervisor::TryLaneFor(RunningBridge& bridge) {
  try {
    return LaneFor(bridge);
  } catch (const std::exception& error) {
    return Status(StatusCode::kResourceExhausted, Reason::kInternal, error.what());
  }
}

// The present lane with the fewest partitions, made if there are fewer lanes than wanted.
StatusOr<Supervisor::RunningLane*> Supervisor::LaneFor(RunningBridge& bridge) {
  const int lanes = std::clamp(bridge.assignment.spec.lanes, 1, kLanesMax);
  RunningLane* best = nullptr;
  std::set<int> indexes;
  for (RunningLane& lane : bridge.lanes) {
    if (lane.version != bridge.version || lane.index >= lanes) continue;
    indexes.insert(lane.index);
    if (best == nullptr || lane.partitions.size() < best->partitions.size()) best = &lane;
  }
  if (best != nullptr && (best->partitions.empty() || static_cast<int>(indexes.size()) >= lanes)) {
    return best;
  }
  int index = 0;
  while (indexes.contains(index)) ++index;
  const LaneBudget budget = Budget();
  StatusOr<LaneEnds> ends = factory_.MakeLane(bridge.assignment, bridge.secrets, budget);
  if (!ends.ok()) return ends.status();
  LaneSettings settings{.lane = ++last_lane_,
                        .bridge = bridge.assignment.bridge,
                        .target_cluster = std::nullopt,
                        .window_bytes = budget.window_bytes};
  const std::string target =
      ClusterName(bridge.assignment.target, bridge.assignment.target_cluster_id);
  if (bridge.assignment.spec.target.provenance && !target.empty()) {
    settings.target_cluster = ClusterKeyOf(target);
  }
  auto thread = std::make_unique<LaneThread>(
      settings, *std::move(ends), journal_, board_, clock_,
      [this, id = bridge.assignment.bridge, lane = settings.lane](ReleasedPartition released) {
        Post([this, id, lane, released = std::move(released)]() mutable {
          TakeReleased(id, lane, std::move(released));
        });
      });
  bridge.lanes.push_back({.id = settings.lane,
                          .version = bridge.version,
                          .index = index,
                          .thread = std::move(thread),
                          .partitions = {}});
  kLog.Info("lane started", {{"bridge", bridge.assignment.spec.name}, {"lane", settings.lane}});
  return &bridge.lanes.back();
}

void Supervisor::End(RunningLane& lane) {
  lane.thread->Stop();
  ending_.push_back(std::move(lane.thread));
}

void Supervisor::StartOn(RunningPartition& partition, RunningLane& lane) {
  if (partition.is_releasing) --lane.releasing;  // a new order takes the release back
  partition.lane = lane.id;
  partition.is_releasing = false;
  lane.partitions[partition.route.key] = partition.last.token;
  lane.thread->Post([order = LanePartition{.route = partition.route,
                                           .last = partition.last,
                                           .is_paused = partition.is_paused}](
                        Lane& its_lane) mutable { its_lane.Start(std::move(order)); });
}

// What is not wanted here and on no lane belongs to the server again.
void Supervisor::GiveBackUnwanted(RunningBridge& bridge) {
  std::erase_if(bridge.partitions, [this](auto& entry) {
    auto& [key, partition] = entry;
    if (partition.is_wanted || partition.lane != 0) return false;
    on_given_back_({.key = key,
                    .token = partition.last.token,
                    .last = std::move(partition.last),
                    .is_leaving = is_leaving_});
    return true;
  });
}

void Supervisor::Release(RunningBridge& bridge, RunningPartition& partition) {
  RunningLane* const lane = FindLane(bridge, partition.lane);
  if (lane == nullptr) return;
  partition.is_releasing = true;
  ++lane->releasing;
  lane->thread->Post([key = partition.route.key, until = clock_.Now() + settings_.drain_timeout](
                         Lane& its_lane) { its_lane.Release(key, until); });
}

void Supervisor::TakeReleased(BridgeId id, uint64_t lane_id, ReleasedPartition released) {
  const auto found = bridges_.find(id);
  if (found == bridges_.end()) return;
  RunningBridge& bridge = found->second;
  const auto running = bridge.partitions.find(released.key);
  if (running == bridge.partitions.end() || running->second.lane != lane_id ||
      running->second.last.token != released.token) {
    return;
  }
  RunningPartition& partition = running->second;
  if (RunningLane* const lane = FindLane(bridge, lane_id)) {
    lane->partitions.erase(released.key);
    if (partition.is_releasing) --lane->releasing;
  }
  partition.lane = 0;
  partition.is_releasing = false;
  partition.last = std::move(released.last);
  Converge(bridge);
  if (bridge.partitions.empty() && bridge.lanes.empty() && !bridge.survey) bridges_.erase(found);
  ShareMemory();
}

LaneBudget Supervisor::Budget() const {
  size_t lanes = 1 + ending_.size();  // with the one that is about to be made
  for (const auto& [id, bridge] : bridges_) lanes += bridge.lanes.size();
  const size_t share = settings_.memory_limit / lanes;
  return {.prefetch_bytes = std::max(kWindowLeast / 2, share / 8), .window_bytes = WindowOf(share)};
}

void Supervisor::ShareMemory() {
  size_t lanes = 0;
  for (const auto& [id, bridge] : bridges_) lanes += bridge.lanes.size();
  if (lanes == 0) return;
  const size_t window = WindowOf(settings_.memory_limit / lanes);
  for (auto& [id, bridge] : bridges_) {
    for (RunningLane& lane : bridge.lanes) {
      lane.thread->Post([window](Lane& its_lane) { its_lane.SetWindow(window); });
    }
  }
}

// --- What others ask ----------------------------------------------------------------------------

void Supervisor::Stored(PartitionKey key, FencingToken token, Offset next) {
  Post([this, key, token, next] {
    for (auto& [id, bridge] : bridges_) {
      const auto found = bridge.partitions.find(key);
      if (found == bridge.partitions.end()) continue;
      RunningLane* const lane = FindLane(bridge, found->second.lane);
      if (lane == nullptr) continue;
      lane->thread->Post([key, token, next](Lane& its_lane) { its_lane.Stored(key, token, next); });
    }
  });
}

std::vector<HeldPartition> Supervisor::Held() {
  return Call<std::vector<HeldPartition>>([this] {
    std::set<PartitionKey> running;
    for (const auto& [id, bridge] : bridges_) {
      for (const auto& [key, partition] : bridge.partitions) {
        if (partition.lane != 0) running.insert(key);
      }
    }
    std::vector<HeldPartition> held;
    for (const JournalEntry& entry : journal_.ReadAll()) {
      held.push_back({.key = entry.key,
                      .token = entry.token,
                      .base = entry.base,
                      .checkpoint = entry.checkpoint,
                      .is_running = running.contains(entry.key)});
    }
    return held;
  });
}

std::vector<std::pair<BridgeId, int64_t>> Supervisor::Converged() {
  using Generations = std::vector<std::pair<BridgeId, int64_t>>;
  return Call<Generations>([this] {
    Generations generations;
    for (const auto& running : bridges_) {
      const RunningBridge& bridge = running.second;
      const bool has_converged = std::ranges::all_of(bridge.partitions, [&](const auto& entry) {
        const auto lane = std::ranges::find(bridge.lanes, entry.second.lane, &RunningLane::id);
        return lane != bridge.lanes.end() && lane->version == bridge.version;
      });
      if (has_converged) generations.emplace_back(running.first, bridge.assignment.generation);
    }
    return generations;
  });
}

bool Supervisor::Drain() {
  Call<int>([this] {
    is_leaving_ = true;
    for (auto& [id, bridge] : bridges_) {
      bridge.survey.reset();
      for (auto& [key, partition] : bridge.partitions) partition.is_wanted = false;
      Converge(bridge);
    }
    return 0;
  });
  const BootTime deadline = clock_.Now() + settings_.drain_timeout + 1s;
  Mutex mutex;
  ConditionVariable never;
  while (clock_.Now() < deadline) {
    const bool is_empty = Call<bool>([this] {
      return std::ranges::all_of(bridges_,
                                 [](const auto& entry) { return entry.second.partitions.empty(); });
    });
    if (is_empty) return true;
    const MutexLock lock(mutex);
    never.wait_for(mutex, 20ms);
  }
  return false;
}

}  // namespace drawbridge
