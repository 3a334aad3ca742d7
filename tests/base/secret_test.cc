#include "base/secret.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

TEST(SecretTest, PrintsAsRedacted) {
  EXPECT_EQ(fmt::format("{}", Secret("hunter2")), "[redacted]");
}

TEST(SecretTest, LeavesNothingBehindWhenMoved) {
  Secret from("hunter2");

  const Secret to(std::move(from));

  EXPECT_EQ(to.Reveal(), "hunter2");
  EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move)
}

TEST(SecretTest, ComparesWholeTexts) {
  EXPECT_TRUE(EqualInConstantTime("abc", "abc"));
  EXPECT_FALSE(EqualInConstantTime("abc", "abd"));
  EXPECT_FALSE(EqualInConstantTime("abc", "ab"));
}

}  // namespace
}  // namespace drawbridge
