#include "server/api/relay_session_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

class RelaySessionServiceTest : public ApiTest {
 protected:
  RelaySessionServiceTest() { Enrol("a"); }

  // A commit of partitions that nobody knows: its answer is as long as it is. 10,000 fill the
  // window of a stream at once.
  static v1::RelayMessage CommitOf(int partitions) {
    v1::RelayMessage message;
    for (int i = 0; i < partitions; ++i) {
      v1::CommitItem* const item = message.mutable_commit()->add_items();
      item->set_stream_id(1'000'000);
      item->set_partition(i);
      item->mutable_token()->set_incarnation(1);
      item->mutable_token()->set_epoch(1);
      item->set_next_offset(1);
    }
    return message;
  }
  // Commits and reads nothing, until the session has ended.
  static void SayWithoutHearing(SessionClient& session) {
    const v1::RelayMessage commit = CommitOf(200);
    while (session.Say(commit)) {
    }
  }
};

// --- What does not read -------------------------------------------------------------------------

TEST_F(RelaySessionServiceTest, CutsOffARelayThatDoesNotReadItsMessages) {
  const auto session = Welcomed("a");

  SayWithoutHearing(*session);  // the window of the stream fills, then the queue

  EXPECT_EQ(Outcome(session->HearOut()), "CANCELLED");
  EXPECT_TRUE(Eventually([&] { return !IsConnected("a"); }));
}

TEST_F(RelaySessionServiceTest, CutsOffARevokedRelayThatDoesNotRead) {
  const auto session = Welcomed("a");
  clock_.Advance(1s);
  ASSERT_TRUE(session->Say(CommitOf(10'000)));
  ASSERT_TRUE(Eventually([&] { return View().relays[{"a"}].last_seen == clock_.WallNow(); }));

  // Stored behind the commit, so the answer to that waits for the relay by then.
  ASSERT_EQ(WhyNot(relays().Revoke({"a"}, Request())), "OK");
  Settle();
  SayWithoutHearing(*session);

  EXPECT_EQ(Outcome(session->HearOut()), "CANCELLED");
}

TEST_F(RelaySessionServiceTest, TellsARevokedRelayThatReadsWhyItEnds) {
  const auto session = Welcomed("a");

  ASSERT_EQ(WhyNot(relays().Revoke({"a"}, Request())), "OK");
  Settle();

  EXPECT_EQ(Outcome(session->HearOut()), "PERMISSION_DENIED RELAY_REVOKED");
}

TEST_F(RelaySessionServiceTest, SaysThatItRestartsBeforeItEndsASession) {
  const auto session = Welcomed("a");

  fleet().EndSessions();

  std::optional<v1::ServerMessage> last;
  while (auto message = session->Hear()) last = std::move(message);
  EXPECT_TRUE(last && last->has_restarting());
  EXPECT_EQ(Outcome(session->End()), "UNAVAILABLE UNAVAILABLE");
}

}  // namespace
}  // namespace drawbridge
