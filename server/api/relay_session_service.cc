#include "server/api/relay_session_service.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <grpcpp/alarm.h>

#include "base/certificate.h"
#include "base/log.h"
#include "base/mutex.h"
#include "model/convert/credential.h"
#include "model/convert/field_reader.h"
#include "model/convert/observation.h"
#include "server/api/session_convert.h"

namespace drawbridge {
namespace {

const Log kLog("server.api");

// What waits for a relay to read. One that reads has a few: one that does not is cut off.
constexpr size_t kQueueMax = 1000;
constexpr size_t kQueueBytesMax = size_t{16} << 20;
// Of what comes in parts.
constexpr size_t kSurveyBytesMax = size_t{32} << 20;
constexpr size_t kReportBytesMax = size_t{64} << 20;
// Commits that the database has not answered: a relay waits for its answer, and asks again for one
// that it takes for lost.
constexpr int kCommitsMax = 8;

// --- The stream ---------------------------------------------------------------------------------

class SessionReactor;

// What the controller holds: it outlives the stream, which may end at any time.
class SessionHandle final : public RelaySession {
 public:
  explicit SessionHandle(SessionReactor* reactor) : reactor_(reactor) {}

  void ReadOn() override;
  void Send(ToRelay message) override;
  void Close(Status why) override;
  // The peer has had its time to read what was said before the end.
  void CutOff();
  void Detach() {
    const MutexLock lock(mutex_);
    reactor_ = nullptr;
  }

 private:
  Mutex mutex_;
  SessionReactor* reactor_ DRAWBRIDGE_GUARDED_BY(mutex_);
};

// One read and one write in flight; Finish once, with no write outstanding; nothing blocks. The
// next read begins when the controller has dealt with what the last one brought, and not while too
// many commits wait for the database: what a relay sends faster waits in its own memory.
//
// A write is outstanding for as long as the peer does not read, so Finish alone cannot end a
// session with such a peer: the call is cancelled, which fails the write. That is done at once when
// the queue is full, and after a while when the session is closed for another reason.
class SessionReactor final : public grpc::ServerBidiReactor<v1::RelayMessage, v1::ServerMessage> {
 public:
  SessionReactor(FleetController& fleet, CallGate& gate, grpc::CallbackServerContext& context,
                 Duration closing_patience)
      : fleet_(fleet),
        context_(context),
        closing_patience_(closing_patience),
        handle_(std::make_shared<SessionHandle>(this)) {
    const StatusOr<Actor> actor =
        gate.Authorize(context, "/drawbridge.v1.RelaySessionService/Connect");
    if (!actor.ok()) {
      FinishWith(actor.status());
      return;
    }
    relay_ = actor->relay;
    certificate_not_after_ = NotAfterOf(context);
    ReadOn();
  }

  void ReadOn() DRAWBRIDGE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    may_read_ = true;
    ReadNext();
  }

  void Send(v1::ServerMessage message) DRAWBRIDGE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (is_finishing_) return;
    if (message.has_commit_results()) {
      --unanswered_commits_;
      ReadNext();
    }
    const size_t bytes = message.ByteSizeLong();
    if (!outgoing_.empty() &&
        (outgoing_.size() >= kQueueMax || outgoing_bytes_ + bytes > kQueueBytesMax)) {
      is_finishing_ = true;
      why_ = {StatusCode::kResourceExhausted, Reason::kUnavailable,
              "the relay does not read its messages"};
      CancelLocked();
      return;
    }
    outgoing_.push_back(std::move(message));
    outgoing_bytes_ += bytes;
    WriteNext();
  }

