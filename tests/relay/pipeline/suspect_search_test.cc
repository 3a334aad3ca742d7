#include "relay/pipeline/suspect_search.h"

#include <gtest/gtest.h>

#include "tests/relay/pipeline/batches.h"

namespace drawbridge {
namespace {

// A refusal of the record at `offset` and of those behind it, so many in all.
Confirmation RefusalOf(int64_t offset, int64_t records = 1) {
  Confirmation refusal;
  refusal.range = RangeOf(offset, offset + 1);
  refusal.failed_end = Offset{offset + records};
  refusal.records = records;
  refusal.failure = Disposition::kRefuse;
  return refusal;
}

TEST(SuspectSearchTest, SuspectsNobodyAtFirst) { EXPECT_FALSE(SuspectSearch().is_on()); }

TEST(SuspectSearchTest, SendsPartsAtFirstAndSingleRecordsThen) {
  SuspectSearch search;
  EXPECT_FALSE(search.Refused(RefusalOf(100, 640)));
  EXPECT_TRUE(search.is_on());
  EXPECT_EQ(search.part_max(), 20U);

  EXPECT_FALSE(search.Refused(RefusalOf(120, 20)));
  EXPECT_EQ(search.part_max(), 1U);
}

TEST(SuspectSearchTest, SendsFewRecordsOneByOneAtOnce) {
  SuspectSearch search;
  search.Refused(RefusalOf(100, 5));
  EXPECT_EQ(search.part_max(), 1U);
}

TEST(SuspectSearchTest, FindsARecordThatIsRefusedAloneTwice) {
  SuspectSearch search;
  search.Refused(RefusalOf(100, 5));
  EXPECT_FALSE(search.Refused(RefusalOf(102))) << "once may be chance";
  EXPECT_TRUE(search.Refused(RefusalOf(102)));
}

TEST(SuspectSearchTest, CountsRefusalsOfEachRecordByItself) {
  SuspectSearch search;
  search.Refused(RefusalOf(100, 5));
  search.Refused(RefusalOf(102));
  EXPECT_FALSE(search.Refused(RefusalOf(101)));
  EXPECT_FALSE(search.Refused(RefusalOf(102)));
}

TEST(SuspectSearchTest, BlamesNoRecordThatWasRefusedWithOthers) {
  SuspectSearch search;
  EXPECT_FALSE(search.Refused(RefusalOf(100, 640)));
  EXPECT_FALSE(search.Refused(RefusalOf(100, 20)));
  EXPECT_TRUE(search.Refused(RefusalOf(100)));
}

TEST(SuspectSearchTest, GoesOnUntilAllThatWereRefusedTogetherHavePassed) {
  SuspectSearch search;
  search.Refused(RefusalOf(100, 640));
  search.Refused(RefusalOf(120, 20));

  search.Passed(Offset{739});
  EXPECT_TRUE(search.is_on());
  search.Passed(Offset{740});
  EXPECT_FALSE(search.is_on());
}

TEST(SuspectSearchTest, ForgetsARefusalOnceTheRecordHasPassed) {
  SuspectSearch search;
  search.Refused(RefusalOf(100, 5));
  search.Refused(RefusalOf(102));
  search.Passed(Offset{103});
  EXPECT_FALSE(search.Refused(RefusalOf(102))) << "as after a rewind";
}

TEST(SuspectSearchTest, BeginsAnewAfterAReset) {
  SuspectSearch search;
  search.Refused(RefusalOf(100, 5));
  search.Refused(RefusalOf(102));

  search.Reset();

  EXPECT_FALSE(search.is_on());
  EXPECT_FALSE(search.Refused(RefusalOf(102)));
}

}  // namespace
}  // namespace drawbridge
