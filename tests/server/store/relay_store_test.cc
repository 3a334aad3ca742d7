#include "server/store/relay_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class RelayStoreTest : public StoreTest {
 protected:
  EnrolmentGrant Token(const std::string& id, const std::string& relay = "fra-1") const {
    return {.id = id,
            .hash = std::string("hash\0of it", 10),
            .relay = {relay},
            .labels = {{"cloud", "oci"}, {"region", "fra"}},
            .expires_at = clock_.WallNow() + 10min};
  }
  IssuedCertificate Certificate() const {
    return {.serial = "0a", .not_after = clock_.WallNow() + std::chrono::days(30)};
  }
};

TEST_F(RelayStoreTest, FindsATokenByItsId) {
  ASSERT_EQ(WhyNot(relays().AddToken(Token("t1"), Request())), "OK");

  const auto found = relays().FindToken("t1");

  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found->hash, Token("t1").hash);
  EXPECT_EQ(found->relay.value, "fra-1");
  EXPECT_EQ(found->labels, Token("t1").labels);
  EXPECT_EQ(found->expires_at, Token("t1").expires_at);
  EXPECT_EQ(WhyNot(relays().FindToken("t2")), "TOKEN_INVALID");
}

TEST_F(RelayStoreTest, TakesNoTokenThatHasExpired) {
  const EnrolmentGrant token = Token("t1");
  ASSERT_TRUE(relays().AddToken(token, Request()).ok());
  clock_.Advance(10min - 1us);
  EXPECT_EQ(WhyNot(relays().FindToken("t1")), "OK");

  clock_.Advance(1us);

  EXPECT_EQ(WhyNot(relays().FindToken("t1")), "TOKEN_EXPIRED");
  EXPECT_EQ(WhyNot(relays().Enrol(token, Certificate())), "TOKEN_EXPIRED")
      << "it may have expired between the two";
  EXPECT_THAT(State().relays, IsEmpty());
}

TEST_F(RelayStoreTest, EnrolsARelay) {
  const EnrolmentGrant token = Token("t1");
  ASSERT_TRUE(relays().AddToken(token, Request()).ok());
  const int64_t before = State().revision;

  ASSERT_EQ(WhyNot(relays().Enrol(token, Certificate())), "OK");
  Restart();

  const DesiredState state = State();
  ASSERT_THAT(state.relays, SizeIs(1));
  EXPECT_EQ(state.relays[0].name.value, "fra-1");
  EXPECT_EQ(state.relays[0].labels, token.labels);
  EXPECT_EQ(state.relays[0].certificate_serial, "0a");
  EXPECT_EQ(state.relays[0].certificate_not_after, Certificate().not_after);
  EXPECT_FALSE(state.relays[0].is_revoked);
  EXPECT_EQ(state.relays[0].last_seen, std::nullopt) << "it has not connected yet";
  EXPECT_EQ(state.revision, before + 1);
}

TEST_F(RelayStoreTest, TakesATokenOnce) {
  const EnrolmentGrant token = Token("t1");
  ASSERT_TRUE(relays().AddToken(token, Request()).ok());
  ASSERT_TRUE(relays().Enrol(token, Certificate()).ok());

  EXPECT_EQ(WhyNot(relays().Enrol(token, Certificate())), "TOKEN_USED");
  EXPECT_EQ(WhyNot(relays().FindToken("t1")), "TOKEN_USED");
  EXPECT_EQ(WhyNot(relays().Enrol(Token("never made"), Certificate())), "TOKEN_INVALID");
}

TEST_F(RelayStoreTest, EnrolsOneOfTwoThatComeTogether) {
  const EnrolmentGrant token = Token("t1");
  ASSERT_TRUE(relays().AddToken(token, Request()).ok());
  std::array<std::string, 2> outcomes;
  {
    std::vector<std::jthread> threads;
    for (std::string& outcome : outcomes) {
      threads.emplace_back([&] { outcome = WhyNot(relays().Enrol(token, Certificate())); });
    }
  }

  EXPECT_THAT(outcomes, testing::UnorderedElementsAre("OK", "TOKEN_USED"));
  EXPECT_THAT(State().relays, SizeIs(1));
}

