#include "tests/relay/control/scripted_server.h"

#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 60s;

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string FromBuffer(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  if (!buffer.DumpToSingleSlice(&slice).ok()) return {};
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

// Answers a call that nobody answers once it is cancelled.
class SilentCall final : public grpc::ServerUnaryReactor {
 public:
  void OnCancel() override { Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }
};

grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext& context, const grpc::Status& status) {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

}  // namespace

// One stream. Writes go one after the other; the end comes after what was said before it.
class ScriptedServer::Session final
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit Session(ScriptedServer& server) : server_(server) {}

  // The stream needs it until it is done.
  void Begin(std::shared_ptr<Session> self, bool reads) {
    self_ = std::move(self);
    if (reads) StartRead(&in_);
  }
  std::shared_ptr<Session> shared() const { return self_; }
  bool Say(const std::string& bytes) {
    const MutexLock lock(mutex_);
    if (end_ || has_finished_) return false;
    out_.push_back(ToBuffer(bytes));
    if (out_.size() == 1) StartWrite(&out_.front());
    return true;
  }
  void End(const grpc::Status& status) {
    const MutexLock lock(mutex_);
    if (end_) return;
    end_ = status;
    if (out_.empty()) FinishOnce();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      End(grpc::Status::OK);
      return;
    }
    v1::RelayMessage message;
    EXPECT_TRUE(message.ParseFromString(FromBuffer(in_)));
    server_.Take(*this, message);
    StartRead(&in_);
  }
  void OnWriteDone(bool ok) override {
    const MutexLock lock(mutex_);
    out_.pop_front();
    if (!ok) out_.clear();
    if (!out_.empty()) {
      StartWrite(&out_.front());
    } else if (end_) {
      FinishOnce();
    }
  }
  void OnCancel() override {
    const MutexLock lock(mutex_);
    if (!end_) end_ = grpc::Status::CANCELLED;
    if (out_.empty()) FinishOnce();
  }
  void OnDone() override {
    {
      const MutexLock lock(server_.mutex_);
      --server_.heard_.open;
      if (server_.session_.get() == this) server_.session_.reset();
    }
    server_.changed_.notify_all();
    self_.reset();
  }

 private:
  void FinishOnce() DRAWBRIDGE_REQUIRES(mutex_) {
    if (!std::exchange(has_finished_, true)) Finish(*end_);
  }

  ScriptedServer& server_;
  std::shared_ptr<Session> self_;
  grpc::ByteBuffer in_;
  Mutex mutex_;
  std::deque<grpc::ByteBuffer> out_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::optional<grpc::Status> end_ DRAWBRIDGE_GUARDED_BY(mutex_);
  bool has_finished_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
};

using Rpc = v1::RelaySessionService;

class ScriptedServer::Service final
    : public Rpc::WithRawCallbackMethod_Connect<
          Rpc::WithCallbackMethod_GetSecret<Rpc::WithCallbackMethod_RenewCertificate<
              Rpc::WithCallbackMethod_AnswerQuery<Rpc::Service>>>> {
 public:
  explicit Service(ScriptedServer& server) : server_(server) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Connect(
      grpc::CallbackServerContext* /*context*/) override {
    auto session = std::make_shared<Session>(server_);
    bool reads = true;
    {
      const MutexLock lock(server_.mutex_);
      reads = server_.reads_;
      if (!reads) server_.session_ = session;  // else when it has been welcomed
      ++server_.heard_.sessions;
      ++server_.heard_.open;
    }
    server_.changed_.notify_all();
    session->Begin(session, reads);
    return session.get();
  }

  grpc::ServerUnaryReactor* GetSecret(grpc::CallbackServerContext* context,
                                      const v1::GetSecretRequest* request,
                                      v1::GetSecretResponse* response) override {
    SecretAnswer answer;
    {
      const MutexLock lock(server_.mutex_);
      server_.heard_.secrets.push_back(request->secret());
      answer = server_.secrets_;
    }
    server_.changed_.notify_all();
    if (!answer) return new SilentCall;
    return Answer(*context, answer(request->secret(), *response));
  }

  grpc::ServerUnaryReactor* RenewCertificate(grpc::CallbackServerContext* context,
                                             const v1::RenewCertificateRequest* request,
                                             v1::RenewCertificateResponse* response) override {
    CertificateAnswer answer;
    {
      const MutexLock lock(server_.mutex_);
      ++server_.heard_.renewals;
      answer = server_.certificates_;
    }
    server_.changed_.notify_all();
    if (!answer) return new SilentCall;
    return Answer(*context, answer(*request, *response));
  }

  grpc::ServerUnaryReactor* AnswerQuery(grpc::CallbackServerContext* context,
                                        const v1::AnswerQueryRequest* request,
                                        v1::AnswerQueryResponse* /*response*/) override {
    bool takes_answers = false;
    {
      const MutexLock lock(server_.mutex_);
      server_.heard_.answers.push_back(*request);
      takes_answers = server_.takes_answers_;
    }
    server_.changed_.notify_all();
    if (!takes_answers) return new SilentCall;
    return Answer(*context, grpc::Status::OK);
  }

 private:
  ScriptedServer& server_;
};

