#include "base/status.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

TEST(StatusTest, SaysReasonSentenceAndField) {
  const Status status(StatusCode::kNotFound, Reason::kTopicNotFound, "no such topic", "topics[1]");

  EXPECT_EQ(status.ToString(), "TOPIC_NOT_FOUND: no such topic (topics[1])");
}

TEST(StatusTest, PutsThePathInFrontOfTheField) {
  const Status inner(StatusCode::kInvalidArgument, Reason::kFieldInvalid, "too many", "lanes");

  EXPECT_EQ(inner.At("bridges[a]").field(), "bridges[a].lanes");
  EXPECT_EQ(inner.At("spec").At("bridges[a]").field(), "bridges[a].spec.lanes");
}

TEST(StatusTest, KeepsTheValueOfASuccess) {
  const StatusOr<std::string> found(std::string("here"));

  ASSERT_TRUE(found.ok());
  EXPECT_EQ(*found, "here");
}

TEST(ReasonTest, EveryReasonIsFoundByItsName) {
  for (int i = 0; i <= static_cast<int>(Reason::kInternal); ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_EQ(ReasonFromName(Name(reason)), reason);
  }
  EXPECT_FALSE(ReasonFromName("NO_SUCH_WORD").has_value());
}

}  // namespace
}  // namespace drawbridge
