#include "server/control/fleet_controller.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <pthread.h>

#include "base/guarded.h"
#include "base/log.h"
#include "server/control/assignment_plan.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("server.control");
constexpr std::string_view kFailed = "controller failed";

constexpr Duration kAckPatience = 30s;
constexpr Duration kSendAgainAfter = 5s;  // what a relay could not take over
constexpr Duration kQueryPatience = 14s;

// That a relay refuses a bridge, or one stream of it.
Condition ConditionOf(BridgeId bridge, std::optional<StreamId> stream, const Status& status) {
  return {.side = Side::kRelay,
          .reason = status.reason(),
          .text = status.message(),
          .bridge = bridge,
          .stream = stream,
          .partition = std::nullopt,
          .topic = {},
          .age = std::nullopt,
          .blocks = false};
}

}  // namespace

FleetController::FleetController(FleetSettings settings, ControlDatabase& database,
                                 StreamStore& streams, CheckpointStore& checkpoints,
                                 RelayStore& relays, const Clock& clock)
    : settings_(settings),
      database_(database),
      stream_store_(streams),
      checkpoint_store_(checkpoints),
      relay_store_(relays),
      clock_(clock),
      leases_(settings.lease, clock.Now()),
      guard_(settings.lease.reclaim_after()),
      releases_(settings.release_patience),
      thread_([this] { Loop(); }) {}

