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

constexpr auto kProducts = ToWireEnum<SearchProduct, v1::SearchProduct>({
    {SearchProduct::kAsItTells, v1::SEARCH_PRODUCT_UNSPECIFIED},
    {SearchProduct::kOpenSearch, v1::SEARCH_PRODUCT_OPENSEARCH},
    {SearchProduct::kElasticsearch, v1::SEARCH_PRODUCT_ELASTICSEARCH},
});

v1::KafkaEndpoint KafkaToProto(const KafkaEndpoint& kafka) {
  v1::KafkaEndpoint message;
  message.mutable_bootstrap()->Assign(kafka.bootstrap.begin(), kafka.bootstrap.end());
  message.set_profile(ToProto(kafka.profile));
  message.set_ca_pem(kafka.ca_pem);
  message.set_credential(kafka.credential);
  message.set_plaintext(kafka.plaintext);
  message.set_cluster_key(kafka.cluster_key);
  if (kafka.source_retention) {
    *message.mutable_source_retention() = ToProto(*kafka.source_retention);
  }
  return message;
}

v1::OpenSearchEndpoint OpenSearchToProto(const OpenSearchEndpoint& engine) {
  v1::OpenSearchEndpoint message;
  message.mutable_addresses()->Assign(engine.addresses.begin(), engine.addresses.end());
  message.set_product(kProducts.ToWire(engine.product));
  message.set_ca_pem(engine.ca_pem);
  message.set_credential(engine.credential);
  return message;
}

StatusOr<SearchProduct> ProductFromProto(v1::SearchProduct message) {
  const std::optional<SearchProduct> product = kProducts.FromWire(message);
  if (!product) return InvalidField("this version knows no such product");
  return *product;
}

StatusOr<OpenSearchEndpoint> OpenSearchFromProto(const v1::OpenSearchEndpoint& message) {
  FieldReader fields;
  return fields.Finish(
      OpenSearchEndpoint{.addresses = {message.addresses().begin(), message.addresses().end()},
                         .product = fields.Take("product", ProductFromProto(message.product())),
                         .ca_pem = message.ca_pem(),
                         .credential = message.credential()});
}

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
  if (endpoint.is_kafka()) {
    *message.mutable_kafka() = KafkaToProto(endpoint.kafka());
  } else {
    *message.mutable_opensearch() = OpenSearchToProto(endpoint.opensearch());
  }
  return message;
}

StatusOr<EndpointSpec> FromProto(const v1::Endpoint& message) {
  FieldReader fields;
  EndpointSpec endpoint{.name = message.name(), .cluster = {}};
  fields.Check(message.has_kafka() || message.has_opensearch(), "kafka",
               "is missing, or opensearch: an endpoint is one of the two");
  if (message.has_opensearch()) {
    endpoint.cluster = fields.Take("opensearch", OpenSearchFromProto(message.opensearch()));
  } else if (message.has_kafka()) {
    endpoint.cluster = fields.Take("kafka", KafkaFromProto(message.kafka()));
  }
  return fields.Finish(std::move(endpoint));
}

v1::Profile ToProto(Profile profile) { return kProfiles.ToWire(profile); }

StatusOr<Profile> FromProto(v1::Profile message) {
  if (message == v1::PROFILE_UNSPECIFIED) return Profile::kKafka;
  const std::optional<Profile> profile = kProfiles.FromWire(message);
  if (!profile) return InvalidField("this version knows no such profile");
  return *profile;
}

}  // namespace drawbridge
