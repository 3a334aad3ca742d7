#include "relay/pipeline/echo_filter.h"

#include <list>
#include <string>

#include <gtest/gtest.h>

#include "tests/relay/pipeline/batches.h"

namespace drawbridge {
namespace {

constexpr ClusterKey kTarget = 0xAAAA;
constexpr ClusterKey kElsewhere = 0xBBBB;

class EchoFilterTest : public testing::Test {
 protected:
  static std::string From(ClusterKey cluster, std::vector<ClusterKey> passed = {}) {
    return Provenance{.flags = 0,
                      .cluster = cluster,
                      .source_epoch = 1,
                      .partition = 0,
                      .offset = {1},
                      .topic = 1,
                      .passed = std::move(passed)}
        .Encode();
  }

  void Add(int64_t offset) { batch_.records.push_back(RecordAt(offset)); }
  void Add(int64_t offset, std::vector<Header> headers) {
    Add(offset);
    batch_.records.back().headers = headers_.emplace_back(std::move(headers));
  }
  void AddEcho(int64_t offset) { Add(offset, {{kProvenanceHeader, echo_}}); }

  std::vector<int64_t> Left() const {
    std::vector<int64_t> offsets;
    for (const Record& record : batch_.records) offsets.push_back(record.offset.value);
    return offsets;
  }

  const std::string echo_ = From(kTarget);
  const std::string other_ = From(kElsewhere);
  std::list<std::vector<Header>> headers_;
  Batch batch_;
  EchoFilter filter_{kTarget};
};

TEST_F(EchoFilterTest, TakesOutRecordsOfTheTargetsCluster) {
  Add(1);
  AddEcho(2);
  Add(3, {{kProvenanceHeader, other_}});

  const std::vector<FilteredRange> runs = filter_.Apply(batch_);

  EXPECT_EQ(Left(), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(runs, (std::vector{FilteredRange{.range = RangeOf(2, 3), .records = 1}}));
}

TEST_F(EchoFilterTest, TakesOutRecordsThatPassedTheTargetsClusterOnTheirWay) {
  const std::string passed = From(kElsewhere, {0xCCCC, kTarget});
  Add(1, {{kProvenanceHeader, passed}});

  filter_.Apply(batch_);

  EXPECT_TRUE(batch_.records.empty());
}

TEST_F(EchoFilterTest, JoinsNeighboursToRunsAndNothingElse) {
  AddEcho(1);
  AddEcho(2);
  Add(3);
  AddEcho(4);
  AddEcho(6);  // 5 is a hole

  const std::vector<FilteredRange> runs = filter_.Apply(batch_);

  EXPECT_EQ(runs, (std::vector<FilteredRange>{{.range = RangeOf(1, 3), .records = 2},
                                              {.range = RangeOf(4, 5), .records = 1},
                                              {.range = RangeOf(6, 7), .records = 1}}));
}

TEST_F(EchoFilterTest, LetsAllPassWhereTheTargetIsNotKnown) {
  AddEcho(1);

  EXPECT_TRUE(EchoFilter(std::nullopt).Apply(batch_).empty());
  EXPECT_EQ(batch_.records.size(), 1U);
}

TEST_F(EchoFilterTest, LetsHeadersPassThatOnlyLookLikeOurs) {
  Add(1, {{kProvenanceHeader, "not ours"}});
  Add(2, {{kProvenanceHeader, std::nullopt}});
  Add(3, {{"other-name", echo_}});

  EXPECT_TRUE(filter_.Apply(batch_).empty());
}

TEST_F(EchoFilterTest, GoesByTheLastHeaderThatIsOurs) {
  Add(1, {{kProvenanceHeader, echo_}, {kProvenanceHeader, other_}});
  Add(2, {{kProvenanceHeader, other_}, {kProvenanceHeader, echo_}, {kProvenanceHeader, "junk"}});

  filter_.Apply(batch_);

  EXPECT_EQ(Left(), (std::vector<int64_t>{1}));
}

}  // namespace
}  // namespace drawbridge