FleetController::~FleetController() {
  {
    const MutexLock lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void FleetController::EndSessions() {
  Call<int>([this] {
    for (auto& [name, relay] : relays_) {
      if (!relay.session) continue;
      relay.session->Send(Restarting{.reason = "the server is stopping",
                                     .reconnect_after_min = 500ms,
                                     .reconnect_after_max = 3s});
      relay.session->Close(
          {StatusCode::kUnavailable, Reason::kUnavailable, "the server is stopping"});
    }
    return 0;
  });
}

// --- The loop -----------------------------------------------------------------------------------

void FleetController::Post(std::function<void()> task) {
  {
    const MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

template <typename T>
T FleetController::Call(std::function<T()> task) {
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

void FleetController::Wake() {
  {
    const MutexLock lock(mutex_);
    is_woken_ = true;
  }
  changed_.notify_one();
}

void FleetController::Loop() {
  pthread_setname_np(pthread_self(), "fleet");
  BootTime tick_at = clock_.Now();
  while (true) {
    std::deque<std::function<void()>> tasks;
    bool is_due = false;
    {
      MutexLock lock(mutex_);
      while (tasks_.empty() && !is_woken_ && !is_ending_ && clock_.Now() < tick_at) {
        changed_.wait_for(mutex_, settings_.tick);
      }
      if (is_ending_ && tasks_.empty()) return;
      tasks.swap(tasks_);
      is_due = is_woken_ || clock_.Now() >= tick_at;
      is_woken_ = false;
    }
    for (const auto& task : tasks) DoGuarded(kLog, kFailed, task);
    if (!is_due) continue;
    DoGuarded(kLog, kFailed, [this] { Reconcile(); });
    tick_at = clock_.Now() + settings_.tick;
  }
}

// One step towards agreement between what is stored and what relays hold.
void FleetController::Reconcile() {
  if (!LoadDesired()) return;
  GuardAgainstMassSilence();
  const std::vector<Candidate> candidates = Candidates();
  ChooseSurveyors(desired_.bridges, candidates, surveys_);

  std::vector<Placeable> placeable;
  std::set<PartitionKey> wanted;
  std::map<BridgeId, Labels> placements;
  for (const StoredBridge& bridge : desired_.bridges) {
    placements[bridge.id] = bridge.spec.placement;
  }
  std::map<StreamId, const StoredStream*> streams;
  for (const StoredStream& stream : desired_.streams) streams[stream.id] = &stream;
  for (const StoredPartition& partition : desired_.partitions) {
    const auto stream = streams.find(partition.key.stream);
    if (stream == streams.end() || !stream->second->is_selected) continue;
    const auto survey = surveys_.find(stream->second->bridge);
    const bool is_blocked =
        survey != surveys_.end() && survey->second.Blocks(stream->second->topic);
    // What runs goes on running; what is new waits for its target partition.
    const bool can_start =
        partition.key.partition < stream->second->target_partitions && !is_blocked;
    if (!partition.owner && !can_start) continue;
    placeable.push_back(
        {.key = partition.key, .bridge = stream->second->bridge, .owner = partition.owner});
    wanted.insert(partition.key);
  }
  Reassign(wanted, Assigner::Place(placeable, placements, candidates));
  SendAssignments();
  ages_.See(ConditionsOf(desired_, Evidence()), clock_.Now());
}

bool FleetController::LoadDesired() {
  StatusOr<DesiredState> state = database_.ReadAll();
  if (!state.ok()) {
    kLog.Error("desired state cannot be read", {{"text", state.status().ToString()}});
    return false;
  }
  desired_ = *std::move(state);
  for (const StoredRelay& stored : desired_.relays) {
    const auto known = relays_.find(stored.name);
    if (!stored.is_revoked || known == relays_.end() || !known->second.session) continue;
    known->second.session->Close(
        {StatusCode::kPermissionDenied, Reason::kRelayRevoked,
         "this relay's identity was revoked: enrol it under another name"});
    known->second.session.reset();
    known->second.held.clear();
    observations_.ForgetConditions(stored.name);
  }
  std::erase_if(surveys_, [&](const auto& survey) {
    return std::ranges::find(desired_.bridges, survey.first, &StoredBridge::id) ==
           desired_.bridges.end();
  });
  observations_.KeepOnly(desired_.partitions);
  return true;
}

bool FleetController::IsSilent(const RelayName& relay) const {
  const auto known = relays_.find(relay);
  const bool is_connected = known != relays_.end() && known->second.session;
  return !is_connected && leases_.SilentFor(relay, clock_.Now()) >= settings_.lease.ttl;
}

// Whether all relays have been silent for longer than their leases.
bool FleetController::HearsNobody() const {
  return std::ranges::all_of(desired_.relays, [this](const StoredRelay& stored) {
    return stored.is_revoked || IsSilent(stored.name);
  });
}

// If most relays fall silent at once, the fault is more likely here than there.
void FleetController::GuardAgainstMassSilence() {
  std::set<RelayName> owners;
  for (const StoredPartition& partition : desired_.partitions) {
    if (partition.owner) owners.insert(*partition.owner);
  }
  std::vector<RelayPresence> relays;
  for (const StoredRelay& stored : desired_.relays) {
    const auto known = relays_.find(stored.name);
    const bool has_left = known != relays_.end() && known->second.is_leaving;
    if (stored.is_revoked || has_left) continue;
    relays.push_back({.relay = stored.name,
                      .is_silent = IsSilent(stored.name),
                      .is_owner = owners.contains(stored.name),
                      .was_connected = known != relays_.end()});
  }
  if (!guard_.See(relays, clock_.Now())) return;
  if (guard_.is_suspect()) {
    kLog.Error("control plane is suspect",
               {{"silent_relays", guard_.suspects().size()},
                {"text",
                 "most relays fell silent at once: nothing is taken from a silent relay until most "
                 "of these are back. Look at the server's own network; revoke relays that are gone "
                 "for good"}});
    return;
  }
  kLog.Info("control plane is trusted again");
  // The others are on their way back too, if not as fast.
  leases_.RenewAll(clock_.Now());
}

std::vector<Candidate> FleetController::Candidates() const {
  std::vector<Candidate> candidates;
  for (const StoredRelay& stored : desired_.relays) {
    if (stored.is_revoked) continue;
    const auto known = relays_.find(stored.name);
    const bool is_known = known != relays_.end();
    const bool is_connected = is_known && known->second.session != nullptr;
    if (is_known && known->second.is_leaving) continue;
    // One that went without a word keeps its partitions until its lease has run out.
    if (!is_connected && leases_.HasRunOut(stored.name, clock_.Now()) && !guard_.is_suspect()) {
      continue;
    }
    candidates.push_back({.name = stored.name, .labels = stored.labels, .can_take = is_connected});
  }
  return candidates;
}

// --- Owners -------------------------------------------------------------------------------------

OwnerState FleetController::OwnerOf(const StoredPartition& partition) const {
  if (!partition.owner) return OwnerState::kNone;
  const auto stored = std::ranges::find(desired_.relays, *partition.owner, &StoredRelay::name);
  if (stored == desired_.relays.end() || stored->is_revoked) return OwnerState::kRevoked;
  const auto known = relays_.find(*partition.owner);
  if (known != relays_.end() && known->second.session) {
    const bool may_run = known->second.held.contains(partition.key);
    return may_run ? OwnerState::kRunning : OwnerState::kReleased;
  }
  const bool has_run_out = leases_.HasRunOut(*partition.owner, clock_.Now());
  return has_run_out ? OwnerState::kSilent : OwnerState::kLeased;
}

void FleetController::Reassign(const std::set<PartitionKey>& wanted,
                               const Assigner::Placement& placement) {
  placement_ = placement;
  const BootTime now = clock_.Now();
  std::vector<Reassignment> changes;
  std::set<PartitionKey> leaving;
  for (const StoredPartition& partition : desired_.partitions) {
    const auto placed = placement.find(partition.key);
    const std::optional<RelayName> to =
        placed == placement.end() ? std::nullopt : std::optional(placed->second);
    if (partition.owner == to) continue;
    const OwnerState owner = OwnerOf(partition);
    const bool is_silent = owner == OwnerState::kSilent;
    bool is_overdue = false;
    if (owner == OwnerState::kRunning) {
      leaving.insert(partition.key);
      is_overdue = releases_.IsOverdue(partition.key, now);
    }
    // What it said was wrong may be so no more.
    if (is_silent) observations_.ForgetConditions(*partition.owner);
    const std::optional<std::string_view> why =
        WhyToReassign({.owner = owner,
                       .is_wanted = wanted.contains(partition.key),
                       .has_taker = to.has_value(),
                       .may_reclaim = is_silent && !guard_.is_suspect() &&
                                      reclaim_pace_.Allows(*partition.owner, now),
                       .is_overdue = is_overdue});
    if (!why) continue;
    if (is_silent) reclaim_pace_.Reclaimed(*partition.owner, now);
    changes.push_back({partition.key, partition.token, to, std::string(*why)});
  }
  releases_.KeepOnly(leaving);
  if (changes.empty()) return;
  const StatusOr<std::vector<StoredPartition>> changed = checkpoint_store_.Reassign(changes);
  if (!changed.ok()) {
    kLog.Warn("partitions cannot be reassigned", {{"text", changed.status().message()}});
    return;
  }
  kLog.Info("partitions reassigned", {{"count", changed->size()}, {"reason", changes[0].reason}});
  LoadDesired();
}

// What the relay did not have before counts as held until it refuses it.
void FleetController::Offer(Relay& relay, const Assignments& assignments) {
  for (const BridgeAssignment& bridge : assignments.bridges) {
    for (const StreamAssignment& stream : bridge.streams) {
      for (const PartitionAssignment& partition : stream.partitions) {
        const PartitionKey key{.stream = stream.stream, .partition = partition.partition};
        if (relay.held.insert(key).second) relay.offered.insert(key);
      }
    }
  }
}

void FleetController::SendAssignments() {
  for (auto& [name, relay] : relays_) {
    if (!relay.session) continue;
    if (relay.certificate_not_after <= clock_.WallNow()) {
      relay.session->Close(
          {StatusCode::kUnauthenticated, Reason::kTlsCertificateExpired,
           "the certificate of this session has expired: connect with the new one"});
      relay.session.reset();
      continue;
    }
    if (!relay.awaited_nonce.empty()) {
      if (clock_.Now() - relay.sent_at > kAckPatience) {
        kLog.Warn("relay does not answer assignments", {{"relay_id", name}});
        relay.session->Close({StatusCode::kDeadlineExceeded, Reason::kUnavailable,
                              "assignments were not answered: connect again"});
        relay.session.reset();
      }
      continue;  // one at a time; what changed meanwhile goes with the next
    }
    Assignments assignments = AssignmentsFor(name, desired_, placement_, surveys_);
    const bool tries_again = relay.send_again_at && clock_.Now() >= *relay.send_again_at;
    if (relay.has_been_sent && SaysTheSame(assignments, relay.sent) && !tries_again) continue;
    relay.send_again_at.reset();
    Offer(relay, assignments);
    relay.awaited_nonce = fmt::format("a{}", ++last_number_);
    relay.sent = assignments;
    relay.has_been_sent = true;
    relay.sent_at = clock_.Now();
    relay.session->Send(
        NumberedAssignments{.nonce = relay.awaited_nonce, .assignments = std::move(assignments)});
  }
}

// --- Sessions -----------------------------------------------------------------------------------

void FleetController::Connect(std::shared_ptr<RelaySession> session, RelayHello hello) {
  Post([this, session = std::move(session), hello = std::move(hello)] {
    if (!DoGuarded(kLog, kFailed, [&] { Accept(session, hello); })) CloseFailed(*session);
  });
}

Status FleetController::Refusal(const RelayHello& hello) {
  if (!LoadDesired()) {
    return {StatusCode::kUnavailable, Reason::kStorageDegraded, "the database cannot be read"};
  }
  std::optional<RelayAdmission::Incumbent> incumbent;
  const auto known = relays_.find(hello.relay);
  if (known != relays_.end() && known->second.session) {
    incumbent = {known->second.boot_id, leases_.SilentFor(hello.relay, clock_.Now())};
  }
  return admission_.Review(hello, desired_, incumbent, clock_.Now());
}

void FleetController::Accept(std::shared_ptr<RelaySession> session, const RelayHello& hello) {
  if (Status refusal = Refusal(hello); !refusal.ok()) {
    session->Close(std::move(refusal));
    return;
  }
  if (Status adopted = AdoptHeld(hello); !adopted.ok()) {
    session->Close(std::move(adopted));
    return;
  }
  // Others were cut off with it, and are on their way back: their leases are no sign of death.
  if (!guard_.is_suspect() && HearsNobody()) leases_.RenewAll(clock_.Now());
  Relay& relay = relays_[hello.relay];
  if (relay.session) {
    relay.session->Close({StatusCode::kAborted, Reason::kUnavailable, "a newer session took over"});
  }
  relay = Relay{};
  relay.session = std::move(session);
  relay.boot_id = hello.boot_id;
  relay.certificate_not_after = hello.certificate_not_after;
  relay.last_seen = clock_.WallNow();
  leases_.Renew(hello.relay, clock_.Now());
  for (const HeldPartition& held : hello.held) {
    if (held.is_running) relay.held.insert(held.key);
  }
  if (Status seen = relay_store_.Seen(hello.relay, hello.version, hello.librdkafka); !seen.ok()) {
    kLog.Warn("relay's arrival cannot be stored", {{"text", seen.message()}});
  }
  kLog.Info("relay connected", {{"relay_id", hello.relay},
                                {"version", hello.version},
                                {"librdkafka", hello.librdkafka},
                                {"held", hello.held.size()}});
  relay.session->Send(Welcome{.session = fmt::format("s{}", ++last_number_),
                              .deployment_id = desired_.deployment_id,
                              .incarnation = desired_.incarnation,
                              .revision = desired_.revision,
                              .heartbeat_interval = settings_.lease.heartbeat_interval,
                              .lease_ttl = settings_.lease.ttl,
                              .commit_interval = settings_.commit_interval,
                              .report_interval = settings_.report_interval});
  relay.session->ReadOn();
  Wake();
}

// Takes what the relay confirmed while nobody listened, and notices a database that was rolled
// back: then nothing may go on before all that was issued is fenced.
Status FleetController::AdoptHeld(const RelayHello& hello) {
  HeldReview review = ReviewHeld(hello, desired_);
  if (review.is_rolled_back) {
    kLog.Error("the database was rolled back: everything issued before is fenced",
               {{"relay_id", hello.relay}, {"revision", hello.revision}});
    const StatusOr<int64_t> bumped = checkpoint_store_.BumpIncarnation(
        "relay " + hello.relay.value + " knew a newer state", review.newest_incarnation + 1);
    if (!bumped.ok() || !LoadDesired()) {
      kLog.Error("fencing failed", {{"text", bumped.status().message()}});
      return {StatusCode::kUnavailable, Reason::kStorageDegraded,
              "the database was rolled back, and cannot store that: connect again"};
    }
    return {};
  }
  if (!review.items.empty()) {
    checkpoint_store_.Commit(hello.relay, std::move(review.items), [](const auto&) {});
  }
  return {};
}

// A message of the session was dealt with in part at most. It connects again, and all is compared.
void FleetController::CloseFailed(RelaySession& session) {
  session.Close({StatusCode::kUnavailable, Reason::kInternal,
                 "the server could not deal with a message: connect again"});
}

FleetController::Relay* FleetController::RelayOf(const RelaySession* session, RelayName& name) {
  for (auto& [known, relay] : relays_) {
    if (relay.session.get() != session) continue;
    name = known;
    return &relay;
  }
  return nullptr;
}

void FleetController::Disconnect(const RelaySession* session) {
  Post([this, session] {
    RelayName name;
    Relay* const relay = RelayOf(session, name);
    if (relay == nullptr) return;
    relay->session.reset();
    relay->awaited_nonce.clear();
    if (relay->is_leaving) observations_.ForgetConditions(name);
    kLog.Info("relay disconnected", {{"relay_id", name}, {"held", relay->held.size()}});
    Wake();
  });
}

void FleetController::Receive(const RelaySession* session, FromRelay message) {
  Post([this, session, message = std::move(message)]() mutable {
    RelayName name;
    Relay* const relay = RelayOf(session, name);
    if (relay == nullptr) return;
    relay->last_seen = clock_.WallNow();
    const bool is_done = DoGuarded(kLog, kFailed, [&] {
      std::visit([&](auto& content) { Take(name, *relay, std::move(content)); }, message);
      // None: it was found revoked meanwhile.
      if (relay->session) relay->session->ReadOn();
    });
    if (is_done || !relay->session) return;
    CloseFailed(*relay->session);
    relay->session.reset();
  });
}

void FleetController::Take(const RelayName& name, Relay& relay, const RelayAck& ack) {
  if (ack.nonce != relay.awaited_nonce) return;
  relay.awaited_nonce.clear();
  relay.refusals.clear();
  // What it refused and did not have before, it does not run.
  std::set<StreamId> refused;
  for (const auto& [stream, status] : ack.errors) refused.insert(stream);
  for (const auto& [bridge, status] : ack.bridge_errors) {
    for (const StoredStream& stream : desired_.streams) {
      if (stream.bridge == bridge) refused.insert(stream.id);
    }
  }
  for (const PartitionKey& key : std::exchange(relay.offered, {})) {
    if (refused.contains(key.stream) || !ack.status.ok()) relay.held.erase(key);
  }
  if (!ack.status.ok()) {
    kLog.Warn("relay refuses assignments", {{"relay_id", name}, {"text", ack.status.ToString()}});
    relay.send_again_at = clock_.Now() + kSendAgainAfter;
  }
  for (const auto& [stream, status] : ack.errors) {
    kLog.Warn("relay cannot take a stream over",
              {{"relay_id", name}, {"stream", stream}, {"text", status.ToString()}});
    const auto stored = std::ranges::find(desired_.streams, stream, &StoredStream::id);
    if (stored != desired_.streams.end()) {
      relay.refusals.push_back(ConditionOf(stored->bridge, stream, status));
    }
    relay.send_again_at = clock_.Now() + kSendAgainAfter;
  }
  for (const auto& [bridge, status] : ack.bridge_errors) {
    const auto stored = std::ranges::find(desired_.bridges, bridge, &StoredBridge::id);
    if (stored != desired_.bridges.end()) {
      kLog.Warn("relay cannot take a bridge over",
                {{"relay_id", name}, {"bridge", stored->spec.name}, {"text", status.ToString()}});
      relay.refusals.push_back(ConditionOf(bridge, std::nullopt, status));
    }
    relay.send_again_at = clock_.Now() + kSendAgainAfter;
  }
  Wake();
}

void FleetController::Take(const RelayName& name, Relay& relay, RelayHeartbeat heartbeat) {
  leases_.Renew(name, clock_.Now());
  relay.converged = {heartbeat.converged.begin(), heartbeat.converged.end()};
  relay.session->Send(LeaseGrant{.sent_at_ns = heartbeat.sent_at_ns, .ttl = settings_.lease.ttl});
}

void FleetController::Take(const RelayName& name, Relay& relay, RelayCommit commit) {
  checkpoint_store_.Commit(
      name, std::move(commit.items),
      [session = relay.session, batch = commit.batch_id](std::vector<CommitResult> results) {
        session->Send(CommitResults{.batch_id = batch, .results = std::move(results)});
      });
}

void FleetController::Take(const RelayName& name, Relay& relay, Report report) {
  for (const Condition& condition : report.conditions) {
    const bool is_another_topic = condition.reason == Reason::kSourceChanged &&
                                  condition.side == Side::kSource && condition.partition;
    if (is_another_topic && condition.stream) EndLife(*condition.stream);
  }
  report.conditions.insert(report.conditions.end(), relay.refusals.begin(), relay.refusals.end());
  observations_.Take(name, report, clock_.Now(), clock_.WallNow());
}

// A record of the topic that comes there has the offset of an old one, and must not get its id.
void FleetController::EndLife(StreamId stream) {
  if (ended_lives_.contains(stream)) return;
  if (Status noted = stream_store_.EndLife(stream); !noted.ok()) {
    kLog.Warn("a topic's end cannot be noted", {{"stream", stream}, {"text", noted.message()}});
    return;
  }
  ended_lives_.insert(stream);
  kLog.Info("a topic's life has ended", {{"stream", stream}});
}

void FleetController::Take(const RelayName& name, Relay& /*relay*/, SurveyResult survey) {
  SurveyState& state = surveys_[survey.bridge];
  if (state.surveyor != name || !LoadDesired()) return;
  const auto bridge = std::ranges::find(desired_.bridges, survey.bridge, &StoredBridge::id);
  if (bridge == desired_.bridges.end() || bridge->generation != survey.generation) return;

  const std::optional<Condition> change = ClusterChange(survey, *bridge);
  state.Take(survey, change, clock_.Now(), clock_.WallNow());
  if (change) {
    kLog.Error("another cluster answers", {{"bridge", bridge->spec.name}, {"text", change->text}});
    Wake();
    return;
  }
  for (Condition& anew : TopicChanges(survey, desired_, state)) {
    EndLife(*anew.stream);
    state.conditions.push_back(std::move(anew));
  }
  for (const StreamId stream : StreamsWithoutTopic(survey, *bridge, desired_, state)) {
    EndLife(stream);
  }
  if (const std::optional<Learnt> learnt = LearnFrom(survey, *bridge, desired_, state)) {
    if (Status stored = stream_store_.Learn(*learnt); !stored.ok()) {
      kLog.Warn("survey cannot be stored", {{"text", stored.message()}});
      return;
    }
    kLog.Info("survey stored",
              {{"bridge", bridge->spec.name}, {"streams", learnt->streams.size()}});
    LoadDesired();
  }
  for (const SurveyedTopic& topic : survey.topics) {
    const auto stream = std::ranges::find_if(desired_.streams, [&](const StoredStream& other) {
      return other.bridge == survey.bridge && other.topic == topic.topic;
    });
    if (stream == desired_.streams.end()) continue;
    for (const SurveyedPartition& partition : topic.partitions) {
      observations_.TakeLog({.stream = stream->id, .partition = partition.partition},
                            partition.log_start, partition.log_end, clock_.Now());
    }
  }
  Wake();
}

void FleetController::Take(const RelayName& name, Relay& relay, RelayReleased released) {
  relay.is_leaving = relay.is_leaving || released.is_leaving;
  // It was given the partition again meanwhile, and will run it: it has it until it releases that.
  if (!relay.is_leaving && Names(relay.sent, released.key)) return;
  relay.held.erase(released.key);
  kLog.Info("partition released", {{"relay_id", name},
                                   {"stream", released.key.stream},
                                   {"partition", released.key.partition},
                                   {"next_offset", released.final_offset}});
  Wake();
}

// --- What others ask ----------------------------------------------------------------------------

StatusOr<FleetView> FleetController::View() {
  return Call<StatusOr<FleetView>>([this]() -> StatusOr<FleetView> {
    if (!LoadDesired()) {
      return Status(StatusCode::kUnavailable, Reason::kStorageDegraded,
                    "the database cannot be read");
    }
    FleetView view = ViewOf(desired_, Evidence(), clock_.Now(), clock_.WallNow());
    for (auto& [id, bridge] : view.bridges) ages_.AddTo(bridge.conditions, clock_.Now());
    return view;
  });
}

FleetEvidence FleetController::Evidence() const {
  FleetEvidence evidence{.observations = observations_,
                         .surveys = surveys_,
                         .relays = {},
                         .is_storage_degraded = database_.writer().is_degraded()};
  for (const auto& [name, relay] : relays_) {
    evidence.relays[name] = {.is_connected = relay.session != nullptr,
                             .last_seen = relay.last_seen,
                             .converged = relay.converged,
                             .twin_age = admission_.TwinAge(name, clock_.Now())};
  }
  return evidence;
}

bool FleetController::NeedsSecret(const RelayName& relay, SecretRef secret) {
  return Call<bool>([&] {
    const auto known = relays_.find(relay);
    // A session is all that a relay has rights by: one that was revoked has none.
    if (known == relays_.end() || !known->second.session) return false;
    const auto needs = [&](const std::optional<SecretRef>& has) { return has == secret; };
    const bool is_assigned =
        std::ranges::any_of(known->second.sent.bridges, [&](const BridgeAssignment& bridge) {
          return needs(bridge.source_secret) || needs(bridge.target_secret);
        });
    return is_assigned || queries_.Needs(relay, secret);
  });
}

std::set<RelayName> FleetController::Connected() const {
  std::set<RelayName> connected;
  for (const auto& [name, relay] : relays_) {
    if (relay.session) connected.insert(name);
  }
  return connected;
}

// `plan` runs on the controller's thread, with the present desired state.
StatusOr<AnsweredQuery> FleetController::Ask(const std::function<StatusOr<PlannedQuery>()>& plan) {
  using Future = std::future<AnsweredQuery>;
  std::string query_id;
  StatusOr<Future> future = Call<StatusOr<Future>>([&]() -> StatusOr<Future> {
    LoadDesired();
    StatusOr<PlannedQuery> planned = plan();
    if (!planned.ok()) return planned.status();
    planned->query.deadline = kQueryPatience;
    StatusOr<Future> answer = queries_.Add(planned->relay, planned->query);
    if (!answer.ok()) return answer;
    query_id = planned->query.query_id;
    relays_.at(planned->relay).session->Send(std::move(planned->query));
    return answer;
  });
  if (!future.ok()) return future.status();
  if (future->wait_for(kQueryPatience) == std::future_status::ready) return future->get();
  Call<int>([&] {
    queries_.Drop(query_id);
    return 0;
  });
  return Status(StatusCode::kDeadlineExceeded, Reason::kUnavailable,
                "the relay did not answer in time: try again");
}

StatusOr<FleetController::EndpointTest> FleetController::TestEndpoint(
    const std::string& endpoint, const std::string& relay, const std::vector<std::string>& topics) {
  StatusOr<AnsweredQuery> answered =
      Ask([&] { return PlanEndpointTest(desired_, Connected(), endpoint, relay, topics); });
  if (!answered.ok()) return answered.status();
  if (auto* const failure = std::get_if<Status>(&answered->answer)) return *failure;
  auto* const checks = std::get_if<std::vector<EndpointCheck>>(&answered->answer);
  if (checks == nullptr) {
    return Status(StatusCode::kInternal, Reason::kInternal,
                  fmt::format("relay {} answered another question", answered->relay.value));
  }
  return EndpointTest{.relay = std::move(answered->relay), .checks = std::move(*checks)};
}

template <typename Answer, typename Question>
StatusOr<Answer> FleetController::AskOfDeadLetters(const std::string& bridge, Question question) {
  StatusOr<AnsweredQuery> answered =
      Ask([&] { return PlanOfDeadLetters(desired_, Connected(), bridge, std::move(question)); });
  if (!answered.ok()) return answered.status();
  if (auto* const failure = std::get_if<Status>(&answered->answer)) return *failure;
  if (auto* const answer = std::get_if<Answer>(&answered->answer)) return std::move(*answer);
  return Status(StatusCode::kUnimplemented, Reason::kUnavailable,
                fmt::format("relay {} is of a version that knows nothing of dead letters: upgrade "
                            "it",
                            answered->relay.value));
}

StatusOr<DeadLetterPage> FleetController::ReadDeadLetters(const std::string& bridge,
                                                          const DeadLetterSelection& selection,
                                                          int limit) {
  return AskOfDeadLetters<DeadLetterPage>(
      bridge, DeadLetterReadQuestion{.bridge = {}, .selection = selection, .limit = limit});
}

StatusOr<RetriedDeadLetters> FleetController::RetryDeadLetters(const std::string& bridge,
                                                               const DeadLetterSelection& selection,
                                                               const std::string& turn) {
  return AskOfDeadLetters<RetriedDeadLetters>(
      bridge, DeadLetterRetryQuestion{.bridge = {}, .selection = selection, .turn = turn});
}

void FleetController::AnswerQuery(const RelayName& relay, const std::string& query_id,
                                  QueryAnswer answer) {
  Post([this, relay, query_id, answer = std::move(answer)]() mutable {
    queries_.Answer(relay, query_id, std::move(answer));
  });
}

}  // namespace drawbridge
