#include "relay/kafka/kafka_error.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "relay/kafka/kafka_handle.h"
#include "tests/fakes/fake_clock.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

const ErrorContext kSasl{.endpoint = "oci", .has_sasl = true};
const ErrorContext kScram{.endpoint = "msk", .has_sasl = true, .has_scram = true};
const ErrorContext kNone{.endpoint = "aws"};
const ErrorContext kPlaintext{.endpoint = "lab", .is_plaintext = true};
const ErrorContext kMtls{.endpoint = "aws", .has_client_certificate = true};
const ErrorContext kExpired{
    .endpoint = "aws", .has_client_certificate = true, .client_certificate_end = WallTime{}};
const ErrorContext kOnceConnected{.endpoint = "aws", .is_plaintext = true, .has_connected = true};

// --- What the library says, and what it means ---------------------------------------------------

struct Row {
  const char* name;
  rd_kafka_resp_err_t error;
  const char* text;
  const ErrorContext& context;
  Reason reason;
  const char* says;
};

class ToStatusTest : public testing::TestWithParam<Row> {};

TEST_P(ToStatusTest, NamesTheReason) {
  const Row& row = GetParam();

  const Status status = ToStatus(row.error, row.text, row.context);

  EXPECT_EQ(Name(status.reason()), Name(row.reason));
  EXPECT_THAT(status.message(), HasSubstr(row.says));
  EXPECT_FALSE(status.ok());
}