  void FinishWith(const Status& why) DRAWBRIDGE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (is_finishing_) return;
    is_finishing_ = true;
    why_ = why;
    FinishNow();
    if (is_finished_) return;
    patience_.Set(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                               gpr_time_from_nanos(closing_patience_.count(), GPR_TIMESPAN)),
                  [handle = handle_](bool is_over) {
                    if (is_over) handle->CutOff();
                  });
  }

  void CutOff() DRAWBRIDGE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (!is_finished_) CancelLocked();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      FinishWith({});
      return;
    }
    if (Status taken = TakeIncoming(); !taken.ok()) {
      kLog.Warn("relay sent what cannot be read",
                {{"relay_id", relay_}, {"text", taken.ToString()}});
      FinishWith(taken);
    }
  }

  void OnWriteDone(bool ok) override {
    const MutexLock lock(mutex_);
    is_writing_ = false;
    outgoing_bytes_ -= outgoing_.front().ByteSizeLong();
    outgoing_.pop_front();
    if (!ok) {
      outgoing_.clear();  // nothing arrives any more
      is_finishing_ = true;
    }
    if (is_finishing_) {
      FinishNow();
    } else {
      WriteNext();
    }
  }

  void OnCancel() override {
    FinishWith({StatusCode::kCancelled, Reason::kUnavailable, "the session was cancelled"});
  }

  void OnDone() override {
    handle_->Detach();
    fleet_.Disconnect(handle_.get());
    delete this;
  }

 private:
  // Parts of a survey, and how long they were on the wire.
  struct Surveyed {
    std::vector<SurveyedTopic> topics;
    size_t bytes = 0;
  };

  static WallTime NotAfterOf(const grpc::CallbackServerContext& context) {
    const auto pem = context.auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
    if (pem.empty()) return {};
    const auto certificates = ReadCertificates({pem.front().data(), pem.front().size()});
    if (!certificates.ok() || certificates->empty()) return {};
    const StatusOr<Validity> validity = ValidityOf(*certificates->front());
    return validity.ok() ? validity->not_after : WallTime{};
  }

  // Reads on, or hands the message to the controller, which then does.
  Status TakeIncoming() {
    if (!has_said_hello_) return TakeHello();
    if (incoming_.has_hello() || incoming_.has_held_partitions()) {
      return InvalidField("Hello was said twice");
    }
    if (incoming_.has_survey_part()) return TakeSurveyPart();
    if (incoming_.has_report_part()) return TakeReportPart();
    StatusOr<FromRelay> message = MessageFromProto(incoming_);
    if (!message.ok()) return message.status();
    if (auto* const survey = std::get_if<SurveyResult>(&*message)) Complete(*survey);
    if (auto* const report = std::get_if<Report>(&*message)) Complete(*report);
    if (incoming_.has_commit()) {
      const MutexLock lock(mutex_);
      ++unanswered_commits_;
    }
    fleet_.Receive(handle_.get(), *std::move(message));
    return {};
  }

  // Hello, and then more of it while it says so.
  Status TakeHello() {
    if (incoming_.has_hello() == hello_.has_value()) {
      return InvalidField(hello_ ? "Hello was said twice" : "the first message is Hello");
    }
    if (hello_ && !incoming_.has_held_partitions()) {
      return InvalidField("Hello is not complete: its held_follows says that more follows");
    }
    if (incoming_.has_hello()) {
      StatusOr<RelayHello> hello = HelloFromProto(incoming_.hello(), relay_);
      if (!hello.ok()) return hello.status();
      hello->certificate_not_after = certificate_not_after_;
      hello_ = *std::move(hello);
    } else if (Status added = AddHeld(incoming_.held_partitions().held(), hello_->held);
               !added.ok()) {
      return added.At("held_partitions");
    }
    if (incoming_.hello().held_follows() || incoming_.held_partitions().held_follows()) {
      ReadOn();
      return {};
    }
    has_said_hello_ = true;
    fleet_.Connect(handle_, *std::exchange(hello_, std::nullopt));
    return {};
  }

  // Keeps topics of a survey until the rest of it comes.
  Status TakeSurveyPart() {
    StatusOr<SurveyResult> part = FromProto(incoming_.survey_part());
    if (!part.ok()) return part.status();
    Surveyed& surveyed = surveyed_[part->bridge];
    std::ranges::move(part->topics, std::back_inserter(surveyed.topics));
    surveyed.bytes += incoming_.ByteSizeLong();
    surveyed_bytes_ += incoming_.ByteSizeLong();
    if (surveyed_bytes_ > kSurveyBytesMax) {
      return {StatusCode::kResourceExhausted, Reason::kFieldInvalid,
              fmt::format("parts of surveys that are not whole have at most {} MiB: select fewer "
                          "topics",
                          kSurveyBytesMax >> 20)};
    }
    ReadOn();
    return {};
  }
  void Complete(SurveyResult& survey) {
    const auto before = surveyed_.find(survey.bridge);
    if (before == surveyed_.end()) return;
    std::ranges::move(before->second.topics, std::back_inserter(survey.topics));
    surveyed_bytes_ -= before->second.bytes;
    surveyed_.erase(before);
  }

  // Keeps a part of a report until the rest of it comes.
  Status TakeReportPart() {
    StatusOr<Report> part = FromProto(incoming_.report_part());
    if (!part.ok()) return part.status();
    std::ranges::move(part->partitions, std::back_inserter(reported_.partitions));
    std::ranges::move(part->conditions, std::back_inserter(reported_.conditions));
    reported_bytes_ += incoming_.ByteSizeLong();
    if (reported_bytes_ > kReportBytesMax) {
      return {StatusCode::kResourceExhausted, Reason::kFieldInvalid,
              fmt::format("a report has at most {} MiB: give the relay fewer partitions",
                          kReportBytesMax >> 20)};
    }
    ReadOn();
    return {};
  }
  void Complete(Report& report) {
    Report parts = std::exchange(reported_, {});
    reported_bytes_ = 0;
    std::ranges::move(report.partitions, std::back_inserter(parts.partitions));
    std::ranges::move(report.conditions, std::back_inserter(parts.conditions));
    report.partitions = std::move(parts.partitions);
    report.conditions = std::move(parts.conditions);
  }

  void ReadNext() DRAWBRIDGE_REQUIRES(mutex_) {
    if (!may_read_ || is_finishing_ || unanswered_commits_ >= kCommitsMax) return;
    may_read_ = false;
    StartRead(&incoming_);
  }

  void WriteNext() DRAWBRIDGE_REQUIRES(mutex_) {
    if (is_writing_ || outgoing_.empty()) return;
    is_writing_ = true;
    StartWrite(&outgoing_.front());
  }

  // The write that waits fails, and Finish follows it. gRPC runs what comes of this on another
  // thread, so the lock may be held.
  void CancelLocked() DRAWBRIDGE_REQUIRES(mutex_) {
    kLog.Warn("relay does not read: session cut off",
              {{"relay_id", relay_}, {"waiting", outgoing_.size()}, {"text", why_.message()}});
    context_.TryCancel();
  }

  void FinishNow() DRAWBRIDGE_REQUIRES(mutex_) {
    if (is_writing_ || is_finished_) return;
    // What was queued before the end is still said: Restarting comes before the end.
    if (!outgoing_.empty() && why_.code() != StatusCode::kCancelled && !why_.ok()) {
      is_writing_ = true;
      StartWrite(&outgoing_.front());
      return;
    }
    is_finished_ = true;
    Finish(ToGrpc(why_));
  }

  FleetController& fleet_;
  grpc::CallbackServerContext& context_;
  const Duration closing_patience_;
  const std::shared_ptr<SessionHandle> handle_;
  RelayName relay_;
  WallTime certificate_not_after_{};
  bool has_said_hello_ = false;
  std::optional<RelayHello> hello_;        // while more of it is to come
  std::map<BridgeId, Surveyed> surveyed_;  // of surveys that are not whole yet
  size_t surveyed_bytes_ = 0;
  Report reported_;  // of a report that is not whole yet
  size_t reported_bytes_ = 0;
  v1::RelayMessage incoming_;

  Mutex mutex_;
  bool may_read_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  int unanswered_commits_ DRAWBRIDGE_GUARDED_BY(mutex_) = 0;
  std::deque<v1::ServerMessage> outgoing_ DRAWBRIDGE_GUARDED_BY(mutex_);  // first: being written
  size_t outgoing_bytes_ DRAWBRIDGE_GUARDED_BY(mutex_) = 0;
  bool is_writing_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  bool is_finishing_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  bool is_finished_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  Status why_ DRAWBRIDGE_GUARDED_BY(mutex_);
  grpc::Alarm patience_ DRAWBRIDGE_GUARDED_BY(mutex_);
};

