#include "relay/kafka/kafka_error.h"

#include <fmt/format.h>

#include "relay/kafka/kafka_handle.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

// Errors that are followed by a success within this time are nobody's business.
constexpr Duration kPatience = 3s;

// The library tells the same error of a connection once in 30 s.
constexpr Duration kRepetition = 45s;

// How much an error of a connection says about its cause.
int Weight(Reason reason) {
  switch (reason) {
    case Reason::kUnreachable:
      return 0;
    case Reason::kBrokerError:
      return 1;
    default:
      return 2;
  }
}

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The library's words without its advice, which speaks of settings that nobody here can see.
std::string Plain(std::string_view text) {
  std::string plain(text);
  const auto cut = [&](std::string_view from, std::string_view to) {
    const size_t begin = plain.find(from);
    if (begin == std::string::npos) return;
    const size_t end = plain.find(to, begin + 1);
    plain.erase(begin, end == std::string::npos ? end : end - begin);
  };
  cut(": broker certificate could not be verified", " (after");
  cut(": verify that security.protocol", " (after");
  cut(": might be caused by incorrect security.protocol", " (after");
  constexpr std::string_view kCounted = " identical error(s) suppressed";
  const size_t counted = plain.find(kCounted);
  const size_t comma = plain.rfind(", ", counted);
  if (counted != std::string::npos && comma != std::string::npos) {
    plain.erase(comma, counted + kCounted.size() - comma);
  }
  return plain;
}

Status Failed(Reason reason, std::string_view what, std::string_view text,
              StatusCode code = StatusCode::kUnavailable) {
  return {code, reason,
          text.empty() ? std::string(what) : fmt::format("{} ({})", what, Plain(text))};
}

// Brokers in Java have one alert for all that is wrong with a client's certificate.
bool HasExpired(const ErrorContext& context) {
  return context.client_certificate_end &&
         *context.client_certificate_end <= Clock::System().WallNow();
}

// The other end's alert. With TLS 1.3 a refused client certificate shows after the handshake only.
Status AlertStatus(std::string_view text, const ErrorContext& context) {
  if (Has(text, "certificate expired") || HasExpired(context)) {
    return Failed(Reason::kTlsCertificateExpired,
                  "the other end refuses our client certificate, which has expired: set a new "
                  "version of the credential",
                  text);
  }
  if (Has(text, "certificate") || Has(text, "unknown ca") || Has(text, "handshake failure")) {
    return Failed(Reason::kTlsClientCertificateRequired,
                  context.has_client_certificate
                      ? "the other end refuses our client certificate: check that its CA signed it "
                        "and that the chain is complete"
                      : "the other end wants a client certificate: give the endpoint a credential "
                        "of kind mtls",
                  text);
  }
  return Failed(Reason::kTlsFailed, "the other end broke off the TLS handshake", text);
}

// The other end's certificate, as OpenSSL judges it.
Status CertificateStatus(std::string_view text) {
  if (Has(text, "has expired")) {
    return Failed(Reason::kTlsCertificateExpired,
                  "the other end's certificate has expired: renew it there", text);
  }
  if (Has(text, "mismatch")) {
    return Failed(Reason::kTlsUntrusted,
                  "the other end's certificate is for another host: address the brokers by a name "
                  "that is in it",
                  text);
  }
  return Failed(Reason::kTlsUntrusted,
                "the other end's certificate is not signed by the endpoint's CA: check `ca`, and "
                "that the address is the right one",
                text);
}

// A login that the cluster does not take.
Status LoginStatus(std::string_view text, const ErrorContext& context) {
  if (Has(text, "supported mechanisms")) {
    return Failed(Reason::kAuthenticationFailed,
                  "the cluster does not offer this kind of login at this port: check the kind of "
                  "the credential and the port",
                  text, StatusCode::kUnauthenticated);
  }
  if (context.has_scram && !LibraryIsAtLeast(2, 6, 1)) {
    return Failed(Reason::kScramUnsupported,
                  fmt::format("SCRAM was refused, and librdkafka {} cannot do SCRAM to Kafka 4: "
                              "run the relay with librdkafka 2.6.1 or newer, or check user and "
                              "password",
                              LibraryVersion()),
                  text, StatusCode::kUnauthenticated);
  }
  return Failed(Reason::kAuthenticationFailed,
                "the cluster refused the user or the password: set the credential again", text,
                StatusCode::kUnauthenticated);
}

// A connection that was refused, or ended. Brokers that are spoken to in the wrong way close it
// without a word; how far it had come tells what was wrong. Where a connection stood before, the
// way is right, and the network or the broker has gone.
Status ConnectionStatus(std::string_view text, const ErrorContext& context) {
  if (Has(text, "alert")) return AlertStatus(text, context);
  if (Has(text, "certificate verify failed")) return CertificateStatus(text);
  const auto ended_in = [&](std::string_view state) {
    return !context.has_connected && !Has(text, "timed out") &&
           Has(text, fmt::format("in state {}", state));
  };
  if (ended_in("SSL_HANDSHAKE")) {
    return Failed(Reason::kTlsFailed,
                  "the TLS handshake failed: check that the port speaks TLS; if it does not, set "
                  "`tls: false` at the endpoint",
                  text);
  }
  if (ended_in("APIVERSION_QUERY") && context.is_plaintext) {
    return Failed(Reason::kTlsFailed,
                  "the broker closed the connection at once, as a port that speaks TLS does: check "
                  "`tls: false` of the endpoint, and the port",
                  text);
  }
  if (ended_in("AUTH") || (ended_in("UP") && !context.has_sasl)) {
    return Failed(Reason::kAuthenticationFailed,
                  context.has_sasl
                      ? "the cluster closed the connection during the login: check the credential"
                      : "the cluster closed the connection as if it wanted a login: give the "
                        "endpoint a credential with user and password, or check the port",
                  text, StatusCode::kUnauthenticated);
  }
  return Failed(Reason::kUnreachable,
                "a broker cannot be reached: check its address and port, and the firewalls between",
                text);
}

}  // namespace