ScriptedServer::ScriptedServer(const Tls& tls) : service_(std::make_unique<Service>(*this)) {
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = tls.relay_ca;
  options.pem_key_cert_pairs = {{.private_key = tls.key, .cert_chain = tls.certificate}};
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &port_);
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
}

ScriptedServer::~ScriptedServer() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

std::string ScriptedServer::address() const { return fmt::format("127.0.0.1:{}", port_); }

void ScriptedServer::SetWelcome(std::optional<v1::Welcome> welcome) {
  const MutexLock lock(mutex_);
  welcome_ = std::move(welcome);
}

void ScriptedServer::SetOutcome(std::optional<v1::CommitOutcome> outcome) {
  const MutexLock lock(mutex_);
  outcome_ = outcome;
}

void ScriptedServer::SetSecrets(SecretAnswer answer) {
  const MutexLock lock(mutex_);
  secrets_ = std::move(answer);
}

void ScriptedServer::SetCertificates(CertificateAnswer answer) {
  const MutexLock lock(mutex_);
  certificates_ = std::move(answer);
}

void ScriptedServer::SetReads(bool reads) {
  const MutexLock lock(mutex_);
  reads_ = reads;
}

void ScriptedServer::SetTakesAnswers(bool takes_answers) {
  const MutexLock lock(mutex_);
  takes_answers_ = takes_answers;
}

std::shared_ptr<ScriptedServer::Session> ScriptedServer::WaitForSession() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  while (!session_) {
    if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout) return nullptr;
  }
  return session_;
}

bool ScriptedServer::Say(const v1::ServerMessage& message) {
  return SayBytes(message.SerializeAsString());
}

bool ScriptedServer::SayBytes(const std::string& bytes) {
  while (const std::shared_ptr<Session> session = WaitForSession()) {
    if (session->Say(bytes)) return true;
    // It is ending: what is said is for the next one.
    const MutexLock lock(mutex_);
    if (session_ == session) session_.reset();
  }
  return false;
}

bool ScriptedServer::End(const grpc::Status& status) {
  const std::shared_ptr<Session> session = WaitForSession();
  if (!session) return false;
  {
    const MutexLock lock(mutex_);
    if (session_ == session) session_.reset();  // what is said next is for the next one
  }
  session->End(status);
  return true;
}

void ScriptedServer::Take(Session& session, const v1::RelayMessage& message) {
  v1::ServerMessage answer;
  {
    const MutexLock lock(mutex_);
    heard_.messages.push_back(message);
    if (message.has_hello() && welcome_) *answer.mutable_welcome() = *welcome_;
    if (message.has_commit() && outcome_) {
      v1::CommitResults& results = *answer.mutable_commit_results();
      results.set_batch_id(message.commit().batch_id());
      for (const v1::CommitItem& item : message.commit().items()) {
        v1::CommitResult& result = *results.add_results();
        result.set_stream_id(item.stream_id());
        result.set_partition(item.partition());
        result.set_outcome(*outcome_);
        *result.mutable_token() = item.token();
        result.set_next_offset(item.next_offset());
      }
    }
  }
  if (answer.message_case() != v1::ServerMessage::MESSAGE_NOT_SET) {
    session.Say(answer.SerializeAsString());
  }
  if (message.has_hello()) {
    const MutexLock lock(mutex_);
    session_ = session.shared();
  }
  changed_.notify_all();
}

bool ScriptedServer::Until(const std::function<bool(const Heard&)>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  while (!holds(heard_)) {
    if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout) return holds(heard_);
  }
  return true;
}

void ScriptedServer::Forget() {
  const MutexLock lock(mutex_);
  heard_.messages.clear();
  heard_.answers.clear();
  heard_.secrets.clear();
}

ScriptedServer::Heard ScriptedServer::heard() {
  const MutexLock lock(mutex_);
  return heard_;
}

}  // namespace drawbridge
