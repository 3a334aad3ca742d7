#include "model/convert/endpoint.h"

#include "model/convert/field_reader.h"
#include "model/convert/time.h"
#include "model/convert/wire_enum.h"

namespace drawbridge {
namespace {

constexpr auto kProfiles = ToWireEnum<Profile, v1::Profile>({
    {Profile::kKafka, v1::PROFILE_KAFKA},
    {Profile::kOciStreaming, v1::PROFILE_OCI_STREAMING},
    {Profile::kAwsMsk, v1::PROFILE_AWS_MSK},
    {Profile::kMskServerless, v1::PROFILE_MSK_SERVERLESS},
    {Profile::kAzureEventHubs, v1::PROFILE_AZURE_EVENT_HUBS},
    {Profile::kGoogleManagedKafka, v1::PROFILE_GOOGLE_MANAGED_KAFKA},
    {Profile::kConfluentCloud, v1::PROFILE_CONFLUENT_CLOUD},
    {Profile::kRedpanda, v1::PROFILE_REDPANDA},
    {Profile::kAiven, v1::PROFILE_AIVEN},
});

StatusOr<KafkaEndpoint> KafkaFromProto(const v1::KafkaEndpoint& message) {
  FieldReader fields;
  return fields.Finish(KafkaEndpoint{
      .bootstrap = {message.bootstrap().begin(), message.bootstrap().end()},
      .profile = fields.Take("profile", FromProto(message.profile())),
      .ca_pem = message.ca_pem(),
      .credential = message.credential(),
      .plaintext = message.plaintext(),
      .cluster_key = message.cluster_key(),
      .source_retention = fields.Span("source_retention", message.has_source_retention(),
                                      message.source_retention())});
}

}  // namespace

v1::Endpoint ToProto(const EndpointSpec& endpoint) {
  v1::Endpoint message;
  message.set_name(endpoint.name);
  v1::KafkaEndpoint& kafka = *message.mutable_kafka();
  kafka.mutable_bootstrap()->Assign(endpoint.kafka.bootstrap.begin(),
                                    endpoint.kafka.bootstrap.end());
  kafka.set_profile(ToProto(endpoint.kafka.profile));
  kafka.set_ca_pem(endpoint.kafka.ca_pem);
  kafka.set_credential(endpoint.kafka.credential);
  kafka.set_plaintext(endpoint.kafka.plaintext);
  kafka.set_cluster_key(endpoint.kafka.cluster_key);
  if (endpoint.kafka.source_retention) {
    *kafka.mutable_source_retention() = ToProto(*endpoint.kafka.source_retention);
  }
  return message;
}

StatusOr<EndpointSpec> FromProto(const v1::Endpoint& message) {
  FieldReader fields;
  return fields.Finish(EndpointSpec{
      .name = message.name(),
      .kafka = fields.Require("kafka", message.has_kafka(), KafkaFromProto(message.kafka()))});
}

v1::Profile ToProto(Profile profile) { return kProfiles.ToWire(profile); }

StatusOr<Profile> FromProto(v1::Profile message) {
  if (message == v1::PROFILE_UNSPECIFIED) return Profile::kKafka;
  const std::optional<Profile> profile = kProfiles.FromWire(message);
  if (!profile) return InvalidField("this version knows no such profile");
  return *profile;
}

}  // namespace drawbridge
