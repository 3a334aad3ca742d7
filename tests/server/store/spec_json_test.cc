#include "server/store/spec_json.h"

#include <gtest/gtest.h>

#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

// Nothing here is a default, so that a field that is forgotten shows.
EndpointSpec FullEndpoint() {
  return {.name = "oci",
          .cluster = KafkaEndpoint{.bootstrap = {"a.example:9092", "b.example:9093"},
                                   .profile = Profile::kOciStreaming,
                                   .ca_pem = "-----BEGIN CERTIFICATE-----\n\"quoted\"\n",
                                   .credential = "oci-user",
                                   .plaintext = true,
                                   .cluster_key = "pool-1",
                                   .source_retention = std::chrono::hours(7)}};
}

BridgeSpec FullBridge() {
  return {.name = "logs",
          .source = {.endpoint = "oci",
                     .topics = {"audit", "/vcn-.*/"},
                     .start = {.kind = Start::Kind::kTime,
                               .time = WallTime{std::chrono::microseconds(1'773'446'400'000'001)}}},
          .target = {.endpoint = "aws",
                     .topic = "oci.{topic}",
                     .compression = Compression::kZstd,
                     .replication_factor = 3,
                     .provenance = false,
                     .require_idempotence = true,
                     .index = "logs-{topic}",
                     .dead_letter_index = "dead",
                     .dead_letter_topic = "dead-topic",
                     .dead_letter_max_percent = 5},
          .placement = {{"cloud", "oci"}, {"region", "fra"}},
          .lanes = 4};
}

TEST(SpecJsonTest, GivesBackEveryFieldOfAnEndpoint) {
  EXPECT_EQ(*EndpointFromJson(ToJson(FullEndpoint())), FullEndpoint());
  EXPECT_EQ(*EndpointFromJson(ToJson(EndpointSpec{})), EndpointSpec{});
}

TEST(SpecJsonTest, GivesBackEveryFieldOfASearchEngine) {
  for (const SearchProduct product :
       {SearchProduct::kAsItTells, SearchProduct::kOpenSearch, SearchProduct::kElasticsearch}) {
    const EndpointSpec engine{
        .name = "search",
        .cluster = OpenSearchEndpoint{.addresses = {"https://a:1", "https://b:2"},
                                      .product = product,
                                      .ca_pem = "ca",
                                      .credential = "user"}};
    EXPECT_EQ(*EndpointFromJson(ToJson(engine)), engine);
  }
}

TEST(SpecJsonTest, GivesBackEveryFieldOfABridge) {
  EXPECT_EQ(*BridgeFromJson(ToJson(FullBridge())), FullBridge());
  EXPECT_EQ(*BridgeFromJson(ToJson(BridgeSpec{})), BridgeSpec{});
}

TEST(SpecJsonTest, GivesBackEveryProfileCodecAndStart) {
  for (int i = 0; i <= static_cast<int>(Profile::kAiven); ++i) {
    EndpointSpec endpoint = FullEndpoint();
    endpoint.kafka().profile = static_cast<Profile>(i);
    EXPECT_EQ(*EndpointFromJson(ToJson(endpoint)), endpoint) << i;
  }
  for (int i = 0; i <= static_cast<int>(Compression::kZstd); ++i) {
    BridgeSpec bridge = FullBridge();
    bridge.target.compression = static_cast<Compression>(i);
    EXPECT_EQ(*BridgeFromJson(ToJson(bridge)), bridge) << i;
  }
  for (const Start::Kind kind : {Start::Kind::kEarliest, Start::Kind::kLatest}) {
    BridgeSpec bridge = FullBridge();
    bridge.source.start = {.kind = kind, .time = {}};
    EXPECT_EQ(*BridgeFromJson(ToJson(bridge)), bridge);
  }
}

TEST(SpecJsonTest, GivesBackLabels) {
  const Labels labels = {{"cloud", "oci"}, {"z\xc3\xbcrich", "\"\\\n"}};

  EXPECT_EQ(*LabelsFromJson(ToJson(labels)), labels);
  EXPECT_EQ(*LabelsFromJson("{}"), Labels{});
}

TEST(SpecJsonTest, ReadsWhatANewerVersionAdded) {
  EXPECT_EQ(BridgeFromJson(R"({"name": "x", "source": {"endpoint": "a", "topics": ["t"], "new": 1},
                               "target": {"endpoint": "b", "topic": "{topic}"}, "newer": {}})")
                ->target.provenance,
            true);
}

TEST(SpecJsonTest, TellsDamageFromADefinition) {
  for (const std::string text : {"", "{", "null", "[]", "{}", "\xff", R"({"name": 1})",
                                 R"({"name": "x", "kafka": {"bootstrap": "not a list"}})",
                                 R"({"name": "x", "source": {}, "target": {}})"}) {
    EXPECT_EQ(WhyNot(EndpointFromJson(text)), "DATABASE_CORRUPT") << text;
    EXPECT_EQ(WhyNot(BridgeFromJson(text)), "DATABASE_CORRUPT") << text;
  }
  EXPECT_EQ(WhyNot(LabelsFromJson("[1]")), "DATABASE_CORRUPT");
}

}  // namespace
}  // namespace drawbridge