TEST_F(RelayStoreTest, GivesANameOnceAndForEver) {
  Enrol("fra-1");
  ASSERT_TRUE(relays().Revoke({"fra-1"}, Request()).ok());

  const Status again = relays().AddToken(Token("t2"), Request());

  EXPECT_EQ(WhyNot(again), "NAME_TAKEN");
  EXPECT_EQ(again.code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(again.field(), "relay");
}

TEST_F(RelayStoreTest, EndsTheTokenThatANewOneReplaces) {
  ASSERT_TRUE(relays().AddToken(Token("t1"), Request()).ok());
  ASSERT_TRUE(relays().AddToken(Token("t2"), Request()).ok());

  EXPECT_EQ(WhyNot(relays().FindToken("t1")), "TOKEN_INVALID");
  EXPECT_EQ(WhyNot(relays().Enrol(Token("t1"), Certificate())), "TOKEN_INVALID");
  EXPECT_EQ(WhyNot(relays().FindToken("t2")), "OK");
}

TEST_F(RelayStoreTest, EndsTheFirstTokenOfARepeatedRequest) {
  ASSERT_TRUE(relays().AddToken(Token("t1"), Request("request-1")).ok());
  ASSERT_TRUE(relays().AddToken(Token("t2"), Request("request-1")).ok());

  EXPECT_EQ(WhyNot(relays().FindToken("t1")), "TOKEN_INVALID");
  EXPECT_EQ(WhyNot(relays().FindToken("t2")), "OK");
}

TEST_F(RelayStoreTest, WritesDownWhoMadeAToken) {
  ASSERT_TRUE(relays().AddToken(Token("t1"), Request("request-1")).ok());

  EXPECT_EQ(Text("SELECT actor || ', ' || action || ', ' || object || ', ' || request_id "
                 "FROM audit ORDER BY id DESC LIMIT 1"),
            "alice, create, enrolment token for fra-1, request-1");
}

TEST_F(RelayStoreTest, RemembersWhatARelaySaidOfItself) {
  Enrol("fra-1");
  clock_.Advance(3s);

  ASSERT_EQ(WhyNot(relays().Seen({"fra-1"}, "0.1.0", "2.8.0")), "OK");

  const StoredRelay relay = State().relays.front();
  EXPECT_EQ(relay.version, "0.1.0");
  EXPECT_EQ(relay.librdkafka, "2.8.0");
  EXPECT_EQ(relay.last_seen, clock_.WallNow());
}

TEST_F(RelayStoreTest, RemembersTheNewestCertificate) {
  Enrol("fra-1");
  const WallTime end = clock_.WallNow() + std::chrono::days(90);

  ASSERT_EQ(WhyNot(relays().Renewed({"fra-1"}, {.serial = "ff", .not_after = end})), "OK");

  EXPECT_EQ(State().relays.front().certificate_serial, "ff");
  EXPECT_EQ(State().relays.front().certificate_not_after, end);
}

// The caller hands the certificate out when this says that it is stored.
TEST_F(RelayStoreTest, RenewsNoCertificateOfARevokedRelay) {
  Enrol("fra-1");
  ASSERT_TRUE(relays().Revoke({"fra-1"}, Request()).ok());

  EXPECT_EQ(WhyNot(relays().Renewed({"fra-1"}, {.serial = "ff", .not_after = {}})),
            "RELAY_REVOKED");
  EXPECT_EQ(WhyNot(relays().Renewed({"nobody"}, {.serial = "ff", .not_after = {}})),
            "RELAY_REVOKED");
  EXPECT_EQ(State().relays.front().certificate_serial, "01");
}

TEST_F(RelayStoreTest, RevokesARelay) {
  Enrol("fra-1");
  const int64_t before = State().revision;

  ASSERT_EQ(WhyNot(relays().Revoke({"fra-1"}, Request("request-1"))), "OK");

  EXPECT_TRUE(State().relays.front().is_revoked);
  EXPECT_EQ(State().revision, before + 1);
  EXPECT_TRUE(relays().Revoke({"fra-1"}, Request("request-1"))->is_replayed);
  EXPECT_EQ(WhyNot(relays().Revoke({"nobody"}, Request())), "NOT_FOUND");
}

TEST_F(RelayStoreTest, KnowsOperatorsByTheirTokens) {
  EXPECT_FALSE(*relays().HasApiTokens());
  ASSERT_EQ(WhyNot(relays().AddApiToken("a1", std::string("h\0sh", 4), "first", "admin")), "OK");

  EXPECT_TRUE(*relays().HasApiTokens());
  EXPECT_EQ(*relays().RoleOfApiToken("a1", std::string("h\0sh", 4)), "admin");
  EXPECT_EQ(*relays().RoleOfApiToken("a1", "h"), std::nullopt);
  EXPECT_EQ(*relays().RoleOfApiToken("a1", ""), std::nullopt);
  EXPECT_EQ(*relays().RoleOfApiToken("a2", std::string("h\0sh", 4)), std::nullopt);
  EXPECT_FALSE(relays().AddApiToken("a1", "other", "second", "admin").ok()) << "the id is taken";
  EXPECT_FALSE(relays().AddApiToken("a3", "hash", "third", "king").ok());
}

}  // namespace
}  // namespace drawbridge
