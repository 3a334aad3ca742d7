#include "relay/control/control_session.h"

#include <algorithm>
#include <random>
#include <utility>

#include <fmt/format.h>
#include <pthread.h>

#include "base/certificate.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/random_id.h"
#include "model/convert/assignment.h"
#include "model/convert/checkpoint.h"
#include "model/convert/credential.h"
#include "model/convert/field_reader.h"
#include "model/convert/observation.h"
#include "model/convert/status.h"
#include "model/convert/time.h"
#include "model/convert/utf8.h"
#include "relay/control/message_size.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.control");

constexpr int kProtocol = 1;
constexpr auto kUnaryDeadline = 10s;
// How long an answer to a query is of use, and how much of that is for its way back.
constexpr Duration kQueryPatience = 14s;
constexpr Duration kAnswerTravels = 2s;
constexpr Duration kRenewRetry = 30s;
constexpr Duration kWelcomePatience = 30s;
constexpr Duration kEndPatience = 5s;
// What a server may ask for: more often would be a flood, and more seldom silence.
constexpr Duration kIntervalLeast = 100ms;
constexpr Duration kIntervalMost = 1min;
constexpr size_t kLogTextBytesMax = 1024;
// Assignments come from the relay's own server, and in one piece.
constexpr int kAssignmentsBytesMax = 64 << 20;

double RandomFraction() {
  std::mt19937 random{std::random_device{}()};
  return std::uniform_real_distribution(kRenewFractionMin, kRenewFractionMax)(random);
}

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& server, const RelayIdentity& identity) {
  const grpc::SslCredentialsOptions options{
      .pem_root_certs = identity.ca_pem(),
      .pem_private_key = std::string(identity.key_pem().Reveal()),
      .pem_cert_chain = identity.certificate_pem()};
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a new identity is a new connection
  arguments.SetMaxReceiveMessageSize(kAssignmentsBytesMax);
  return grpc::CreateCustomChannel(server, grpc::SslCredentials(options), arguments);
}

// Whether clients can be made with it: those that run with the last one are given up only then.
Status CheckPem(const CredentialSecret& secret) {
  if (secret.kind != CredentialKind::kMtls) return {};
  if (!ReadCertificates(secret.certificate_pem).ok()) {
    return InvalidField("the credential holds no certificate in PEM: set it again");
  }
  // An encrypted key is opened by the client, with its password.
  if (secret.key_password.empty() && !ReadKey(secret.key_pem).ok()) {
    return InvalidField("the credential holds no private key in PEM: set it again");
  }
  return {};
}

// What a Welcome says of the database; an error if the session cannot be held with it.
StatusOr<SeenState> StateIn(const v1::Welcome& welcome) {
  FieldReader fields;
  fields.Check(welcome.protocol() == kProtocol, "protocol",
               fmt::format("is {}, and this relay speaks {} only", welcome.protocol(), kProtocol));
  return fields.Finish(
      SeenState{.incarnation = fields.Counter("incarnation", welcome.incarnation()),
                .revision = fields.Counter("revision", welcome.revision())});
}

Duration IntervalOf(const google::protobuf::Duration& wish, Duration usual) {
  const StatusOr<Duration> read = FromProto(wish);
  return read.ok() && *read >= kIntervalLeast && *read <= kIntervalMost ? *read : usual;
}

std::unique_ptr<grpc::ClientContext> UnaryContext(const Clock& clock) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::sys_time<Duration>(clock.WallNow()) + kUnaryDeadline);
  return context;
}

}  // namespace

ControlSession::ControlSession(SessionSettings settings, RelayIdentity identity,
                               LaneFactory& factory, ProgressBoard& board, const Clock& clock)
    : settings_(std::move(settings)),
      answers_(
          factory, [this](SecretRef ref) { return FetchSecret(ref); }, clock),
      board_(board),
      clock_(clock),
      boot_id_(NewRandomId()),
      backoff_(500ms, 15s),
      identity_(std::move(identity)),
      renew_fraction_(RandomFraction()),
      queries_(clock) {}

ControlSession::~ControlSession() { End(); }

void ControlSession::End() {
  {
    const MutexLock lock(mutex_);
    is_stopping_ = true;
    if (context_) context_->TryCancel();
  }
  changed_.notify_all();
  if (reader_.joinable()) reader_.join();
  if (writer_.joinable()) writer_.join();
  queries_.Stop();
}