bool IsNoise(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
         error == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
         error == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
         error == RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
}

std::string TextOf(rd_kafka_event_t* event, const rd_kafka_t* client) {
  std::string text = rd_kafka_event_error_string(event);
  if (!Has(text, "certificate verify failed")) return text;
  const std::string_view fault = CertificateFault(client);
  return fault.empty() ? text : fmt::format("{}: {}", Plain(text), fault);
}

Status ToStatus(rd_kafka_resp_err_t error, std::string_view text, const ErrorContext& context) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
      return ConnectionStatus(text, context);
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      return LoginStatus(text, context);
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
    case RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
      return Failed(Reason::kAuthenticationFailed,
                    "the cluster does not offer this kind of login at this port: check the kind of "
                    "the credential and the port",
                    text, StatusCode::kUnauthenticated);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return Failed(
          Reason::kAuthorizationFailed,
          "the cluster refused the operation: grant the endpoint's user READ and DESCRIBE "
          "on a source's topics, WRITE and DESCRIBE on a target's",
          text, StatusCode::kPermissionDenied);
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
      return Failed(Reason::kAuthorizationFailed,
                    "the cluster refused idempotent production: grant the endpoint's user WRITE on "
                    "the target's topics and, on brokers older than 2.8, IDEMPOTENT_WRITE on the "
                    "cluster",
                    text, StatusCode::kPermissionDenied);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return Failed(Reason::kTopicNotFound,
                    "the cluster has no such topic or partition: make it there, or wait for "
                    "the next survey to do so at the target",
                    text, StatusCode::kNotFound);
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
      return Failed(
          Reason::kNotEnoughReplicas,
          "the target has too few replicas in sync to confirm records: bring its brokers back",
          text);
    case RD_KAFKA_RESP_ERR__RESOLVE:
      return Failed(Reason::kUnreachable,
                    "the host name of a broker cannot be resolved: check the address, and the "
                    "relay machine's DNS",
                    text);
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
      return Failed(Reason::kUnreachable,
                    "no broker answers: check that the cluster is up, and the firewalls between",
                    text);
    default:
      return Failed(Reason::kBrokerError,
                    fmt::format("the cluster answered {}", rd_kafka_err2name(error)), text);
  }
}

DeliveryFailure ClassifyDelivery(rd_kafka_resp_err_t error, const ErrorContext& context) {
  const std::string text = rd_kafka_err2str(error);
  const auto refused = [&](Reason reason, std::string_view what) {
    return DeliveryFailure{Disposition::kRefuse,
                           Failed(reason, what, text, StatusCode::kFailedPrecondition)};
  };
  switch (error) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      return refused(Reason::kRecordTooLarge,
                     "the record is larger than the topic takes: raise its max.message.bytes; a "
                     "service with a limit of its own, as OCI Streaming has, never takes it");
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
      return refused(
          Reason::kTimestampRefused,
          "the topic refuses the record's timestamp: raise its message.timestamp.before.max.ms and "
          "message.timestamp.after.max.ms");
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
      return refused(Reason::kRecordRefused,
                     "the topic refuses the record (a compacted one takes no null key): change the "
                     "topic");
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
      // How Event Hubs throttles; elsewhere a refusal.
      if (context.profile == Profile::kAzureEventHubs) {
        return {
            Disposition::kRetry,
            Failed(Reason::kThrottled,
                   "the target throttles, and takes the records later: buy more throughput units "
                   "if that is often",
                   text)};
      }
      return refused(Reason::kRecordRefused,
                     "the target's policy refuses the record: change the policy or the record's "
                     "producer");
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return {Disposition::kBlock, ToStatus(error, text, context)};
    default:
      return {Disposition::kRetry, ToStatus(error, text, context)};
  }
}

void ClientTrouble::Note(rd_kafka_resp_err_t error, std::string_view text, BootTime now) {
  if (IsNoise(error)) return;
  Status status = ToStatus(error, text, context_);
  if (!error_) first_error_ = now;
  // "All brokers are down" says less than what brought them down, and a connection that was closed
  // less than why.
  const bool says_less = error_ && (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
                                    Weight(status.reason()) < Weight(error_->reason()));
  if (says_less && now - error_at_ < kRepetition) return;
  error_ = std::move(status);
  error_at_ = now;
}

void ClientTrouble::Succeeded(BootTime now) {
  last_success_ = now;
  context_.has_connected = true;
  error_.reset();
}

std::optional<Condition> ClientTrouble::At(BootTime now) const {
  if (!error_) return std::nullopt;
  if (last_success_ && now - first_error_ < kPatience) return std::nullopt;
  return Condition{.side = side_,
                   .reason = error_->reason(),
                   .text = fmt::format("{}: {}", context_.endpoint, error_->message()),
                   .bridge = {},
                   .stream = std::nullopt,
                   .partition = std::nullopt,
                   .topic = {},
                   .age = now - last_success_.value_or(first_error_),
                   .blocks = false};
}

}  // namespace drawbridge