// The texts are those of librdkafka 2.0.2 and 2.16.0 against Kafka 3.9.1 and 4.1.1.
INSTANTIATE_TEST_SUITE_P(
    Connections, ToStatusTest,
    testing::Values(
        Row{"ForeignCa", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate "
            "verify failed (after 5ms in state SSL_HANDSHAKE): unable to get local issuer "
            "certificate",
            kNone, Reason::kTlsUntrusted, "not signed by the endpoint's CA"},
        Row{"ForeignCaWithoutWords", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate "
            "verify failed: broker certificate could not be verified, verify that ssl.ca.location "
            "is correctly configured or root CA certificates are installed (install "
            "ca-certificates package) (after 5ms in state SSL_HANDSHAKE)",
            kNone, Reason::kTlsUntrusted, "verify failed (after 5ms"},
        Row{"SelfSigned", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: error:0A000086:SSL routines::certificate verify failed: "
            "self-signed certificate in certificate chain",
            kNone, Reason::kTlsUntrusted, "check `ca`"},
        Row{"AnotherHost", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: error:0A000086:SSL routines::certificate verify failed: hostname "
            "mismatch",
            kNone, Reason::kTlsUntrusted, "for another host"},
        Row{"AnotherAddress", RD_KAFKA_RESP_ERR__SSL,
            "ssl://10.0.0.1:1/bootstrap: error:0A000086:SSL routines::certificate verify failed: "
            "IP address mismatch",
            kNone, Reason::kTlsUntrusted, "for another host"},
        Row{"BrokersCertificateExpired", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: error:0A000086:SSL routines::certificate verify failed (after "
            "4ms in state SSL_HANDSHAKE): certificate has expired",
            kNone, Reason::kTlsCertificateExpired, "renew it there"},
        Row{"NoClientCertificate", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: Receive failed: error:0A000412:SSL routines::sslv3 alert bad "
            "certificate: SSL alert number 42 (after 0ms in state APIVERSION_QUERY)",
            kNone, Reason::kTlsClientCertificateRequired, "wants a client certificate"},
        Row{"NoClientCertificateNewer", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad "
            "certificate: SSL alert number 42 (after 0ms in state APIVERSION_QUERY)",
            kNone, Reason::kTlsClientCertificateRequired, "credential of kind mtls"},
        Row{"NoClientCertificateByOpenSsl", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: Receive failed: error:0A00045C:SSL routines::tlsv13 alert "
            "certificate required: SSL alert number 116 (after 0ms in state APIVERSION_QUERY)",
            kNone, Reason::kTlsClientCertificateRequired, "wants a client certificate"},
        Row{"ForeignClientCertificate", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: Receive failed: error:0A000416:SSL routines::sslv3 alert "
            "certificate unknown: SSL alert number 46 (after 0ms in state APIVERSION_QUERY)",
            kMtls, Reason::kTlsClientCertificateRequired, "refuses our client certificate"},
        Row{"ForeignClientCertificateByOpenSsl", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: Receive failed: error:0A000418:SSL routines::tlsv1 alert unknown "
            "ca: SSL alert number 48 (after 0ms in state APIVERSION_QUERY)",
            kMtls, Reason::kTlsClientCertificateRequired, "that the chain is complete"},
        Row{"ClientCertificateRefusedInTls12", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: SSL handshake failed: error:0A000410:SSL routines::sslv3 alert "
            "handshake failure: SSL alert number 40 (after 3ms in state SSL_HANDSHAKE)",
            kNone, Reason::kTlsClientCertificateRequired, "wants a client certificate"},
        Row{"OwnCertificateExpired", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: Receive failed: error:0A000416:SSL routines::sslv3 alert "
            "certificate unknown: SSL alert number 46 (after 0ms in state APIVERSION_QUERY)",
            kExpired, Reason::kTlsCertificateExpired, "which has expired"},
        Row{"OwnCertificateExpiredByOpenSsl", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: Receive failed: error:0A000415:SSL routines::sslv3 alert "
            "certificate expired: SSL alert number 45 (after 0ms in state APIVERSION_QUERY)",
            kMtls, Reason::kTlsCertificateExpired, "new version of the credential"},
        Row{"AlertOfAnotherKind", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: SSL handshake failed: error:0A00042E:SSL routines::tlsv1 alert "
            "protocol version: SSL alert number 70 (after 1ms in state SSL_HANDSHAKE)",
            kNone, Reason::kTlsFailed, "broke off"},
        Row{"TlsToPlaintext", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: SSL handshake failed: error:0A000126:SSL routines::unexpected "
            "eof while reading (after 1ms in state SSL_HANDSHAKE)",
            kNone, Reason::kTlsFailed, "set `tls: false`"},
        Row{"TlsToPlaintextNewer", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by "
            "peer: connecting to a PLAINTEXT broker listener? (after 1ms in state SSL_HANDSHAKE)",
            kNone, Reason::kTlsFailed, "set `tls: false`"},
        Row{"PlaintextToTls", RD_KAFKA_RESP_ERR__TRANSPORT,
            "h:1/bootstrap: Disconnected while requesting ApiVersion: might be caused by incorrect "
            "security.protocol configuration (connecting to a SSL listener?) or broker version is "
            "< 0.10 (see api.version.request) (after 1ms in state APIVERSION_QUERY)",
            kPlaintext, Reason::kTlsFailed, "as a port that speaks TLS does"},
        Row{"PlaintextToTlsNewer", RD_KAFKA_RESP_ERR__TRANSPORT,
            "h:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after "
            "1ms in state APIVERSION_QUERY)",
            kPlaintext, Reason::kTlsFailed, "as a port that speaks TLS does"},
        Row{"NoLoginWhereOneIsWanted", RD_KAFKA_RESP_ERR__TRANSPORT,
            "ssl://h:1/bootstrap: Disconnected: verify that security.protocol is correctly "
            "configured, broker might require SASL authentication (after 0ms in state UP)",
            kMtls, Reason::kAuthenticationFailed, "give the endpoint a credential"},
        Row{"NoLoginWhereOneIsWantedNewer", RD_KAFKA_RESP_ERR__TRANSPORT,
            "ssl://h:1/bootstrap: Disconnected: SSL connection closed by peer (after 0ms in state "
            "UP)",
            kNone, Reason::kAuthenticationFailed, "as if it wanted a login"},
        Row{"ClosedDuringTheLogin", RD_KAFKA_RESP_ERR__TRANSPORT,
            "sasl_ssl://h:1/bootstrap: Disconnected (after 300ms in state AUTH_REQ)", kSasl,
            Reason::kAuthenticationFailed, "check the credential"},
        Row{"ClosedAfterTheLogin", RD_KAFKA_RESP_ERR__TRANSPORT,
            "sasl_ssl://h:1/1: Disconnected (after 300ms in state UP)", kSasl, Reason::kUnreachable,
            "cannot be reached"},
        // What stood once is no mix-up.
        Row{"CutOffDuringTheHandshake", RD_KAFKA_RESP_ERR__SSL,
            "ssl://h:1/1: SSL handshake failed: error:0A000126:SSL routines::unexpected eof while "
            "reading (after 1ms in state SSL_HANDSHAKE)",
            kOnceConnected, Reason::kUnreachable, "cannot be reached"},
        Row{"CutOffAtOnce", RD_KAFKA_RESP_ERR__TRANSPORT,
            "h:1/1: Disconnected while requesting ApiVersion: might be caused by incorrect "
            "security.protocol configuration (connecting to a SSL listener?) or broker version is "
            "< 0.10 (see api.version.request) (after 1ms in state APIVERSION_QUERY)",
            kOnceConnected, Reason::kUnreachable, "cannot be reached"},
        Row{"CutOff", RD_KAFKA_RESP_ERR__TRANSPORT,
            "ssl://h:1/1: Receive failed: SSL transport error: Connection reset by peer (after "
            "9000ms in state UP)",
            kOnceConnected, Reason::kUnreachable, "cannot be reached"},
        Row{"SilentDuringTheHandshake", RD_KAFKA_RESP_ERR__TRANSPORT,
            "ssl://h:1/bootstrap: Connection setup timed out in state SSL_HANDSHAKE (after 15000ms "
            "in state SSL_HANDSHAKE)",
            kNone, Reason::kUnreachable, "cannot be reached"},
        Row{"Refused", RD_KAFKA_RESP_ERR__TRANSPORT,
            "h:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in "
            "state CONNECT, 1 identical error(s) suppressed)",
            kPlaintext, Reason::kUnreachable, "(after 0ms in state CONNECT))"},
        Row{"UnknownHost", RD_KAFKA_RESP_ERR__RESOLVE,
            "h:1/bootstrap: Failed to resolve 'h:1': Name or service not known (after 0ms in state "
            "CONNECT)",
            kNone, Reason::kUnreachable, "cannot be resolved"},
        Row{"AllDown", RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 brokers are down", kNone,
            Reason::kUnreachable, "no broker answers"},
        Row{"TimedOut", RD_KAFKA_RESP_ERR__TIMED_OUT, "Local: Timed out", kNone,
            Reason::kUnreachable, "no broker answers"},
        Row{"WrongPassword", RD_KAFKA_RESP_ERR__AUTHENTICATION,
            "sasl_ssl://h:1/bootstrap: SASL authentication error: Authentication failed: Invalid "
            "username or password (after 301ms in state AUTH_REQ)",
            kSasl, Reason::kAuthenticationFailed, "set the credential again"},
        Row{"LoginAtAPortWithout", RD_KAFKA_RESP_ERR__AUTHENTICATION,
            "sasl_plaintext://h:1/bootstrap: SASL PLAIN mechanism handshake failed: Broker: "
            "Request not valid in current SASL state: broker's supported mechanisms:  (after 0ms "
            "in state AUTH_HANDSHAKE)",
            kSasl, Reason::kAuthenticationFailed, "does not offer this kind of login"},
        Row{"OtherMechanism", RD_KAFKA_RESP_ERR__AUTHENTICATION,
            "sasl_ssl://h:1/bootstrap: SASL SCRAM-SHA-512 mechanism handshake failed: Broker: "
            "Unsupported SASL mechanism: broker's supported mechanisms: PLAIN (after 0ms in state "
            "AUTH_HANDSHAKE)",
            kScram, Reason::kAuthenticationFailed, "does not offer this kind of login"}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Answers, ToStatusTest,
    testing::Values(Row{"Topic", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "", kNone,
                        Reason::kAuthorizationFailed, "grant the endpoint's user READ"},
                    Row{"Cluster", RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, "", kNone,
                        Reason::kAuthorizationFailed, "IDEMPOTENT_WRITE"},
                    Row{"Transaction", RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "",
                        kNone, Reason::kAuthorizationFailed, "IDEMPOTENT_WRITE"},
                    Row{"UnknownTopic", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "", kNone,
                        Reason::kTopicNotFound, "no such topic"},
                    Row{"UnknownTopicHere", RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, "", kNone,
                        Reason::kTopicNotFound, "no such topic"},
                    Row{"UnknownPartition", RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, "", kNone,
                        Reason::kTopicNotFound, "no such topic"},
                    Row{"Replicas", RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, "", kNone,
                        Reason::kNotEnoughReplicas, "too few replicas"},
                    Row{"ReplicasAfter", RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, "",
                        kNone, Reason::kNotEnoughReplicas, "too few replicas"},
                    Row{"Mechanism", RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, "", kSasl,
                        Reason::kAuthenticationFailed, "does not offer"},
                    Row{"Other", RD_KAFKA_RESP_ERR_UNKNOWN, "odd", kNone, Reason::kBrokerError,
                        "odd"}),
    [](const auto& test) { return test.param.name; });

TEST(ToStatusScramTest, BlamesTheLibraryWhereItMayBeItsFault) {
  const Status status = ToStatus(RD_KAFKA_RESP_ERR__AUTHENTICATION,
                                 "SASL authentication error: Authentication failed", kScram);

  EXPECT_EQ(status.reason(),
            LibraryIsAtLeast(2, 6, 1) ? Reason::kAuthenticationFailed : Reason::kScramUnsupported);
}

// --- A record that was not written --------------------------------------------------------------

struct DeliveryRow {
  const char* name;
  rd_kafka_resp_err_t error;
  Profile profile;
  Disposition disposition;
  Reason reason;
};

class ClassifyDeliveryTest : public testing::TestWithParam<DeliveryRow> {};

TEST_P(ClassifyDeliveryTest, DecidesWhatBecomesOfIt) {
  const DeliveryRow& row = GetParam();

  const DeliveryFailure failure =
      ClassifyDelivery(row.error, {.endpoint = "target", .profile = row.profile});

  EXPECT_EQ(failure.disposition, row.disposition);
  EXPECT_EQ(Name(failure.status.reason()), Name(row.reason));
}

INSTANTIATE_TEST_SUITE_P(
    Reports, ClassifyDeliveryTest,
    testing::Values(DeliveryRow{"TooLarge", RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, Profile::kKafka,
                                Disposition::kRefuse, Reason::kRecordTooLarge},
                    DeliveryRow{"Timestamp", RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, Profile::kKafka,
                                Disposition::kRefuse, Reason::kTimestampRefused},
                    DeliveryRow{"InvalidRecord", RD_KAFKA_RESP_ERR_INVALID_RECORD, Profile::kKafka,
                                Disposition::kRefuse, Reason::kRecordRefused},
                    DeliveryRow{"Policy", RD_KAFKA_RESP_ERR_POLICY_VIOLATION, Profile::kKafka,
                                Disposition::kRefuse, Reason::kRecordRefused},
                    DeliveryRow{"PolicyOfEventHubs", RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
                                Profile::kAzureEventHubs, Disposition::kRetry, Reason::kThrottled},
                    // A checksum that broke on the way is not the record's fault.
                    DeliveryRow{"Checksum", RD_KAFKA_RESP_ERR_INVALID_MSG, Profile::kKafka,
                                Disposition::kRetry, Reason::kBrokerError},
                    DeliveryRow{"Acl", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                                Profile::kKafka, Disposition::kBlock, Reason::kAuthorizationFailed},
                    DeliveryRow{"ClusterAcl", RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
                                Profile::kKafka, Disposition::kBlock, Reason::kAuthorizationFailed},
                    DeliveryRow{"Login", RD_KAFKA_RESP_ERR__AUTHENTICATION, Profile::kKafka,
                                Disposition::kBlock, Reason::kAuthenticationFailed},
                    DeliveryRow{"NoTopic", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, Profile::kKafka,
                                Disposition::kBlock, Reason::kTopicNotFound},
                    DeliveryRow{"NoPartition", RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
                                Profile::kKafka, Disposition::kBlock, Reason::kTopicNotFound},
                    DeliveryRow{"Replicas", RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, Profile::kKafka,
                                Disposition::kRetry, Reason::kNotEnoughReplicas},
                    DeliveryRow{"TimedOut", RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, Profile::kKafka,
                                Disposition::kRetry, Reason::kUnreachable},
                    DeliveryRow{"Cut", RD_KAFKA_RESP_ERR__TRANSPORT, Profile::kKafka,
                                Disposition::kRetry, Reason::kUnreachable}),
    [](const auto& test) { return test.param.name; });

// --- A client's trouble -------------------------------------------------------------------------

class ClientTroubleTest : public testing::Test {
 protected:
  void Note(rd_kafka_resp_err_t error, std::string_view text = "") {
    trouble_.Note(error, text, clock_.Now());
  }
  std::optional<Condition> Trouble() const { return trouble_.At(clock_.Now()); }

  FakeClock clock_;
  ClientTrouble trouble_{Side::kTarget, kSasl};
};

TEST_F(ClientTroubleTest, TellsAtOnceWhatNeverWorked) {
  Note(RD_KAFKA_RESP_ERR__AUTHENTICATION, "wrong password");

  const std::optional<Condition> trouble = Trouble();

  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->side, Side::kTarget);
  EXPECT_EQ(trouble->reason, Reason::kAuthenticationFailed);
  EXPECT_THAT(trouble->text, testing::StartsWith("oci: "));
}

TEST_F(ClientTroubleTest, IsSilentAboutAConnectionThatIsRecycled) {
  trouble_.Succeeded(clock_.Now());
  Note(RD_KAFKA_RESP_ERR__TRANSPORT, "Disconnected");
  clock_.Advance(1s);
  EXPECT_FALSE(Trouble());

  trouble_.Succeeded(clock_.Now());
  clock_.Advance(1min);
  EXPECT_FALSE(Trouble());
}

TEST_F(ClientTroubleTest, TellsWhatIsNotFollowedByASuccess) {
  trouble_.Succeeded(clock_.Now());
  clock_.Advance(10s);
  Note(RD_KAFKA_RESP_ERR__TRANSPORT, "Disconnected");
  clock_.Advance(4s);

  const std::optional<Condition> trouble = Trouble();

  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->reason, Reason::kUnreachable);
  EXPECT_EQ(trouble->age, Duration(14s));
}