void ControlSession::Start(Supervisor& supervisor) {
  supervisor_ = &supervisor;
  reader_ = std::thread([this] { ReadLoop(); });
  writer_ = std::thread([this] { WriteLoop(); });
}

void ControlSession::Wake() {
  {
    const MutexLock lock(mutex_);
    commits_.Hurry();
  }
  changed_.notify_all();
}

void ControlSession::GiveBack(GivenBack given_back) {
  {
    const MutexLock lock(mutex_);
    commits_.GiveBack(std::move(given_back));
  }
  changed_.notify_all();
}

void ControlSession::Surveyed(SurveyResult result) {
  {
    const MutexLock lock(mutex_);
    const BridgeId bridge = result.bridge;
    surveys_.insert_or_assign(bridge, std::move(result));
  }
  changed_.notify_all();
}

bool ControlSession::Stop(BootTime deadline) {
  bool is_said = false;
  {
    MutexLock lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
    // The last commits are under way: their results say that the server has them.
    while (is_welcome_ && !commits_.is_all_said() && clock_.Now() < deadline)
      changed_.wait_for(mutex_, 50ms);
    is_said = is_welcome_ && commits_.is_all_said();
    // Then the writer says that nothing follows, and the server ends the stream when it has read to
    // there. A server that does not read is left all the same.
    const BootTime ended = clock_.Now() + 2s;
    while (stream_ && clock_.Now() < ended) changed_.wait_for(mutex_, 20ms);
  }
  End();
  return is_said;
}

// --- Reading ------------------------------------------------------------------------------------

void ControlSession::ReadLoop() {
  pthread_setname_np(pthread_self(), "session-read");
  while (true) {
    {
      const MutexLock lock(mutex_);
      if (is_stopping_) return;
    }
    try {
      RunOnce();
    } catch (const std::exception& error) {
      kLog.Error("session failed", {{"text", error.what()}});
    }
    const Duration wait = backoff_.Next();
    const BootTime until = clock_.Now() + wait;
    MutexLock lock(mutex_);
    while (!is_stopping_ && clock_.Now() < until) changed_.wait_for(mutex_, until - clock_.Now());
  }
}

// One session from its first word to its last.
void ControlSession::RunOnce() {
  auto context = std::make_shared<grpc::ClientContext>();
  std::shared_ptr<v1::RelaySessionService::Stub> stub;
  {
    const MutexLock lock(mutex_);
    if (is_stopping_) return;
    stub = stub_ = v1::RelaySessionService::NewStub(ChannelTo(settings_.server, identity_));
    context_ = context;
  }
  // Waits for the connection, so without the mutex: lanes take it, on their way to wake the writer.
  const std::shared_ptr<Stream> stream = stub->Connect(context.get());
  {
    const MutexLock lock(mutex_);
    stream_ = stream;
    give_up_at_ = clock_.Now() + kWelcomePatience;
  }
  try {
    WriteHello();
    v1::ServerMessage message;
    while (stream->Read(&message)) Take(message);
  } catch (const std::exception& error) {
    kLog.Error("session failed", {{"text", error.what()}});
    context->TryCancel();
  }
  {
    const MutexLock lock(mutex_);
    is_welcome_ = false;
    stream_.reset();
    commits_.EndSession();
    // After bytes that are no message nothing more is read, and the end may never come.
    give_up_at_ = clock_.Now() + kEndPatience;
  }
  changed_.notify_all();
  Status ended;
  {
    const MutexLock lock(write_mutex_);  // nobody writes while the stream ends
    ended = FromGrpc(stream->Finish());
  }
  {
    const MutexLock lock(mutex_);
    give_up_at_.reset();
  }
  if (ended.reason() == Reason::kDuplicateIdentity || ended.reason() == Reason::kRelayRevoked) {
    kLog.Error("server refuses this relay",
               {{"reason", Name(ended.reason())}, {"text", ended.message()}});
  } else if (HasExpired()) {
    kLog.Error("certificate has expired",
               {{"reason", Name(Reason::kTlsCertificateExpired)},
                {"text",
                 "the server takes this relay's certificate no more: enrol the machine anew, under "
                 "another name and with an empty state folder"}});
  } else {
    kLog.Warn("session ended", {{"server", settings_.server}, {"text", ended.ToString()}});
  }
  if (ended.reason() == Reason::kRelayRevoked) GiveUp();
}

