#include "model/convert/assignment.h"

#include "tests/model/convert/messages.h"

namespace drawbridge {
namespace {

class AssignmentsTest : public testing::Test {
 protected:
  static void AddStream(v1::BridgeAssignment& bridge, int64_t id) {
    v1::StreamAssignment& stream = *bridge.add_streams();
    stream.set_stream_id(id);
    stream.set_topic("waf");
    stream.set_target_topic("oci.waf");
    stream.set_source_epoch(1);
  }

  v1::BridgeAssignment& bridge() { return *message_.mutable_bridges(0); }
  v1::StreamAssignment& stream() { return *bridge().mutable_streams(0); }

  v1::Assignments message_ = FromText<v1::Assignments>(R"(
      incarnation: 2
      revision: 41
      bridges {
        bridge_id: 5
        name: "oci-logs"
        generation: 8
        spec {
          source { endpoint: "oci" topics: "/.*/" start { latest: true } }
          target {
            endpoint: "aws"
            topic: "oci.{topic}"
            compression: COMPRESSION_ZSTD
            replication_factor: 2
            omit_provenance: true
            require_idempotence: true index: "logs" dead_letter_index: "dead" dead_letter_topic: "d"
            dead_letter_max_percent: 5
          }
          placement { labels { key: "cloud" value: "oci" } }
          lanes: 2
        }
        source {
          name: "oci"
          kafka {
            bootstrap: "a.example:9092"
            profile: PROFILE_OCI_STREAMING
            ca_pem: "pem"
            credential: "login"
            plaintext: true
            cluster_key: "key"
            source_retention { seconds: 1 nanos: 1 }
          }
        }
        target {
          name: "aws"
          kafka {
            bootstrap: "b.example:9094"
            profile: PROFILE_AWS_MSK
            ca_pem: "pem"
            credential: "key"
            plaintext: true
            cluster_key: "key"
            source_retention { seconds: 1 nanos: 1 }
          }
        }
        source_secret { credential_id: 1 version: 4 }
        target_secret { credential_id: 2 version: 1 }
        survey: true
        source_cluster_id: "oci-id"
        target_cluster_id: "aws-id"
        reverse_flows { topics: "audit" topics: "/waf.*/" topic_template: "aws.{topic}" }
        streams {
          stream_id: 7
          topic: "audit"
          target_topic: "oci.audit"
          source_epoch: 3
          paused: true
          partitions {
            partition: 1
            token { incarnation: 2 epoch: 6 }
            start_offset: 500
            anchor { offset: 499 timestamp_ms: 1 hash: 2 }
          }
        }
      })");
  // What belongs to the session, and what only operators are told.
  const std::vector<std::string> left_out_ = {
      "nonce", "bridges.source.generation", "bridges.source.cluster_id",
      "bridges.target.generation", "bridges.target.cluster_id"};
};

TEST_F(AssignmentsTest, KeepAll) { ExpectKeepsAll(message_, left_out_); }

TEST_F(AssignmentsTest, KeepWhatIsNotSet) {
  message_ = FromText<v1::Assignments>(R"(
      bridges {
        bridge_id: 5
        spec {
          source { start { earliest: true } }
          target { topic: "{topic}" }
          placement {}
          lanes: 1
        }
        source { kafka { profile: PROFILE_KAFKA } }
        target { kafka { profile: PROFILE_KAFKA } }
        streams {
          stream_id: 7
          topic: "audit"
          target_topic: "audit"
          source_epoch: 1
          partitions { token {} }
        }
      })");

  const StatusOr<v1::Assignments> kept = ThereAndBack(message_);

  ASSERT_TRUE(kept.ok()) << kept.status().ToString();
  EXPECT_THAT(*kept, EqualsMessage(message_));
}

TEST_F(AssignmentsTest, MayBeEmpty) {
  const StatusOr<Assignments> nothing = FromProto(v1::Assignments());

  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(*nothing, Assignments{});
}

TEST_F(AssignmentsTest, AreRefusedOrKeptWhateverComes) {
  const auto mean = [](v1::Assignments& it) {
    it.clear_nonce();
    for (v1::BridgeAssignment& bridge : *it.mutable_bridges()) {
      v1::BridgeSpec& spec = *bridge.mutable_spec();
      spec.mutable_placement();
      if (spec.lanes() == 0) spec.set_lanes(1);
      if (spec.target().topic().empty()) spec.mutable_target()->set_topic("{topic}");
      v1::Start& start = *spec.mutable_source()->mutable_start();
      if (start.position_case() == v1::Start::POSITION_NOT_SET) start.set_earliest(true);
      for (v1::Endpoint* endpoint : {bridge.mutable_source(), bridge.mutable_target()}) {
        endpoint->clear_generation();
        endpoint->clear_cluster_id();
        if (endpoint->kafka().profile() == v1::PROFILE_UNSPECIFIED) {
          endpoint->mutable_kafka()->set_profile(v1::PROFILE_KAFKA);
        }
      }
    }
  };
  ExpectRefusesOrKeeps<v1::Assignments>(message_, mean);
}

TEST_F(AssignmentsTest, BlameTheFieldByItsPath) {
  const auto blamed = [&](const std::string& field, auto spoil) {
    ExpectBlamed(message_, field, [&](auto& it) { spoil(*it.mutable_bridges(0)); });
  };
  blamed("bridges[0].bridge_id", [](auto& it) { it.clear_bridge_id(); });
  blamed("bridges[0].spec", [](auto& it) { it.clear_spec(); });
  blamed("bridges[0].spec.lanes", [](auto& it) { it.mutable_spec()->set_lanes(1 << 30); });
  blamed("bridges[0].source", [](auto& it) { it.clear_source(); });
  blamed("bridges[0].target.kafka", [](auto& it) { it.mutable_target()->clear_kafka(); });
  blamed("bridges[0].target_secret.version",
         [](auto& it) { it.mutable_target_secret()->set_version(0); });
  blamed("bridges[0].reverse_flows[0].topic_template",
         [](auto& it) { it.mutable_reverse_flows(0)->clear_topic_template(); });
  blamed("bridges[0].streams[0].topic", [](auto& it) { it.mutable_streams(0)->clear_topic(); });
  blamed("bridges[0].streams[0].partitions[0].token",
         [](auto& it) { it.mutable_streams(0)->mutable_partitions(0)->clear_token(); });
  blamed("bridges[0].streams[0].partitions[0].start_offset",
         [](auto& it) { it.mutable_streams(0)->mutable_partitions(0)->set_start_offset(-2); });
}

// It would be cut to 16 bits in the provenance header.
TEST_F(AssignmentsTest, RefuseASourceEpochThatTheHeaderCannotHold) {
  for (const int32_t epoch : {0, -1, 65536}) {
    ExpectBlamed(message_, "bridges[0].streams[0].source_epoch", [&](auto& it) {
      it.mutable_bridges(0)->mutable_streams(0)->set_source_epoch(epoch);
    });
  }
}

TEST_F(AssignmentsTest, RefuseAnAnchorThatTheStartHasNotPassed) {
  ExpectBlamed(message_, "bridges[0].streams[0].partitions[0].anchor.offset", [](auto& it) {
    it.mutable_bridges(0)->mutable_streams(0)->mutable_partitions(0)->set_start_offset(499);
  });
}

TEST_F(AssignmentsTest, RefuseWhatIsNamedTwice) {
  *stream().add_partitions() = stream().partitions(0);
  EXPECT_EQ(FromProto(message_).status().field(), "bridges[0].streams[0].partitions[1]");
  stream().mutable_partitions()->RemoveLast();

  AddStream(bridge(), 7);
  EXPECT_EQ(FromProto(message_).status().field(), "bridges[0].streams[1]");
  bridge().mutable_streams()->RemoveLast();

  *message_.add_bridges() = bridge();
  EXPECT_EQ(FromProto(message_).status().field(), "bridges[1]");

  message_.mutable_bridges(1)->set_bridge_id(6);
  EXPECT_EQ(FromProto(message_).status().field(), "bridges[1].streams[0]") << "in two bridges";
}

TEST_F(AssignmentsTest, MayNameAHundredThousandStreams) {
  for (int64_t id = 0; id < 100'000; ++id) AddStream(bridge(), 1000 + id);

  const StatusOr<Assignments> assignments = FromProto(message_);

  ASSERT_TRUE(assignments.ok());
  EXPECT_EQ(assignments->bridges.front().streams.size(), 100'001U);
}

class HeldPartitionTest : public testing::Test {
 protected:
  v1::HeldPartition message_ = FromText<v1::HeldPartition>(R"(
      stream_id: 7
      partition: 1
      token { incarnation: 2 epoch: 6 }
      base_offset: 400
      next_offset: 500
      anchor { offset: 499 timestamp_ms: 1 hash: 2 }
      running: true)");
};

TEST_F(HeldPartitionTest, KeepsAll) { ExpectKeepsAll(message_); }

TEST_F(HeldPartitionTest, RefusesOrKeepsWhateverComes) {
  ExpectRefusesOrKeeps<v1::HeldPartition>(message_);
}

TEST_F(HeldPartitionTest, BlamesTheFieldByItsPath) {
  ExpectBlamed(message_, "token", [](auto& it) { it.clear_token(); });
  ExpectBlamed(message_, "next_offset", [](auto& it) { it.set_base_offset(501); });
  ExpectBlamed(message_, "anchor.offset", [](auto& it) { it.mutable_anchor()->set_offset(500); });
}

}  // namespace
}  // namespace drawbridge
