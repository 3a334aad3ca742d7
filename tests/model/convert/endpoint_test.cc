#include "model/convert/endpoint.h"

#include "tests/model/convert/messages.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

class EndpointTest : public testing::Test {
 protected:
  v1::Endpoint message_ = FromText<v1::Endpoint>(R"(
      name: "oci-fra"
      kafka {
        bootstrap: "a.example:9092"
        bootstrap: "b.example:9092"
        profile: PROFILE_OCI_STREAMING
        ca_pem: "-----BEGIN CERTIFICATE-----"
        credential: "oci-login"
        plaintext: true
        cluster_key: "ocid1.streampool"
        source_retention { seconds: 86400 nanos: 5 }
      })");
};

TEST_F(EndpointTest, KeepsWhatPeopleWrite) {
  ExpectKeepsAll(message_, {"generation", "cluster_id"});
}

TEST_F(EndpointTest, KeepsASearchEngine) {
  const auto engine = FromText<v1::Endpoint>(R"(
      name: "search"
      opensearch {
        addresses: "https://a.example:9200"
        addresses: "https://b.example:9200"
        product: SEARCH_PRODUCT_ELASTICSEARCH
        ca_pem: "-----BEGIN CERTIFICATE-----"
        credential: "search-user"
      })");

  ExpectKeepsAll(engine, {"generation", "cluster_id"});
  ExpectBlamed(engine, "opensearch.product", [](auto& it) {
    it.mutable_opensearch()->set_product(static_cast<v1::SearchProduct>(99));
  });
}

TEST_F(EndpointTest, LeavesOutWhatTheSystemSays) {
  message_.set_generation(7);
  message_.set_cluster_id("abc");

  const StatusOr<v1::Endpoint> kept = ThereAndBack(message_);

  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept->generation(), 0);
  EXPECT_EQ(kept->cluster_id(), "");
}

TEST_F(EndpointTest, HasTheDocumentedDefaults) {
  const StatusOr<EndpointSpec> spec = FromProto(FromText<v1::Endpoint>("kafka {}"));

  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(*spec, EndpointSpec{});
  EXPECT_EQ(spec->kafka().profile, Profile::kKafka);
  EXPECT_FALSE(spec->kafka().plaintext);
  EXPECT_FALSE(spec->kafka().source_retention.has_value());
}

TEST_F(EndpointTest, RefusesOrKeepsWhateverComes) {
  ExpectRefusesOrKeeps<v1::Endpoint>(message_, [](v1::Endpoint& it) {
    it.clear_generation();
    it.clear_cluster_id();
    if (it.kafka().profile() == v1::PROFILE_UNSPECIFIED) {
      it.mutable_kafka()->set_profile(v1::PROFILE_KAFKA);
    }
  });
}

TEST_F(EndpointTest, BlamesTheFieldByItsPath) {
  ExpectBlamed(message_, "kafka", [](auto& it) { it.clear_kafka(); });
  ExpectBlamed(message_, "kafka.profile",
               [](auto& it) { it.mutable_kafka()->set_profile(static_cast<v1::Profile>(99)); });
  ExpectBlamed(message_, "kafka.source_retention", [](auto& it) {
    it.mutable_kafka()->mutable_source_retention()->set_seconds(10'000'000'000);
  });
  ExpectBlamed(message_, "kafka.source_retention", [](auto& it) {
    *it.mutable_kafka()->mutable_source_retention() = ToProto(Duration(-1ns));
  });
}

}  // namespace
}  // namespace drawbridge
