#include "relay/opensearch/request_outcome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using testing::HasSubstr;

RequestOutcome OutcomeOf(int status, bool has_others = false) {
  return OutcomeOfRequest({.status = status, .type = "some_exception", .reason = "so it is"},
                          has_others);
}

TEST(RequestOutcomeTest, SplitsWhatIsRefusedForOneOfItsRecordsOrForItsSize) {
  EXPECT_EQ(OutcomeOf(400).remedy, RequestRemedy::kSplit);
  EXPECT_EQ(OutcomeOf(413).remedy, RequestRemedy::kSplit);
}

TEST(RequestOutcomeTest, BlocksWhereWeAreNotKnownOrNotAllowed) {
  EXPECT_EQ(OutcomeOf(401).remedy, RequestRemedy::kBlock);
  EXPECT_EQ(OutcomeOf(401).reason, Reason::kAuthenticationFailed);
  EXPECT_EQ(OutcomeOf(403).remedy, RequestRemedy::kBlock);
  EXPECT_EQ(OutcomeOf(403).reason, Reason::kAuthorizationFailed);
}

TEST(RequestOutcomeTest, SlowsDownWhereTheEngineAsksForLess) {
  EXPECT_EQ(OutcomeOf(429).remedy, RequestRemedy::kSlower);
  EXPECT_EQ(OutcomeOf(429).reason, Reason::kThrottled);
}

TEST(RequestOutcomeTest, TriesAgainWhatMayPass) {
  for (const int status : {500, 502, 503, 504}) {
    EXPECT_EQ(OutcomeOf(status).remedy, RequestRemedy::kElsewhere) << status;
  }
}

TEST(RequestOutcomeTest, BlocksWhereTheOnlyAddressIsNoEngine) {
  for (const int status : {301, 302, 404, 405, 501}) {
    EXPECT_EQ(OutcomeOf(status).remedy, RequestRemedy::kBlock) << status;
    EXPECT_THAT(OutcomeOf(status).text, HasSubstr("check the endpoint's address")) << status;
  }
}

TEST(RequestOutcomeTest, TriesTheOthersWhereOneOfTheAddressesIsNoEngine) {
  EXPECT_EQ(OutcomeOf(404, true).remedy, RequestRemedy::kElsewhere);
}

TEST(RequestOutcomeTest, SaysWhatTheEngineSaid) {
  for (const int status : {302, 401, 403, 429, 503}) {
    EXPECT_THAT(OutcomeOf(status).text, HasSubstr("some_exception: so it is")) << status;
  }
}

}  // namespace
}  // namespace drawbridge
