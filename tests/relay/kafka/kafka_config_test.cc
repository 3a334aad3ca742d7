#include "relay/kafka/kafka_config.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using testing::HasSubstr;
using testing::Not;

// A client's certificate that ended on 2024-01-02, and its signer's, which ends in 2049.
constexpr const char* kChain = R"(-----BEGIN CERTIFICATE-----
MIIBrDCCAVGgAwIBAgIUa6w/bRTm4MO3yO2HBw6wDEVQAWswCgYIKoZIzj0EAwIw
JjEkMCIGA1UEAwwbZHJhd2JyaWRnZSByaWcgaW50ZXJtZWRpYXRlMB4XDTI0MDEw
MTAwMDAwMFoXDTI0MDEwMjAwMDAwMFowETEPMA0GA1UEAwwGY2xpZW50MFkwEwYH
KoZIzj0CAQYIKoZIzj0DAQcDQgAEqVeW4ucyCUngFj2OPMt1tomg6i/7bpDJDkJ/
rZUtFnkzGiOyjOzzux/f6AwR6rZ5M2w33ocPZChvk/h+1R/hQqNyMHAwHQYDVR0O
BBYEFMnnLc36R1a9ppLeYbIHTlNwx1CvMB8GA1UdIwQYMBaAFKdOmDE/ili6ZTk2
5eol0GtTygS/MAkGA1UdEwQCMAAwDgYDVR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoG
CCsGAQUFBwMCMAoGCCqGSM49BAMCA0kAMEYCIQDur7BhzEryAGdwUXrO3HzoTrf1
pjvE4Mtu40ikSvmlUQIhAIZvLVlgVX048Xs+wCQpdAoIL9fVgp/yFDaBcFDFrd/y
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBqjCCAU+gAwIBAgIUWjsHknwjqSdAwLbB6t367lxDNJQwCgYIKoZIzj0EAwIw
HjEcMBoGA1UEAwwTZHJhd2JyaWRnZSByaWcgcm9vdDAeFw0yNDAxMDEwMDAwMDBa
Fw00OTEyMzEyMzU5NTlaMCYxJDAiBgNVBAMMG2RyYXdicmlkZ2UgcmlnIGludGVy
bWVkaWF0ZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJAE7sFTh3xj9WEY9TNG
60ThIf8Q3bB7OmvKq63AkyCU1OG1G7j6Bdy5+6Xiasj4R0I1cLy7xUe4TeALW+25
g32jYzBhMB0GA1UdDgQWBBSnTpgxP4pYumU5NuXqJdBrU8oEvzAfBgNVHSMEGDAW
gBRgNIdvcqRYkckUOdmyi6hJZKZriDAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB
/wQEAwIBBjAKBggqhkjOPQQDAgNJADBGAiEAgDk5IbEbqF2ZdnkQcY7liAg5G4ci
Dfq7JVFPqFNiUxUCIQC5XaApCQ09ckyRAUdFzzE1yZnTHcxPNmmjXCcYLPE1uA==
-----END CERTIFICATE-----
)";

constexpr const char* kCanary = "canary-7c1e";

KafkaCluster Tls() {
  KafkaCluster cluster;
  cluster.endpoint.name = "aws";
  cluster.endpoint.kafka().bootstrap = {"127.0.0.1:1"};
  return cluster;
}

KafkaCluster WithSecret(CredentialKind kind) {
  KafkaCluster cluster = Tls();
  cluster.secret.emplace();
  cluster.secret->kind = kind;
  return cluster;
}

TEST(ContextOfTest, KnowsWhatKindOfLoginIsUsed) {
  EXPECT_FALSE(ContextOf(Tls()).has_sasl);
  EXPECT_FALSE(ContextOf(Tls()).has_client_certificate);

  const ErrorContext plain = ContextOf(WithSecret(CredentialKind::kSaslPlain));
  EXPECT_TRUE(plain.has_sasl);
  EXPECT_FALSE(plain.has_scram);

  const ErrorContext scram = ContextOf(WithSecret(CredentialKind::kSaslScramSha512));
  EXPECT_TRUE(scram.has_sasl);
  EXPECT_TRUE(scram.has_scram);

  const ErrorContext mtls = ContextOf(WithSecret(CredentialKind::kMtls));
  EXPECT_FALSE(mtls.has_sasl);
  EXPECT_TRUE(mtls.has_client_certificate);
}

TEST(ContextOfTest, KnowsWhenTheFirstCertificateOfTheChainEnds) {
  KafkaCluster cluster = WithSecret(CredentialKind::kMtls);
  EXPECT_EQ(ContextOf(cluster).client_certificate_end, std::nullopt);

  cluster.secret->certificate_pem = kChain;
  EXPECT_EQ(ContextOf(cluster).client_certificate_end, FromMicros(1'704'153'600'000'000));

  cluster.secret->certificate_pem = "no certificate";
  EXPECT_EQ(ContextOf(cluster).client_certificate_end, std::nullopt);
}

TEST(CreateObserverTest, SaysWhichSettingsAreWrong) {
  KafkaCluster cluster = Tls();
  cluster.endpoint.kafka().ca_pem = "no certificate";

  const StatusOr<ClientHandle> client = CreateObserver(cluster);

  EXPECT_EQ(client.status().reason(), Reason::kFieldInvalid);
  EXPECT_THAT(client.status().message(), HasSubstr("aws"));
}

TEST(CreateObserverTest, TellsNoSecret) {
  KafkaCluster cluster = WithSecret(CredentialKind::kMtls);
  cluster.secret->certificate_pem = kChain;
  cluster.secret->key_pem = Secret(std::string("-----BEGIN PRIVATE KEY-----\n") + kCanary);
  cluster.secret->key_password = Secret(kCanary);

  const StatusOr<ClientHandle> client = CreateObserver(cluster);

  ASSERT_FALSE(client.ok());
  EXPECT_THAT(client.status().message(), Not(HasSubstr(kCanary)));
}

TEST(CreateObserverTest, TellsNoPassword) {
  KafkaCluster cluster = WithSecret(CredentialKind::kSaslPlain);
  cluster.secret->password = Secret(kCanary);  // without a user

  const StatusOr<ClientHandle> client = CreateObserver(cluster);

  EXPECT_THAT(client.status().message(), Not(HasSubstr(kCanary)));
}

}  // namespace
}  // namespace drawbridge
