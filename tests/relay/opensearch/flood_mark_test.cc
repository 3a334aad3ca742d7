#include "relay/opensearch/flood_mark.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

double FreeLeast(const char* mark, double disk_bytes, const char* headroom = "") {
  const std::optional<FloodMark> read = FloodMark::Read(mark, headroom);
  EXPECT_TRUE(read) << mark << ' ' << headroom;
  return read ? read->FreeLeast(disk_bytes) : -1;
}

TEST(FloodMarkTest, IsAPartOfTheDisk) {
  EXPECT_NEAR(FreeLeast("95%", 1000), 50, 1e-6);
  EXPECT_NEAR(FreeLeast("0.95", 1000), 50, 1e-6);
  EXPECT_NEAR(FreeLeast("92.5%", 1000, "-1"), 75, 1e-6);
}

TEST(FloodMarkTest, IsBytesThatStayFree) {
  EXPECT_EQ(FreeLeast("500b", 1000), 500);
  EXPECT_EQ(FreeLeast("2kb", 1000), 2048);
  EXPECT_EQ(FreeLeast("1.5g", 1000), 1.5 * kGiB);
  EXPECT_EQ(FreeLeast("1GB", 1000, "5gb"), kGiB) << "headroom is about a part";
}

TEST(FloodMarkTest, AsksOfALargeDiskForTheHeadroomOnly) {
  EXPECT_EQ(FreeLeast("95%", 10'000 * kGiB, "100gb"), 100 * kGiB);
  EXPECT_NEAR(FreeLeast("95%", 1'000 * kGiB, "100gb"), 50 * kGiB, 1);
}

TEST(FloodMarkTest, SaysNothingThatItDoesNotUnderstand) {
  for (const char* const mark : {"", "much", "120%", "95 percent", "-5%", "5zb"}) {
    EXPECT_FALSE(FloodMark::Read(mark, "")) << mark;
  }
  EXPECT_FALSE(FloodMark::Read("95%", "much"));
}

}  // namespace
}  // namespace drawbridge