// Others have its partitions for good: what this relay carried on would arrive twice for ever, with
// secrets that are no longer meant for it.
void ControlSession::GiveUp() {
  supervisor_->Apply({}, {});
  secrets_.clear();
}

bool ControlSession::HasExpired() {
  const MutexLock lock(mutex_);
  return identity_.not_after() <= clock_.WallNow();
}

void ControlSession::Take(const v1::ServerMessage& message) {
  switch (message.message_case()) {
    case v1::ServerMessage::kWelcome:
      Take(message.welcome());
      break;
    case v1::ServerMessage::kAssignments:
      Take(message.assignments());
      break;
    case v1::ServerMessage::kCommitResults:
      Take(message.commit_results());
      break;
    case v1::ServerMessage::kQuery:
      Take(message.query());
      break;
    case v1::ServerMessage::kRestarting:
      kLog.Info("server is restarting",
                {{"text", ToUtf8(message.restarting().reason(), kLogTextBytesMax)}});
      break;
    case v1::ServerMessage::kLeaseGrant:      // the policy "continue" does not end with the lease
    case v1::ServerMessage::kSecretsChanged:  // the assignments that follow name the versions
    case v1::ServerMessage::MESSAGE_NOT_SET:
      break;
  }
}

void ControlSession::Take(const v1::Welcome& welcome) {
  const StatusOr<SeenState> state = StateIn(welcome);
  {
    const MutexLock lock(mutex_);
    if (!state.ok()) {
      context_->TryCancel();
    } else {
      terms_ = {.heartbeat_interval = IntervalOf(welcome.heartbeat_interval(), 5s),
                .commit_interval = IntervalOf(welcome.commit_interval(), 1s),
                .report_interval = IntervalOf(welcome.report_interval(), 1s)};
      newest_ = std::max(newest_, *state);
      // A session says at once that it is there, whatever was due when in the one before.
      if (!std::exchange(is_welcome_, true)) is_all_due_ = true;
      give_up_at_.reset();
    }
  }
  if (!state.ok()) {
    kLog.Error("welcome is of no use",
               {{"server", settings_.server}, {"text", state.status().message()}});
    return;
  }
  backoff_.Reset();
  kLog.Info("session began", {{"server", settings_.server},
                              {"session", ToUtf8(welcome.session(), kLogTextBytesMax)}});
  changed_.notify_all();
}

void ControlSession::Take(const v1::Assignments& message) {
  v1::RelayMessage answer;
  v1::Ack* const ack = answer.mutable_ack();
  ack->set_nonce(message.nonce());
  ack->set_revision(message.revision());
  StatusOr<Assignments> assignments = FromProto(message);
  if (!IsWelcome()) {
    assignments = Status(StatusCode::kFailedPrecondition, Reason::kFieldInvalid,
                         "assignments come after the Welcome");
  }
  if (!assignments.ok()) {
    kLog.Error("assignments cannot be read", {{"text", assignments.status().ToString()}});
    *ack->mutable_status() = ToProto(assignments.status());
    Write(answer);
    return;
  }
  std::map<SecretRef, CredentialSecret> secrets;
  for (const auto& [bridge, status] : FetchSecrets(*assignments, secrets)) {
    v1::BridgeError* const error = ack->add_bridge_errors();
    error->set_bridge_id(bridge.value);
    *error->mutable_status() = ToProto(status);
  }
  {
    const MutexLock lock(mutex_);
    newest_ = std::max(newest_, SeenState{assignments->incarnation, assignments->revision});
  }
  for (const auto& [stream, status] :
       supervisor_->Apply(*std::move(assignments), std::move(secrets))) {
    v1::StreamError* const error = ack->add_errors();
    error->set_stream_id(stream.value);
    *error->mutable_status() = ToProto(status);
  }
  Write(answer);
}