TEST_F(ClientTroubleTest, KeepsTheErrorThatSaysMost) {
  Note(RD_KAFKA_RESP_ERR__AUTHENTICATION, "wrong password");
  Note(RD_KAFKA_RESP_ERR__TRANSPORT, "Disconnected");
  Note(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 brokers are down");

  EXPECT_EQ(Trouble()->reason, Reason::kAuthenticationFailed);
}

TEST_F(ClientTroubleTest, ForgetsAnErrorThatIsNotRepeated) {
  Note(RD_KAFKA_RESP_ERR__AUTHENTICATION, "wrong password");
  clock_.Advance(1min);
  Note(RD_KAFKA_RESP_ERR__TRANSPORT, "Connection refused");

  EXPECT_EQ(Trouble()->reason, Reason::kUnreachable);
}

TEST_F(ClientTroubleTest, TakesNothingForAMixUpThatWorkedOnce) {
  constexpr const char* kText = "SSL handshake failed: eof (after 1ms in state SSL_HANDSHAKE)";
  Note(RD_KAFKA_RESP_ERR__SSL, kText);
  EXPECT_EQ(Trouble()->reason, Reason::kTlsFailed);

  trouble_.Succeeded(clock_.Now());
  Note(RD_KAFKA_RESP_ERR__SSL, kText);
  clock_.Advance(1min);
  EXPECT_EQ(Trouble()->reason, Reason::kUnreachable);
}

TEST_F(ClientTroubleTest, IgnoresTheGroupThatIsNeverJoined) {
  Note(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
  Note(RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);

  EXPECT_FALSE(Trouble());
}

TEST_F(ClientTroubleTest, LeavesOutAdviceAboutTheLibrarysSettings) {
  Note(RD_KAFKA_RESP_ERR__TRANSPORT,
       "sasl_ssl://h:1/1: Disconnected: verify that security.protocol is correctly configured, "
       "broker might require SASL authentication (after 7ms in state UP, 3 identical error(s) "
       "suppressed)");

  EXPECT_THAT(Trouble()->text,
              HasSubstr("(sasl_ssl://h:1/1: Disconnected (after 7ms in state UP))"));
  EXPECT_THAT(Trouble()->text, Not(HasSubstr("security.protocol")));
}

}  // namespace
}  // namespace drawbridge