void SessionHandle::ReadOn() {
  const MutexLock lock(mutex_);
  if (reactor_ != nullptr) reactor_->ReadOn();
}

void SessionHandle::Send(ToRelay message) {
  v1::ServerMessage wire = ToProto(message);
  const MutexLock lock(mutex_);
  if (reactor_ != nullptr) reactor_->Send(std::move(wire));
}

void SessionHandle::Close(Status why) {
  const MutexLock lock(mutex_);
  if (reactor_ != nullptr) reactor_->FinishWith(why);
}

void SessionHandle::CutOff() {
  const MutexLock lock(mutex_);
  if (reactor_ != nullptr) reactor_->CutOff();
}

}  // namespace

grpc::ServerBidiReactor<v1::RelayMessage, v1::ServerMessage>* RelaySessionServiceImpl::Connect(
    grpc::CallbackServerContext* context) {
  // Deletes itself in OnDone.
  return new SessionReactor(fleet_, gate_, *context, closing_patience_);
}

grpc::ServerUnaryReactor* RelaySessionServiceImpl::GetSecret(grpc::CallbackServerContext* context,
                                                             const v1::GetSecretRequest* request,
                                                             v1::GetSecretResponse* response) {
  return gate_.Run(
      context, "/drawbridge.v1.RelaySessionService/GetSecret", request, response,
      [this](const Actor& actor, const auto& asked, v1::GetSecretResponse& answer) -> Status {
        const StatusOr<SecretRef> ref = FromProto(asked.secret());
        if (!ref.ok()) return ref.status().At("secret");
        if (!fleet_.NeedsSecret(actor.relay, *ref)) {
          kLog.Warn("relay asks for a secret that it does not need", {{"relay_id", actor.relay}});
          return {StatusCode::kPermissionDenied, Reason::kPermissionDenied,
                  "no assignment of this relay needs this secret"};
        }
        const StatusOr<CredentialSecret> secret = vault_.Get(*ref);
        if (!secret.ok()) return secret.status();
        *answer.mutable_secret() = ToProto(*secret);
        return {};
      });
}