// Fetches what is new. A bridge whose secret cannot be had runs on as it was, or not at all; the
// error of each is returned.
std::vector<std::pair<BridgeId, Status>> ControlSession::FetchSecrets(
    Assignments& assignments, std::map<SecretRef, CredentialSecret>& secrets) {
  std::vector<std::pair<BridgeId, Status>> errors;
  // One call without an answer is enough to wait for: the others would have none either, and the
  // server sends again what is refused.
  Status silence;
  // Whether all secrets of the bridge are at hand; fetches what is new.
  const auto has_secrets = [&](const BridgeAssignment& bridge) -> Status {
    for (const auto& ref : {bridge.source_secret, bridge.target_secret}) {
      if (!ref || secrets.contains(*ref)) continue;
      const auto known = secrets_.find(*ref);
      if (known != secrets_.end()) {
        secrets.insert(*known);
        continue;
      }
      if (!silence.ok()) return silence;
      StatusOr<CredentialSecret> fetched = FetchSecret(*ref);
      if (fetched.status().code() == StatusCode::kDeadlineExceeded) silence = fetched.status();
      if (!fetched.ok()) return fetched.status();
      secrets.emplace(*ref, *std::move(fetched));
    }
    return {};
  };
  std::map<BridgeId, BridgeAssignment> applied;
  for (BridgeAssignment& bridge : assignments.bridges) {
    if (Status fetched = has_secrets(bridge); !fetched.ok()) {
      kLog.Error("secret cannot be fetched",
                 {{"bridge", bridge.spec.name}, {"text", fetched.message()}});
      errors.emplace_back(bridge.bridge, Status(StatusCode::kUnavailable,
                                                Reason::kSecretUnavailable, fetched.message()));
      const auto before = applied_.find(bridge.bridge);
      if (before == applied_.end() || !has_secrets(before->second).ok()) continue;
      bridge = before->second;
    }
    applied.emplace(bridge.bridge, bridge);
  }
  std::erase_if(assignments.bridges,
                [&](const BridgeAssignment& bridge) { return !applied.contains(bridge.bridge); });
  applied_ = std::move(applied);
  secrets_ = secrets;  // what nobody needs any more is wiped
  return errors;
}

StatusOr<CredentialSecret> ControlSession::FetchSecret(SecretRef ref) {
  v1::GetSecretRequest request;
  *request.mutable_secret() = ToProto(ref);
  v1::GetSecretResponse response;
  const auto context = UnaryContext(clock_);
  const auto stub = Stub();
  const Status status = FromGrpc(stub->GetSecret(context.get(), request, &response));
  if (!status.ok()) {
    return Status(status.code(), Reason::kSecretUnavailable,
                  fmt::format("the server does not give the secret: {}", status.ToString()));
  }
  StatusOr<CredentialSecret> secret = FromProto(response.secret());
  Wipe(*response.mutable_secret());
  if (!secret.ok()) return secret;
  if (Status usable = CheckPem(*secret); !usable.ok()) return usable;
  return secret;
}

bool ControlSession::IsWelcome() {
  const MutexLock lock(mutex_);
  return is_welcome_;
}

std::shared_ptr<v1::RelaySessionService::Stub> ControlSession::Stub() {
  const MutexLock lock(mutex_);
  return stub_;
}

void ControlSession::Take(const v1::CommitResults& message) {
  std::vector<CommitResult> stored;
  {
    const MutexLock lock(mutex_);
    stored = commits_.Take(message.batch_id(), FromProto(message));
  }
  changed_.notify_all();
  for (const CommitResult& result : stored) {
    supervisor_->Stored(result.key, result.token, result.next);
  }
}

void ControlSession::Take(const v1::Query& query) {
  const StatusOr<Duration> wish = FromProto(query.deadline());
  const bool is_sensible = query.has_deadline() && wish.ok();
  const Duration patience =
      is_sensible ? std::min<Duration>(*wish, kQueryPatience) : kQueryPatience;
  if (patience <= Duration::zero()) return;
  const BootTime until = clock_.Now() + patience;
  const bool is_taken = queries_.Run(until, [this, query, until] { Answer(query, until); });
  if (!is_taken) {
    kLog.Warn("too many queries at once", {{"query", ToUtf8(query.query_id(), kLogTextBytesMax)}});
  }
}

void ControlSession::Answer(const v1::Query& query, BootTime until) {
  const v1::AnswerQueryRequest request = answers_.AnswerTo(query, until - kAnswerTravels);
  v1::AnswerQueryResponse response;
  const auto context = UnaryContext(clock_);
  const auto stub = Stub();
  if (!stub) return;
  const Status sent = FromGrpc(stub->AnswerQuery(context.get(), request, &response));
  if (!sent.ok()) kLog.Warn("answer not delivered", {{"text", sent.ToString()}});
}

// --- Writing ------------------------------------------------------------------------------------

bool ControlSession::Write(const v1::RelayMessage& message) {
  std::shared_ptr<Stream> stream;
  {
    const MutexLock lock(mutex_);
    stream = stream_;
  }
  if (!stream) return false;
  const MutexLock lock(write_mutex_);
  return stream->Write(message);
}

