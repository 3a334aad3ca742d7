#include "server/api/relay_service.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "model/convert/time.h"
#include "server/api/view_convert.h"
#include "server/security/peer_identity.h"
#include "server/security/token.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("server.api");

constexpr Duration kTokenTtlDefault = 10min;
constexpr Duration kTokenTtlMax = 24h;
constexpr int kLabelsMax = 32;
constexpr size_t kLabelMax = 128;

Status Invalid(std::string field, std::string message) {
  return {StatusCode::kInvalidArgument, Reason::kFieldInvalid, std::move(message),
          std::move(field)};
}

}  // namespace

Status RelayServiceImpl::Answer(const std::string& name, v1::Relay& response) {
  const StatusOr<FleetView> view = fleet_.View();
  if (!view.ok()) return view.status();
  const auto found = std::ranges::find(view->stored.relays, RelayName{name}, &StoredRelay::name);
  if (found == view->stored.relays.end()) {
    return {StatusCode::kNotFound, Reason::kNotFound, fmt::format("no relay is called {}", name)};
  }
  response = ToProto(*found, *view);
  return {};
}

grpc::ServerUnaryReactor* RelayServiceImpl::ListRelays(grpc::CallbackServerContext* context,
                                                       const v1::ListRelaysRequest* request,
                                                       v1::ListRelaysResponse* response) {
  return gate_.Run(context, "/drawbridge.v1.RelayService/ListRelays", request, response,
                   [this](const Actor&, const auto&, v1::ListRelaysResponse& answer) -> Status {
                     const StatusOr<FleetView> view = fleet_.View();
                     if (!view.ok()) return view.status();
                     for (const StoredRelay& relay : view->stored.relays) {
                       *answer.add_relays() = ToProto(relay, *view);
                     }
                     return {};
                   });
}

grpc::ServerUnaryReactor* RelayServiceImpl::GetRelay(grpc::CallbackServerContext* context,
                                                     const v1::GetRelayRequest* request,
                                                     v1::Relay* response) {
  return gate_.Run(context, "/drawbridge.v1.RelayService/GetRelay", request, response,
                   [this](const Actor&, const auto& asked, v1::Relay& answer) {
                     return Answer(asked.name(), answer);
                   });
}

Status RelayServiceImpl::MakeToken(const Actor& actor, const v1::CreateEnrolmentTokenRequest& asked,
                                   v1::CreateEnrolmentTokenResponse& answer) {
  const StatusOr<Mutation> mutation = MutationOf(actor, asked, asked.request_id(), asked.reason());
  if (!mutation.ok()) return mutation.status();
  if (!IsRelayName(asked.relay())) {
    return Invalid("relay", "a name has 1 to 63 of a-z, 0-9 and '-', and starts with a letter");
  }
  if (asked.labels_size() > kLabelsMax) {
    return Invalid("labels", fmt::format("at most {} labels", kLabelsMax));
  }
  for (const auto& [key, value] : asked.labels()) {
    if (key.empty() || value.empty() || key.size() > kLabelMax || value.size() > kLabelMax) {
      return Invalid(fmt::format("labels[{}]", key),
                     fmt::format("a label has a key and a value of 1 to {} bytes", kLabelMax));
    }
  }
  Duration ttl = kTokenTtlDefault;
  if (asked.has_ttl()) {
    const StatusOr<Duration> wanted = FromProto(asked.ttl());
    if (!wanted.ok() || *wanted <= Duration::zero() || *wanted > kTokenTtlMax) {
      return Invalid("ttl", "a token lives longer than 0 and at most 24 h");
    }
    ttl = *wanted;
  }
  const StatusOr<NewToken> token = drawbridge::MakeToken(TokenKind::kEnrolment);
  if (!token.ok()) return token.status();
  const EnrolmentGrant grant{
      .id = token->id,
      .hash = token->secret_hash,
      .relay = {asked.relay()},
      .labels = {asked.labels().begin(), asked.labels().end()},
      .expires_at = clock_.WallNow() + std::chrono::duration_cast<std::chrono::microseconds>(ttl)};
  if (Status added = relays_.AddToken(grant, *mutation); !added.ok()) return added;
  answer.set_token(std::string(token->text.Reveal()));
  *answer.mutable_expires_at() = ToProto(grant.expires_at);
  answer.set_ca_pin(answers_.ca_pin);
  answer.set_relay_address(answers_.relay_address);
  return {};
}

grpc::ServerUnaryReactor* RelayServiceImpl::CreateEnrolmentToken(
    grpc::CallbackServerContext* context, const v1::CreateEnrolmentTokenRequest* request,
    v1::CreateEnrolmentTokenResponse* response) {
  return gate_.Run(context, "/drawbridge.v1.RelayService/CreateEnrolmentToken", request, response,
                   [this](const Actor& actor, const auto& asked, auto& answer) {
                     return MakeToken(actor, asked, answer);
                   });
}

grpc::ServerUnaryReactor* RelayServiceImpl::RevokeRelay(grpc::CallbackServerContext* context,
                                                        const v1::RevokeRelayRequest* request,
                                                        v1::Relay* response) {
  return gate_.Run(context, "/drawbridge.v1.RelayService/RevokeRelay", request, response,
                   [this](const Actor& actor, const auto& asked, v1::Relay& answer) -> Status {
                     const StatusOr<Mutation> mutation =
                         MutationOf(actor, asked, asked.request_id(), asked.reason());
                     if (!mutation.ok()) return mutation.status();
                     const auto revoked = relays_.Revoke({asked.name()}, *mutation);
                     if (!revoked.ok()) return revoked.status();
                     fleet_.Wake();
                     return Answer(asked.name(), answer);
                   });
}

Status RelayServiceImpl::TakeIn(const v1::EnrollRequest& asked, v1::EnrollResponse& answer) {
  const StatusOr<PresentedToken> token = ParseToken(TokenKind::kEnrolment, asked.token());
  if (!token.ok()) return token.status();
  const StatusOr<EnrolmentGrant> grant = relays_.FindToken(token->id);
  if (!grant.ok()) {
    kLog.Warn("enrolment refused",
              {{"token_id", token->id}, {"reason", Name(grant.status().reason())}});
    return grant.status();
  }
  if (!Matches(*token, grant->hash)) {
    return {StatusCode::kUnauthenticated, Reason::kTokenInvalid,
            "no such enrolment token: make one with `drawbridge relay token create`"};
  }
  const StatusOr<RelayCertificate> certificate =
      ca_.SignRelay(asked.csr_pem(), grant->relay.value, answers_.certificate_ttl);
  if (!certificate.ok()) return certificate.status();
  if (Status enrolled = relays_.Enrol(
          *grant, {.serial = certificate->serial, .not_after = certificate->not_after});
      !enrolled.ok()) {
    return enrolled;
  }
  kLog.Info("relay enrolled", {{"relay_id", grant->relay}});
  answer.set_relay(grant->relay.value);
  answer.set_certificate_pem(certificate->certificate_pem + ca_.ca_pem());
  answer.set_ca_pem(answers_.server_ca_pem);
  answer.set_relay_address(answers_.relay_address);
  fleet_.Wake();
  return {};
}

grpc::ServerUnaryReactor* RelayServiceImpl::Enroll(grpc::CallbackServerContext* context,
                                                   const v1::EnrollRequest* request,
                                                   v1::EnrollResponse* response) {
  return gate_.Run(context, "/drawbridge.v1.RelayService/Enroll", request, response,
                   [this](const Actor&, const auto& asked, v1::EnrollResponse& answer) {
                     return TakeIn(asked, answer);
                   });
}

}  // namespace drawbridge