grpc::ServerUnaryReactor* RelaySessionServiceImpl::RenewCertificate(
    grpc::CallbackServerContext* context, const v1::RenewCertificateRequest* request,
    v1::RenewCertificateResponse* response) {
  return gate_.Run(
      context, "/drawbridge.v1.RelaySessionService/RenewCertificate", request, response,
      [this](const Actor& actor, const auto& asked,
             v1::RenewCertificateResponse& answer) -> Status {
        const StatusOr<FleetView> view = fleet_.View();
        if (!view.ok()) return view.status();
        const auto found = std::ranges::find(view->stored.relays, actor.relay, &StoredRelay::name);
        if (found == view->stored.relays.end() || found->is_revoked) {
          return {StatusCode::kPermissionDenied, Reason::kRelayRevoked,
                  "this relay's identity was revoked"};
        }
        const StatusOr<RelayCertificate> certificate =
            ca_.SignRelay(asked.csr_pem(), actor.relay.value, answers_.certificate_ttl);
        if (!certificate.ok()) return certificate.status();
        if (Status stored = relays_.Renewed(
                actor.relay, {.serial = certificate->serial, .not_after = certificate->not_after});
            !stored.ok()) {
          return stored;
        }
        answer.set_certificate_pem(certificate->certificate_pem + ca_.ca_pem());
        answer.set_ca_pem(answers_.server_ca_pem);
        return {};
      });
}

grpc::ServerUnaryReactor* RelaySessionServiceImpl::AnswerQuery(
    grpc::CallbackServerContext* context, const v1::AnswerQueryRequest* request,
    v1::AnswerQueryResponse* response) {
  return gate_.Run(context, "/drawbridge.v1.RelaySessionService/AnswerQuery", request, response,
                   [this](const Actor& actor, const auto& asked, const auto&) -> Status {
                     fleet_.AnswerQuery(actor.relay, asked.query_id(), AnswerFromProto(asked));
                     return {};
                   });
}

}  // namespace drawbridge