void ControlSession::WriteHello() {
  v1::RelayMessage message;
  v1::Hello* const hello = message.mutable_hello();
  hello->set_boot_id(boot_id_);
  hello->set_version(settings_.version);
  hello->set_librdkafka_version(settings_.librdkafka_version);
  hello->set_librdkafka_features(settings_.librdkafka_features);
  hello->set_protocol_min(kProtocol);
  hello->set_protocol_max(kProtocol);
  {
    const MutexLock lock(mutex_);
    hello->set_incarnation(newest_.incarnation);
    hello->set_revision(newest_.revision);
    // What was given back and never told is in the journal, and so in what follows.
    commits_.BeginSession();
  }
  size_t bytes = 0;
  bool is_first = true;
  for (const HeldPartition& held : supervisor_->Held()) {
    v1::HeldPartition one = ToProto(held);
    if (bytes + SizeInList(one) > kMessageBytesMax) {
      if (is_first) message.mutable_hello()->set_held_follows(true);
      if (!is_first) message.mutable_held_partitions()->set_held_follows(true);
      Write(message);
      message.Clear();
      is_first = false;
      bytes = 0;
    }
    bytes += SizeInList(one);
    *(is_first ? message.mutable_hello()->add_held()
               : message.mutable_held_partitions()->add_held()) = std::move(one);
  }
  Write(message);
}

void ControlSession::WriteSurvey(const SurveyResult& result) {
  v1::SurveyResult whole = ToProto(result);
  v1::SurveyResult part;
  part.set_bridge_id(whole.bridge_id());
  size_t bytes = 0;
  for (v1::SurveyedTopic& topic : *whole.mutable_topics()) {
    if (bytes > 0 && bytes + SizeInList(topic) > kMessageBytesMax) {
      v1::RelayMessage message;
      *message.mutable_survey_part() = part;
      Write(message);
      part.clear_topics();
      bytes = 0;
    }
    bytes += SizeInList(topic);
    *part.add_topics() = std::move(topic);
  }
  // The rest goes with the last topics.
  *whole.mutable_topics() = std::move(*part.mutable_topics());
  v1::RelayMessage message;
  *message.mutable_survey_result() = std::move(whole);
  Write(message);
}

void ControlSession::WriteLoop() {
  pthread_setname_np(pthread_self(), "session-write");
  while (true) {
    {
      MutexLock lock(mutex_);
      const bool may_write = is_welcome_;
      const bool is_urgent =
          may_write && (!surveys_.empty() || commits_.has_released() || commits_.is_due_at_once());
      if (!is_urgent) changed_.wait_for(mutex_, 100ms);
      if (is_stopping_ && (!is_welcome_ || commits_.is_all_said())) break;
      if (give_up_at_ && clock_.Now() >= *give_up_at_) {
        give_up_at_.reset();
        kLog.Warn("server does not answer", {{"server", settings_.server}});
        context_->TryCancel();
      }
      if (!is_welcome_) continue;
    }
    try {
      WriteDue(clock_.Now());
    } catch (const std::exception& error) {
      kLog.Error("writing failed", {{"text", error.what()}});
    }
  }
  std::shared_ptr<Stream> stream;
  {
    const MutexLock lock(mutex_);
    stream = stream_;
  }
  if (!stream) return;
  const MutexLock lock(write_mutex_);
  stream->WritesDone();
}

void ControlSession::WriteDue(BootTime now) {
  Terms terms;
  bool must_commit = false;
  std::map<BridgeId, SurveyResult> surveys;
  std::vector<GivenBack> released;
  {
    const MutexLock lock(mutex_);
    terms = terms_;
    if (std::exchange(is_all_due_, false)) heartbeat_at_ = commit_at_ = report_at_ = now;
    must_commit = commits_.is_due_at_once();
    surveys.swap(surveys_);
    released = commits_.TakeReleased();
  }
  for (const GivenBack& back : released) WriteReleased(back);
  for (const auto& [bridge, result] : surveys) WriteSurvey(result);
  if (now >= heartbeat_at_) {
    heartbeat_at_ = now + terms.heartbeat_interval;
    WriteHeartbeat();
  }
  if (must_commit || now >= commit_at_) {
    commit_at_ = now + terms.commit_interval;
    WriteCommit();
  }
  if (now >= report_at_) {
    report_at_ = now + terms.report_interval;
    WriteReport();
    RenewIfDue();
  }
}

