#include "relay/pipeline/anchor_check.h"

#include <gtest/gtest.h>

#include "tests/relay/pipeline/batches.h"

namespace drawbridge {
namespace {

class AnchorCheckTest : public testing::Test {
 protected:
  const Anchor anchor_ = AnchorOf(RecordAt(41, "key", "value"));
};

TEST_F(AnchorCheckTest, KnowsTheRecordThatWasDelivered) {
  EXPECT_EQ(CheckAnchor(anchor_, RecordAt(41, "key", "value")), AnchorVerdict::kSame);
}

TEST_F(AnchorCheckTest, TellsAnotherRecordInItsPlace) {
  EXPECT_EQ(CheckAnchor(anchor_, RecordAt(41, "key", "other")), AnchorVerdict::kDifferent);
}

TEST_F(AnchorCheckTest, TellsTheSameBytesOfAnotherTime) {
  Record later = RecordAt(41, "key", "value");
  later.timestamp_ms += 1;

  EXPECT_EQ(CheckAnchor(anchor_, later), AnchorVerdict::kDifferent);
}

TEST_F(AnchorCheckTest, DoesNotTakeAbsentForDifferent) {
  EXPECT_EQ(CheckAnchor(anchor_, RecordAt(43, "key", "other")), AnchorVerdict::kUnknown);
}

}  // namespace
}  // namespace drawbridge
