#include <gmock/gmock.h>

#include "drawbridge/v1/stream.pb.h"
#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::HasSubstr;

class PositionsTest : public VerbTest {};

TEST_F(PositionsTest, ShowsCheckpoints) {
  v1::ListPartitionsResponse list;
  v1::Partition& partition = *list.add_partitions();
  partition.set_bridge("oci-logs");
  partition.set_topic("audit");
  partition.set_next_offset(1234);
  partition.mutable_anchor()->set_offset(1233);
  partition.set_relay("relay-1");
  partition.set_epoch(4);
  partition.set_incarnation(1);
  partition.mutable_updated_at()->set_seconds(1'773'478'800 - 2);
  *list.add_partitions() = partition;
  list.mutable_partitions(1)->clear_next_offset();
  list.mutable_partitions(1)->clear_anchor();
  server_.WillAnswer(v1::ListPartitionsRequest{}, list);

  EXPECT_EQ(Run({"checkpoints", "oci-logs/audit"}), ExitCode::kOk) << err();

  EXPECT_EQ(out(),
            "BRIDGE    TOPIC  PARTITION  NEXT OFFSET  LAST CONFIRMED  RELAY    EPOCH  INCARNATION  "
            "STORED\n"
            "oci-logs  audit          0        1,234           1,233  relay-1      4            1  "
            "2s ago\n"
            "oci-logs  audit          0            ?               -  relay-1      4            1  "
            "2s ago\n");
}

TEST_F(PositionsTest, ShowsGaps) {
  v1::ListGapsResponse list;
  v1::Gap& gap = *list.add_gaps();
  gap.set_bridge("oci-logs");
  gap.set_topic("audit");
  gap.set_partition(2);
  gap.set_from_offset(1000);
  gap.set_to_offset(1500);
  gap.set_cause(v1::GAP_CAUSE_RETENTION);
  gap.mutable_at()->set_seconds(1'773'478'800);
  server_.WillAnswer(v1::ListGapsRequest{}, list);

  EXPECT_EQ(Run({"gaps", "oci-logs"}), ExitCode::kOk);

  EXPECT_THAT(out(), HasSubstr("oci-logs  audit          2  1,000  1,500      500  retention  "
                               "2026-03-14T09:00:00Z\n"));
  EXPECT_EQ(Run({"gaps", "-o", "json"}), ExitCode::kOk);
  EXPECT_EQ(OutJson()["gaps"][0]["to_offset"], 1500);
}

TEST_F(PositionsTest, SaysThatNoRecordWasRefused) {
  EXPECT_EQ(Run({"dead-letters", "list"}), ExitCode::kOk);

  EXPECT_EQ(out(), "no dead letters: no target has refused a record\n");
}

TEST_F(PositionsTest, SaysThatNothingIsLost) {
  EXPECT_EQ(Run({"gaps"}), ExitCode::kOk);

  EXPECT_EQ(out(), "no gaps: no record is known to be lost\n");
}

}  // namespace
}  // namespace drawbridge::cli
