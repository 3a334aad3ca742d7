#include "base/random_id.h"

#include <set>

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

TEST(RandomIdTest, IsDrawnAnewEachTimeAndAlwaysAsLong) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    ids.insert(NewRandomId());
    EXPECT_EQ(ids.begin()->size(), 16U);
  }
  EXPECT_EQ(ids.size(), 1000U);
}

}  // namespace
}  // namespace drawbridge
