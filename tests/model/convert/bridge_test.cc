#include "model/convert/bridge.h"

#include "tests/model/convert/messages.h"

namespace drawbridge {
namespace {

class BridgeTest : public testing::Test {
 protected:
  v1::Bridge message_ = FromText<v1::Bridge>(R"(
      name: "oci-logs"
      spec {
        source {
          endpoint: "oci-fra"
          topics: "audit"
          topics: "/vcn-.*/"
          start { time { seconds: 1773480413 nanos: 589793000 } }
        }
        target {
          endpoint: "aws-msk"
          topic: "oci.{topic}"
          compression: COMPRESSION_LZ4
          replication_factor: 3
          omit_provenance: true
          require_idempotence: true
          index: "logs-{topic}"
          dead_letter_index: "dead"
          dead_letter_topic: "dead-topic"
          dead_letter_max_percent: 5
        }
        placement {
          labels { key: "cloud" value: "oci" }
          labels { key: "region" value: "fra" }
        }
        lanes: 4
      })");
};

TEST_F(BridgeTest, KeepsWhatPeopleWrite) {
  ExpectKeepsAll(message_, {"generation", "paused", "status"});
}

TEST_F(BridgeTest, KeepsEachKindOfStart) {
  v1::Start& start = *message_.mutable_spec()->mutable_source()->mutable_start();
  start.set_earliest(true);
  ExpectKeepsAll(message_, {"generation", "paused", "status"});

  start.set_latest(true);
  ExpectKeepsAll(message_, {"generation", "paused", "status"});
}

TEST_F(BridgeTest, HasTheDocumentedDefaults) {
  const StatusOr<BridgeSpec> spec = FromProto(FromText<v1::Bridge>("spec { source {} target {} }"));

  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(*spec, BridgeSpec{});
  EXPECT_EQ(spec->target.topic, "{topic}");
  EXPECT_EQ(spec->lanes, 1);
  EXPECT_EQ(spec->source.start.kind, Start::Kind::kEarliest);
  EXPECT_EQ(spec->target.compression, Compression::kDefault);
  EXPECT_TRUE(spec->target.provenance);
}

TEST_F(BridgeTest, TakesANameThatStandsApart) {
  const StatusOr<BridgeSpec> whole = FromProto(message_);
  const StatusOr<BridgeSpec> apart = FromProto("oci-logs", message_.spec());

  ASSERT_TRUE(whole.ok() && apart.ok());
  EXPECT_EQ(*whole, *apart);
}

TEST_F(BridgeTest, RefusesOrKeepsWhateverComes) {
  ExpectRefusesOrKeeps<v1::Bridge>(message_, [](v1::Bridge& it) {
    it.clear_generation();
    it.clear_paused();
    v1::BridgeSpec& spec = *it.mutable_spec();
    spec.mutable_placement();
    if (spec.lanes() == 0) spec.set_lanes(1);
    if (spec.target().topic().empty()) spec.mutable_target()->set_topic("{topic}");
    v1::Start& start = *spec.mutable_source()->mutable_start();
    if (start.position_case() == v1::Start::POSITION_NOT_SET) start.set_earliest(true);
  });
}

TEST_F(BridgeTest, BlamesTheFieldByItsPath) {
  ExpectBlamed(message_, "spec", [](auto& it) { it.clear_spec(); });
  ExpectBlamed(message_, "source", [](auto& it) { it.mutable_spec()->clear_source(); });
  ExpectBlamed(message_, "target", [](auto& it) { it.mutable_spec()->clear_target(); });
  ExpectBlamed(message_, "lanes", [](auto& it) { it.mutable_spec()->set_lanes(-1); });
  ExpectBlamed(message_, "lanes", [](auto& it) { it.mutable_spec()->set_lanes(65); });
  ExpectBlamed(message_, "target.replication_factor",
               [](auto& it) { it.mutable_spec()->mutable_target()->set_replication_factor(-1); });
  ExpectBlamed(message_, "target.compression", [](auto& it) {
    it.mutable_spec()->mutable_target()->set_compression(static_cast<v1::Compression>(6));
  });
  ExpectBlamed(message_, "source.start.time", [](auto& it) {
    it.mutable_spec()->mutable_source()->mutable_start()->mutable_time()->set_nanos(-1);
  });
}

TEST_F(BridgeTest, RefusesAStartThatSaysNo) {
  ExpectBlamed(message_, "source.start.latest", [](auto& it) {
    it.mutable_spec()->mutable_source()->mutable_start()->set_latest(false);
  });
  ExpectBlamed(message_, "source.start.earliest", [](auto& it) {
    it.mutable_spec()->mutable_source()->mutable_start()->set_earliest(false);
  });
}

}  // namespace
}  // namespace drawbridge
