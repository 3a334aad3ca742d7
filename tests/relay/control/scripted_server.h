#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "base/mutex.h"
#include "drawbridge/v1/relay.grpc.pb.h"

namespace drawbridge {

// A server of relays that says what a test has it say, be it nonsense: bytes go out as they are,
// sessions end as told, and calls are answered by the test or never. It stores nothing.
//
// By itself it answers a Hello with a Welcome and a Commit with its results, as a server does.
// Thread-safe.
class ScriptedServer {
 public:
  // What stands behind a listener: the relay's authority and the server's own certificate, PEM.
  struct Tls {
    std::string relay_ca;
    std::string certificate;
    std::string key;
  };

  explicit ScriptedServer(const Tls& tls);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string address() const;

  // --- What a test says ---

  // What answers the next Hellos; nullopt: nothing does.
  void SetWelcome(std::optional<v1::Welcome> welcome);
  // The outcome of every item that is committed; nullopt: commits are not answered.
  void SetOutcome(std::optional<v1::CommitOutcome> outcome);
  // Says something in the present session: the last one whose Hello has been answered, or, while
  // sessions are not read, that has begun. Waits for one; false if none comes.
  bool Say(const v1::ServerMessage& message);
  bool SayBytes(const std::string& bytes);
  // Ends the present session.
  bool End(const grpc::Status& status);

  using SecretAnswer = std::function<grpc::Status(const v1::SecretRef&, v1::GetSecretResponse&)>;
  // nullptr: GetSecret is never answered.
  void SetSecrets(SecretAnswer answer);
  using CertificateAnswer = std::function<grpc::Status(const v1::RenewCertificateRequest&,
                                                       v1::RenewCertificateResponse&)>;
  void SetCertificates(CertificateAnswer answer);
  // Whether sessions that begin from now on are read.
  void SetReads(bool reads);
  // Whether AnswerQuery is answered.
  void SetTakesAnswers(bool takes_answers);

  // --- What a test hears ---

  // Waits until what was heard of the relay so far makes it true; false after a minute.
  struct Heard {
    std::vector<v1::RelayMessage> messages;  // of all sessions
    std::vector<v1::AnswerQueryRequest> answers;
    std::vector<v1::SecretRef> secrets;  // that were asked for
    int renewals = 0;                    // that were asked for
    int sessions = 0;                    // that began
    int open = 0;                        // that have not ended
  };
  bool Until(const std::function<bool(const Heard&)>& holds);
  Heard heard();
  // Forgets the messages and the calls that were heard.
  void Forget();

 private:
  class Session;
  class Service;

  // Of the present session.
  std::shared_ptr<Session> WaitForSession();
  void Take(Session& session, const v1::RelayMessage& message);

  mutable Mutex mutex_;
  ConditionVariable changed_;
  Heard heard_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::shared_ptr<Session> session_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::optional<v1::Welcome> welcome_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::optional<v1::CommitOutcome> outcome_ DRAWBRIDGE_GUARDED_BY(mutex_) =
      v1::COMMIT_OUTCOME_STORED;
  SecretAnswer secrets_ DRAWBRIDGE_GUARDED_BY(mutex_);
  CertificateAnswer certificates_ DRAWBRIDGE_GUARDED_BY(mutex_);
  bool reads_ DRAWBRIDGE_GUARDED_BY(mutex_) = true;
  bool takes_answers_ DRAWBRIDGE_GUARDED_BY(mutex_) = true;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace drawbridge
