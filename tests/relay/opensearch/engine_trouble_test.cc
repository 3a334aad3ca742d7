#include "relay/opensearch/engine_trouble.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr BootTime kStart{1h};
const Status kNotAllowed(StatusCode::kUnavailable, Reason::kBrokerError, "we may not look");

TEST(EngineTroubleTest, IsShownOnceItLasts) {
  EngineTrouble trouble("search");
  trouble.Note(Reason::kThrottled, "asks for less", false, kStart);

  EXPECT_EQ(trouble.At(kStart + 1s), std::nullopt);
  ASSERT_TRUE(trouble.At(kStart + 2s));
  EXPECT_EQ(trouble.At(kStart + 2s)->age, Duration(2s));
  EXPECT_THAT(trouble.At(kStart + 2s)->text, HasSubstr("search: asks for less"));

  trouble.Passed();
  EXPECT_EQ(trouble.At(kStart + 3s), std::nullopt);
}

TEST(EngineTroubleTest, IsShownAtOnceWhereNobodyGetsThrough) {
  EngineTrouble trouble("search");
  trouble.Note(Reason::kAuthenticationFailed, "unknown", true, kStart);
  ASSERT_TRUE(trouble.At(kStart));
  EXPECT_TRUE(trouble.At(kStart)->blocks);
}

TEST(EngineTroubleTest, ShowsThatRecordsMayBeThereTwiceUntilALookSeesAll) {
  EngineTrouble trouble("search");
  trouble.Looked(kNotAllowed, kStart);
  trouble.Looked(kNotAllowed, kStart + 1min);

  const std::optional<Condition> shown = trouble.BlindnessAt(kStart + 2min);
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->reason, Reason::kAuthorizationFailed);
  EXPECT_EQ(shown->age, Duration(2min));
  EXPECT_THAT(shown->text, HasSubstr("may be there twice"));
  EXPECT_EQ(trouble.At(kStart + 2min), std::nullopt) << "records pass";

  trouble.Looked({}, kStart + 3min);
  EXPECT_EQ(trouble.BlindnessAt(kStart + 3min), std::nullopt);
}

TEST(EngineTroubleTest, ForgetsABlindLookAfterAWhile) {
  EngineTrouble trouble("search");
  trouble.Looked(kNotAllowed, kStart);
  EXPECT_TRUE(trouble.BlindnessAt(kStart + 9min));
  EXPECT_EQ(trouble.BlindnessAt(kStart + 10min), std::nullopt);
}

}  // namespace
}  // namespace drawbridge
