#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "relay/control/control_session.h"
#include "relay/pipeline/journal.h"
#include "relay/pipeline/progress_board.h"
#include "relay/supervisor/supervisor.h"
#include "tests/fakes/fake_lane_factory.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/relay/control/scripted_server.h"
#include "tests/relay/waiting.h"

namespace drawbridge {

// The machine's clocks, which a test can shift.
class ShiftedClock final : public Clock {
 public:
  WallTime WallNow() const override {
    const Duration shift{wall_ns_};
    return System().WallNow() + std::chrono::duration_cast<std::chrono::microseconds>(shift);
  }
  BootTime Now() const override { return System().Now() + Duration{boot_ns_}; }
  // Time passes, but for the wall clock.
  void Advance(Duration by) { boot_ns_ += by.count(); }
  // Somebody sets the wall clock. Behind, calls have less time: their deadlines are wall times.
  void ShiftWall(Duration by) { wall_ns_ += by.count(); }

 private:
  std::atomic<int64_t> boot_ns_ = 0;
  std::atomic<int64_t> wall_ns_ = 0;
};

// A relay as it runs, but for its clusters, whose ends are fakes: a session over a supervisor, with
// a server that says what a test has it say.
class SessionTest : public testing::Test {
 protected:
  SessionTest();
  ~SessionTest() override;

  // --- What the server says ---

  // A Welcome of today's server, with short intervals.
  static v1::Welcome Welcome();
  // One bridge with one stream, which has partition 0 from offset 0 on: something that runs.
  static v1::Assignments Wanted(int64_t epoch = 1);
  // The same, with a bridge of its own.
  static v1::BridgeAssignment Bridge(int64_t id);
  static v1::SecretRef Ref(int64_t credential);
  // Answers every GetSecret with a user and a password.
  static grpc::Status AnswerLogin(const v1::SecretRef& ref, v1::GetSecretResponse& response);

  bool SayWelcome(const v1::Welcome& welcome);
  // The relay's answer; its nonce is set here. nullopt: none came, or the session has ended.
  std::optional<v1::Ack> Assign(v1::Assignments assignments);
  bool SayResults(const v1::CommitResults& results);
  bool AskFor(const v1::Query& query);

  // --- What the relay does ---

  // Takes on Wanted() and carries `records` of it.
  void Run(int64_t records = 10);
  // What runs goes on: new records arrive.
  bool GoesOn();
  // Waits until the target has all records of a stream's partition 0.
  bool Carries(int64_t stream, int64_t records);
  void Produce(int64_t records, int64_t stream = 1);
  size_t Written(int64_t stream);
  // Whether a session that is as it should be works: it takes assignments, carries, and commits.
  bool WorksWithAGoodServer();

  size_t CountHeard(v1::RelayMessage::MessageCase kind);
  // Waits for a message of that kind that comes after this call.
  bool HearsAgain(v1::RelayMessage::MessageCase kind);
  // Waits for a commit of this stream up to this offset, heard after `from` messages.
  bool Commits(int64_t stream, int64_t next, size_t from = 0);
  std::optional<v1::AnswerQueryRequest> AnswerTo(const std::string& query_id);

  // Waits until it holds; false after 15 s.
  template <typename Condition>
  static bool Eventually(Condition condition) {
    return TurnUntil({}, condition);
  }
  size_t lanes_alive();

  ShiftedClock clock_;
  TemporaryFolder folder_;
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<Journal> journal_;
  ProgressBoard board_{[this] { session_->Wake(); }};
  FakeLaneFactory factory_{clock_};
  std::unique_ptr<ControlSession> session_;
  std::unique_ptr<Supervisor> supervisor_;

  // The relay, made anew with another server's address.
  void ConnectTo(const std::string& address);
  // A certificate for a request, by the authority that the server trusts.
  std::string SignFor(const std::string& csr_pem);
  std::string server_ca();

 private:
  struct Authority;

  void End();

  std::unique_ptr<Authority> authority_;
  int64_t produced_ = 0;
  int64_t epoch_ = 1;
  int nonces_ = 0;
};

}  // namespace drawbridge
