#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "drawbridge/v1/relay.grpc.pb.h"
#include "relay/control/commit_exchange.h"
#include "relay/control/query_answers.h"
#include "relay/control/query_threads.h"
#include "relay/control/relay_identity.h"
#include "relay/supervisor/lane_factory.h"
#include "relay/supervisor/supervisor.h"

namespace drawbridge {

struct SessionSettings {
  std::string server;           // host:port of the relay port
  std::filesystem::path state;  // where the identity is
  std::string version;
  std::string librdkafka_version;
  std::string librdkafka_features;
};

// A state of the server's database that the relay has heard of. A revision counts within its
// incarnation.
struct SeenState {
  int64_t incarnation = 0;
  int64_t revision = 0;

  friend auto operator<=>(const SeenState&, const SeenState&) = default;
};

// The session with the server: assignments in; checkpoints, reports and surveys out. While the
// server is away records go on flowing, and the session is tried again, with jitter, for ever.
//
// Two threads of its own, one that reads and one that writes what is due, and a few that answer
// queries. The public methods are thread-safe. Board and factory outlive it.
class ControlSession {
 public:
  ControlSession(SessionSettings settings, RelayIdentity identity, LaneFactory& factory,
                 ProgressBoard& board, const Clock& clock);
  ~ControlSession();
  ControlSession(const ControlSession&) = delete;
  ControlSession& operator=(const ControlSession&) = delete;

  // Begins to connect; the supervisor outlives the session's threads.
  void Start(Supervisor& supervisor);

  // Something shall be committed at once.
  void Wake();
  void GiveBack(GivenBack given_back);
  void Surveyed(SurveyResult result);

  // Says what is still to be said, waits until `deadline` for the server to answer it, and ends the
  // session with its threads; whether the server has all of it. After the supervisor was drained,
  // and before it dies.
  bool Stop(BootTime deadline);

 private:
  using Stream = grpc::ClientReaderWriter<v1::RelayMessage, v1::ServerMessage>;

  // What the present session has agreed on.
  struct Terms {
    Duration heartbeat_interval = std::chrono::seconds(5);
    Duration commit_interval = std::chrono::seconds(1);
    Duration report_interval = std::chrono::seconds(1);
  };
  void End();
  void ReadLoop();
  void RunOnce();
  void GiveUp();
  void Take(const v1::ServerMessage& message);
  void Take(const v1::Welcome& welcome);
  void Take(const v1::Assignments& message);
  void Take(const v1::CommitResults& message);
  void Take(const v1::Query& query);
  void Answer(const v1::Query& query, BootTime until);
  std::vector<std::pair<BridgeId, Status>> FetchSecrets(
      Assignments& assignments, std::map<SecretRef, CredentialSecret>& secrets);
  StatusOr<CredentialSecret> FetchSecret(SecretRef ref);

  void WriteLoop();
  void WriteDue(BootTime now);
  bool Write(const v1::RelayMessage& message);
  void WriteHello();
  void WriteSurvey(const SurveyResult& result);
  void WriteHeartbeat();
  void WriteCommit();
  void WriteReleased(const GivenBack& back);
  void WriteReport();
  void RenewIfDue();
  bool HasExpired();
  bool IsWelcome();
  std::shared_ptr<v1::RelaySessionService::Stub> Stub();

  const SessionSettings settings_;
  QueryAnswers answers_;
  ProgressBoard& board_;
  const Clock& clock_;
  Supervisor* supervisor_ = nullptr;
  const std::string boot_id_;
  Backoff backoff_;

  Mutex mutex_;
  ConditionVariable changed_;
  RelayIdentity identity_ DRAWBRIDGE_GUARDED_BY(mutex_);
  double renew_fraction_ = 0.5;
  BootTime renew_attempt_at_{};
  std::shared_ptr<v1::RelaySessionService::Stub> stub_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::shared_ptr<grpc::ClientContext> context_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::shared_ptr<Stream> stream_ DRAWBRIDGE_GUARDED_BY(mutex_);
  bool is_welcome_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  // When the session is ended here, should the server neither welcome the relay nor end it.
  std::optional<BootTime> give_up_at_ DRAWBRIDGE_GUARDED_BY(mutex_);
  bool is_stopping_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  bool is_all_due_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  Terms terms_ DRAWBRIDGE_GUARDED_BY(mutex_);
  CommitExchange commits_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::map<BridgeId, SurveyResult> surveys_ DRAWBRIDGE_GUARDED_BY(mutex_);
  SeenState newest_ DRAWBRIDGE_GUARDED_BY(mutex_);

  Mutex write_mutex_;  // one write at a time; never taken with mutex_ held
  BootTime heartbeat_at_{};
  BootTime commit_at_{};
  BootTime report_at_{};
  int64_t last_heartbeat_ = 0;
  std::map<SecretRef, CredentialSecret> secrets_;  // the reading thread's, of what is applied
  std::map<BridgeId, BridgeAssignment> applied_;   // the reading thread's
  QueryThreads queries_;
  std::thread reader_;
  std::thread writer_;
};

}  // namespace drawbridge
