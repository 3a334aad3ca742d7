#include "server/security/token.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

class TokenTest : public testing::TestWithParam<TokenKind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, TokenTest, testing::Values(TokenKind::kEnrolment, TokenKind::kApi));

TEST_P(TokenTest, IsKnownAgainByItsHashAlone) {
  const StatusOr<NewToken> made = MakeToken(GetParam());
  ASSERT_TRUE(made.ok());

  const StatusOr<PresentedToken> shown = ParseToken(GetParam(), made->text.Reveal());

  ASSERT_TRUE(shown.ok());
  EXPECT_EQ(shown->id, made->id);
  EXPECT_TRUE(Matches(*shown, made->secret_hash));
}

TEST_P(TokenTest, DoesNotMatchTheHashOfAnother) {
  const StatusOr<NewToken> one = MakeToken(GetParam());
  const StatusOr<NewToken> other = MakeToken(GetParam());
  ASSERT_TRUE(one.ok() && other.ok());
  const StatusOr<PresentedToken> shown = ParseToken(GetParam(), one->text.Reveal());
  ASSERT_TRUE(shown.ok());

  EXPECT_FALSE(Matches(*shown, other->secret_hash));
  EXPECT_FALSE(Matches(*shown, ""));
  EXPECT_FALSE(Matches(*shown, one->secret_hash.substr(1)));
}

TEST_P(TokenTest, IsNeverDrawnTwice) {
  std::set<std::string> ids;
  std::set<std::string> hashes;
  for (int i = 0; i < 1000; ++i) {
    const StatusOr<NewToken> token = MakeToken(GetParam());
    ASSERT_TRUE(token.ok());
    ids.insert(token->id);
    hashes.insert(token->secret_hash);
  }

  EXPECT_EQ(ids.size(), 1000U);
  EXPECT_EQ(hashes.size(), 1000U);
}

TEST_P(TokenTest, RefusesATextThatIsCutOrLonger) {
  const StatusOr<NewToken> made = MakeToken(GetParam());
  ASSERT_TRUE(made.ok());
  const std::string text(made->text.Reveal());

  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ParseToken(GetParam(), text.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ParseToken(GetParam(), text + "A").ok());
  EXPECT_FALSE(ParseToken(GetParam(), " " + text).ok());
}

TEST_P(TokenTest, SaysNothingOfARefusedText) {
  const StatusOr<PresentedToken> shown = ParseToken(GetParam(), "hunter2");

  EXPECT_EQ(shown.status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(shown.status().reason(), Reason::kTokenInvalid);
  EXPECT_EQ(shown.status().message().find("hunter2"), std::string::npos);
}

TEST_P(TokenTest, RefusesForeignLetters) {
  const StatusOr<NewToken> made = MakeToken(GetParam());
  ASSERT_TRUE(made.ok());
  const std::string_view text = made->text.Reveal();

  for (size_t i = 0; i < text.size(); ++i) {
    for (const char foreign : {'\0', '\n', '/', '+', '=', '\xff'}) {
      std::string changed(text);
      changed[i] = foreign;
      EXPECT_FALSE(ParseToken(GetParam(), changed).ok()) << i;
    }
  }
}

TEST(TokenKindTest, TellsTheKindsApart) {
  const StatusOr<NewToken> enrolment = MakeToken(TokenKind::kEnrolment);
  const StatusOr<NewToken> api = MakeToken(TokenKind::kApi);
  ASSERT_TRUE(enrolment.ok() && api.ok());

  EXPECT_FALSE(ParseToken(TokenKind::kApi, enrolment->text.Reveal()).ok());
  EXPECT_FALSE(ParseToken(TokenKind::kEnrolment, api->text.Reveal()).ok());
  EXPECT_TRUE(api->text.Reveal().starts_with("drawbridge_" + api->id + "."));
  EXPECT_TRUE(enrolment->text.Reveal().starts_with(enrolment->id + "."));
}

}  // namespace
}  // namespace drawbridge
