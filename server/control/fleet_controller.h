#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "server/control/assigner.h"
#include "server/control/condition_ages.h"
#include "server/control/fleet_observations.h"
#include "server/control/fleet_view.h"
#include "server/control/lease_table.h"
#include "server/control/owner_change.h"
#include "server/control/pending_queries.h"
#include "server/control/query_plan.h"
#include "server/control/relay_admission.h"
#include "server/control/relay_session.h"
#include "server/control/silence_guard.h"
#include "server/control/survey_controller.h"
#include "server/store/checkpoint_store.h"
#include "server/store/control_database.h"
#include "server/store/relay_store.h"
#include "server/store/stream_store.h"

namespace drawbridge {

struct FleetSettings {
  LeaseSettings lease;
  Duration commit_interval = std::chrono::seconds(1);
  Duration report_interval = std::chrono::seconds(1);
  Duration tick = std::chrono::milliseconds(500);
  // How long a connected relay may take to release a partition: what it drains for, and then the
  // rule of leases.
  Duration release_patience = std::chrono::seconds(65);
};

// Makes relays do what the database says. It works on levels, not on events: whatever happens, it
// compares what is stored with what relays hold and takes the next step towards agreement, so a
// message that is lost, doubled or late changes nothing for good.
//
// A partition changes hands in this order: it leaves the assignments of the relay that has it; that
// relay releases it, or does not in time, or its lease runs out while another can take it; the
// database gives it a new epoch and owner; the new owner is told. No relay is given a partition
// before its start is stored and its target partition exists.
//
// All work is done on one thread of its own, which goes on when something throws: what was not done
// is looked at again, and a session whose message was not dealt with is closed. The public methods
// are thread-safe and, but for those that return something, do not wait. The stores outlive it.
class FleetController {
 public:
  FleetController(FleetSettings settings, ControlDatabase& database, StreamStore& streams,
                  CheckpointStore& checkpoints, RelayStore& relays, const Clock& clock);
  // All sessions have ended.
  ~FleetController();
  FleetController(const FleetController&) = delete;
  FleetController& operator=(const FleetController&) = delete;

  // A relay has said Hello. The session is accepted with a Welcome and reads on, or is closed with
  // the reason.
  void Connect(std::shared_ptr<RelaySession> session, RelayHello hello);
  void Disconnect(const RelaySession* session);
  // A message of an accepted session, which reads on when it has been taken.
  void Receive(const RelaySession* session, FromRelay message);

  // Tells relays that the server goes away, and closes their sessions.
  void EndSessions();

  // Desired state was changed: look now rather than at the next tick.
  void Wake();

  // Everything at one moment. Waits for the controller's thread.
  StatusOr<FleetView> View();

  // Whether the relay's present assignments need this secret.
  bool NeedsSecret(const RelayName& relay, SecretRef secret);

  // Asks a relay (any, if the name is empty) to test an endpoint; waits up to 14 s.
  struct EndpointTest {
    RelayName relay;
    std::vector<EndpointCheck> checks;
  };
  StatusOr<EndpointTest> TestEndpoint(const std::string& endpoint, const std::string& relay,
                                      const std::vector<std::string>& topics);

  // Asks a relay that may run the bridge for its dead letters; waits up to 14 s.
  StatusOr<DeadLetterPage> ReadDeadLetters(const std::string& bridge,
                                           const DeadLetterSelection& selection, int limit);
  // The same, to send some of them again: as many as can be done in that time.
  StatusOr<RetriedDeadLetters> RetryDeadLetters(const std::string& bridge,
                                                const DeadLetterSelection& selection,
                                                const std::string& turn);

  void AnswerQuery(const RelayName& relay, const std::string& query_id, QueryAnswer answer);

 private:
  // A relay as the controller knows it.
  struct Relay {
    std::shared_ptr<RelaySession> session;  // none: not connected
    WallTime certificate_not_after{};
    std::string boot_id;
    bool is_leaving = false;         // it is stopping: it gets nothing more
    std::set<PartitionKey> held;     // what it may be running
    std::set<PartitionKey> offered;  // of it, what it has with the unanswered assignments for the
                                     // first time
    Assignments sent;                // the newest that it was sent in this session
    bool has_been_sent = false;
    std::string awaited_nonce;  // not answered yet; empty: none
    BootTime sent_at{};
    std::optional<BootTime> send_again_at;  // after a refusal
    std::map<BridgeId, int64_t> converged;
    std::vector<Condition> refusals;  // streams that it could not take over
    std::optional<WallTime> last_seen;
  };

  void Post(std::function<void()> task);
  template <typename T>
  T Call(std::function<T()> task);
  void Loop();
  void Reconcile();

  void Accept(std::shared_ptr<RelaySession> session, const RelayHello& hello);
  Status Refusal(const RelayHello& hello);
  Status AdoptHeld(const RelayHello& hello);
  void CloseFailed(RelaySession& session);
  Relay* RelayOf(const RelaySession* session, RelayName& name);
  std::set<RelayName> Connected() const;
  StatusOr<AnsweredQuery> Ask(const std::function<StatusOr<PlannedQuery>()>& plan);
  template <typename Answer, typename Question>
  StatusOr<Answer> AskOfDeadLetters(const std::string& bridge, Question question);
  void Take(const RelayName& name, Relay& relay, const RelayAck& ack);
  void Take(const RelayName& name, Relay& relay, RelayHeartbeat heartbeat);
  void Take(const RelayName& name, Relay& relay, RelayCommit commit);
  void Take(const RelayName& name, Relay& relay, Report report);
  void Take(const RelayName& name, Relay& relay, SurveyResult survey);
  void Take(const RelayName& name, Relay& relay, RelayReleased released);

  void EndLife(StreamId stream);

  bool LoadDesired();
  bool IsSilent(const RelayName& relay) const;
  bool HearsNobody() const;
  void GuardAgainstMassSilence();
  OwnerState OwnerOf(const StoredPartition& partition) const;
  std::vector<Candidate> Candidates() const;
  void Reassign(const std::set<PartitionKey>& wanted, const Assigner::Placement& placement);
  static void Offer(Relay& relay, const Assignments& assignments);
  void SendAssignments();
  FleetEvidence Evidence() const;

  const FleetSettings settings_;
  ControlDatabase& database_;
  StreamStore& stream_store_;
  CheckpointStore& checkpoint_store_;
  RelayStore& relay_store_;
  const Clock& clock_;

  // The controller's thread only.
  DesiredState desired_;
  LeaseTable leases_;
  FleetObservations observations_;
  ConditionAges ages_;
  std::map<RelayName, Relay> relays_;
  RelayAdmission admission_;
  std::map<BridgeId, SurveyState> surveys_;
  std::map<PartitionKey, RelayName> placement_;
  std::set<StreamId> ended_lives_;  // noted already
  PendingQueries queries_;
  SilenceGuard guard_;
  ReleaseWatch releases_;
  ReclaimPace reclaim_pace_;
  uint64_t last_number_ = 0;

  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<std::function<void()>> tasks_ DRAWBRIDGE_GUARDED_BY(mutex_);
  bool is_woken_ DRAWBRIDGE_GUARDED_BY(mutex_) = true;
  bool is_ending_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace drawbridge