void ControlSession::WriteHeartbeat() {
  v1::RelayMessage message;
  v1::Heartbeat* const heartbeat = message.mutable_heartbeat();
  heartbeat->set_sequence(++last_heartbeat_);
  heartbeat->set_sent_at_ns(clock_.Now().time_since_epoch().count());
  *heartbeat->mutable_wall_time() = ToProto(clock_.WallNow());
  for (const auto& [bridge, generation] : supervisor_->Converged()) {
    v1::ConvergedBridge* const converged = heartbeat->add_converged();
    converged->set_bridge_id(bridge.value);
    converged->set_generation(generation);
  }
  Write(message);
}

void ControlSession::WriteCommit() {
  v1::RelayMessage message;
  {
    const MutexLock lock(mutex_);
    std::optional<v1::Commit> commit = commits_.Next(board_.News(), clock_.Now());
    if (!commit) return;
    *message.mutable_commit() = *std::move(commit);
  }
  Failpoint("session.before_commit");
  Write(message);
}

void ControlSession::WriteReleased(const GivenBack& back) {
  v1::RelayMessage message;
  v1::Released* const released = message.mutable_released();
  released->set_stream_id(back.key.stream.value);
  released->set_partition(back.key.partition);
  *released->mutable_token() = ToProto(back.token);
  released->set_final_offset(back.last.to.next.value);
  released->set_leaving(back.is_leaving);
  Write(message);
}

void ControlSession::WriteReport() {
  v1::Report whole = ToProto(board_.ReportAt(clock_.Now()));
  v1::Report part;
  size_t bytes = 0;
  // Sends what there is when the next entry does not fit in.
  const auto make_room = [&](size_t size) {
    if (bytes > 0 && bytes + size > kMessageBytesMax) {
      v1::RelayMessage message;
      message.mutable_report_part()->Swap(&part);
      Write(message);
      bytes = 0;
    }
    bytes += size;
  };
  for (v1::PartitionReport& partition : *whole.mutable_partitions()) {
    make_room(SizeInList(partition));
    *part.add_partitions() = std::move(partition);
  }
  for (v1::RelayCondition& condition : *whole.mutable_conditions()) {
    make_room(SizeInList(condition));
    *part.add_conditions() = std::move(condition);
  }
  part.set_buffered_bytes(whole.buffered_bytes());
  v1::RelayMessage message;
  message.mutable_report()->Swap(&part);
  Write(message);
}

// A new certificate long before this one ends; then a new session that shows it.
void ControlSession::RenewIfDue() {
  WallTime due;
  Duration life{};
  {
    const MutexLock lock(mutex_);
    due = RenewAt(identity_.not_before(), identity_.not_after(), renew_fraction_);
    life = identity_.not_after() - identity_.not_before();
  }
  if (clock_.WallNow() < due || clock_.Now() < renew_attempt_at_) return;
  // Also after a success: a clock that is ahead finds the next certificate due as well.
  renew_attempt_at_ = clock_.Now() + std::min(kRenewRetry, life / 10);
  const StatusOr<std::string> request = RelayIdentity::Request(settings_.state);
  if (!request.ok()) {
    kLog.Error("certificate cannot be renewed", {{"text", request.status().message()}});
    return;
  }
  v1::RenewCertificateRequest asked;
  asked.set_csr_pem(*request);
  v1::RenewCertificateResponse answer;
  const auto context = UnaryContext(clock_);
  const Status renewed = FromGrpc(Stub()->RenewCertificate(context.get(), asked, &answer));
  if (!renewed.ok()) {
    kLog.Warn("certificate not renewed yet", {{"text", renewed.ToString()}});
    return;
  }
  StatusOr<RelayIdentity> identity =
      RelayIdentity::Accept(settings_.state, answer.certificate_pem(), answer.ca_pem());
  if (!identity.ok()) {
    kLog.Error("renewed certificate is no good", {{"text", identity.status().message()}});
    return;
  }
  const MutexLock lock(mutex_);
  identity_ = *std::move(identity);
  renew_fraction_ = RandomFraction();
  kLog.Info("certificate renewed", {{"not_after", ToRfc3339(identity_.not_after())}});
  if (context_) context_->TryCancel();  // the reader connects again, with the new one
}

}  // namespace drawbridge
