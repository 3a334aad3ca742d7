#include "server/api/relay_session_service.h"

#include <cstdint>
#include <future>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <google/protobuf/stubs/logging.h>
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

// --- What it is told ----------------------------------------------------------------------------

// A connection of a relay that said this and read to the end, as "CODE REASON field".
class NonsenseTest : public RelaySessionServiceTest {
 protected:
  std::string AfterFirst(const v1::RelayMessage& message) {
    const auto session = Connect("a");
    session->Say(message);
    return Outcome(session->HearOut());
  }
  std::string AfterHello(const v1::RelayMessage& message) {
    const auto session = Welcomed("a");
    session->Say(message);
    return Outcome(session->HearOut());
  }
};

TEST_F(NonsenseTest, AsAFirstMessageEndsTheSession) {
  v1::RelayMessage held;
  held.mutable_held_partitions();
  for (const v1::RelayMessage& first : {v1::RelayMessage(), Heartbeat(), held, CommitOf(1)}) {
    const auto session = Connect("a");
    session->Say(first);
    const grpc::Status end = session->HearOut();
    EXPECT_EQ(Outcome(end), "INVALID_ARGUMENT FIELD_INVALID");
    EXPECT_EQ(end.error_message(), "the first message is Hello");
  }
}

TEST_F(NonsenseTest, InHelloIsRefusedWithItsField) {
  const auto refusal = [&](const std::function<void(v1::Hello&)>& change) {
    v1::RelayMessage message = Hello();
    change(*message.mutable_hello());
    return AfterFirst(message);
  };
  const std::string invalid = "INVALID_ARGUMENT FIELD_INVALID hello.";
  const std::string longest(128, 'x');

  EXPECT_EQ(refusal([](auto& hello) { hello.clear_boot_id(); }), invalid + "boot_id");
  EXPECT_EQ(refusal([&](auto& hello) { hello.set_boot_id(longest + "x"); }), invalid + "boot_id");
  EXPECT_EQ(refusal([](auto& hello) { hello.clear_version(); }), invalid + "version");
  EXPECT_EQ(refusal([&](auto& hello) { hello.set_librdkafka_version(longest + "x"); }),
            invalid + "librdkafka_version");
  EXPECT_EQ(refusal([](auto& hello) { hello.set_incarnation(-1); }), invalid + "incarnation");
  EXPECT_EQ(refusal([](auto& hello) { hello.set_incarnation(INT64_MAX); }),
            invalid + "incarnation");
  EXPECT_EQ(refusal([](auto& hello) { hello.set_revision(INT64_MIN); }), invalid + "revision");
  EXPECT_EQ(refusal([](auto& hello) { hello.add_held()->set_stream_id(-1); }),
            invalid + "held.stream_id");
  EXPECT_EQ(refusal([](auto& hello) { hello.set_protocol_min(2); }),
            "FAILED_PRECONDITION FIELD_INVALID");
  EXPECT_EQ(State().incarnation, 1) << "nothing was fenced";
}

TEST_F(NonsenseTest, AfterHelloEndsTheSessionWithItsField) {
  const std::string invalid = "INVALID_ARGUMENT FIELD_INVALID";
  v1::RelayMessage message;
  EXPECT_EQ(AfterHello(message), invalid);
  EXPECT_EQ(AfterHello(Hello()), invalid);

  message = CommitOf(2);
  message.mutable_commit()->mutable_items(1)->set_next_offset(-1);
  EXPECT_EQ(AfterHello(message), invalid + " items[1].next_offset");

  message = CommitOf(1);
  v1::OffsetGap* const gap = message.mutable_commit()->mutable_items(0)->add_gaps();
  gap->set_to_offset(INT64_MAX);
  gap->set_cause(v1::GAP_CAUSE_RETENTION);
  EXPECT_EQ(AfterHello(message), invalid + " items[0].gaps");

  message.mutable_report()->add_conditions()->set_side("server");
  EXPECT_EQ(AfterHello(message), invalid + " conditions[0].side");

  message.mutable_survey_result()->set_bridge_id(0);
  EXPECT_EQ(AfterHello(message), invalid + " bridge_id");

  message.mutable_released()->mutable_token()->set_epoch(-1);
  EXPECT_EQ(AfterHello(message), invalid + " epoch");
}

TEST_F(NonsenseTest, AfterAHelloThatIsNotCompleteEndsTheSession) {
  v1::RelayMessage part = Hello();
  part.mutable_hello()->set_held_follows(true);
  const auto session = Connect("a");

  session->Say(part);
  session->Say(Heartbeat());

  EXPECT_EQ(Outcome(session->HearOut()), "INVALID_ARGUMENT FIELD_INVALID");
}

TEST_F(NonsenseTest, OfOneRelayDoesNotReachAnother) {
  Enrol("b");
  const auto other = Welcomed("b");

  AfterHello(v1::RelayMessage());
  ASSERT_TRUE(other->Say(Heartbeat()));

  std::optional<v1::ServerMessage> heard = other->Hear();
  while (heard && !heard->has_lease_grant()) heard = other->Hear();
  EXPECT_TRUE(heard);
}

TEST_F(NonsenseTest, InWhateverBytesLeavesTheServerAsItWas) {
  v1::RelayMessage hello = Hello();
  v1::HeldPartition* const held = hello.mutable_hello()->add_held();
  held->set_stream_id(1);
  held->mutable_token()->set_incarnation(1);
  v1::RelayMessage survey;
  survey.mutable_survey_result()->set_bridge_id(1);
  v1::SurveyedTopic* const topic = survey.mutable_survey_result()->add_topics();
  topic->set_topic("a");
  topic->set_target_topic("b");
  topic->add_partitions()->set_log_end(7);
  v1::RelayMessage report;
  v1::PartitionReport* const partition = report.mutable_report()->add_partitions();
  partition->set_stream_id(1);
  partition->mutable_token()->set_epoch(1);
  const std::vector<v1::RelayMessage> valid = {hello, Heartbeat(), CommitOf(2), survey, report};

  constexpr unsigned kSeed = 20261127;
  std::mt19937 random(kSeed);
  const auto below = [&](size_t end) { return random() % end; };
  const google::protobuf::LogSilencer no_words_about_utf8;
  std::unique_ptr<SessionClient> session;
  for (int i = 0; i < 2000; ++i) {
    const v1::RelayMessage& original = valid[below(valid.size())];
    std::string bytes = original.SerializeAsString();
    for (size_t damage = 1 + below(3); damage > 0; --damage) {
      bytes[below(bytes.size())] = static_cast<char>(random());
    }
    v1::RelayMessage damaged;
    if (!damaged.ParseFromString(bytes)) continue;
    if (!session || original.has_hello()) session = Connect("a");
    if (!original.has_hello() && !session->Say(Hello())) session.reset();
    if (session && !session->Say(damaged)) session.reset();
  }
  session.reset();

  EXPECT_TRUE(Eventually([&] { return !IsConnected("a"); })) << "seed " << kSeed;
  Welcomed("a", "after");
  EXPECT_THAT(State().streams, testing::IsEmpty());
}

// --- What it is told too fast -------------------------------------------------------------------

TEST_F(RelaySessionServiceTest, ReadsNoFurtherWhileCommitsWaitForTheDatabase) {
  Enrol("b");
  const auto session = Welcomed("a");
  const auto other = Welcomed("b");
  std::promise<void> begun;
  std::promise<void> release;
  std::thread disk([&] {
    EXPECT_TRUE(writer()
                    .Run([&](Database&) {
                      begun.set_value();
                      release.get_future().wait();
                      return Status();
                    })
                    .ok());
  });
  begun.get_future().wait();

  for (int i = 0; i < 20; ++i) ASSERT_TRUE(session->Say(CommitOf(1)));
  ASSERT_TRUE(session->Say(Heartbeat()));
  for (int i = 0; i < 20; ++i) {  // while another's are answered
    ASSERT_TRUE(other->Say(Heartbeat()));
    std::optional<v1::ServerMessage> heard = other->Hear();
    while (heard && !heard->has_lease_grant()) heard = other->Hear();
    ASSERT_TRUE(heard);
  }
  release.set_value();
  disk.join();

  int answered = 0;
  std::optional<v1::ServerMessage> heard = session->Hear();
  for (; heard && !heard->has_lease_grant(); heard = session->Hear()) {
    answered += heard->has_commit_results() ? 1 : 0;
  }
  EXPECT_TRUE(heard);
  EXPECT_GE(answered, 20 - 8) << "the heartbeat was read before";
}

TEST_F(RelaySessionServiceTest, TakesTheConditionsOfAllPartsOfAReport) {
  const BridgeId bridge = DefineBridge();
  const auto session = Welcomed("a");
  const auto say = [&](const std::string& text, bool follows) {
    v1::RelayMessage message;
    v1::RelayCondition* const condition =
        (follows ? message.mutable_report_part() : message.mutable_report())->add_conditions();
    condition->set_side("source");
    condition->set_reason(v1::REASON_BROKER_ERROR);
    condition->set_text(text);
    condition->set_bridge_id(bridge.value);
    return session->Say(message);
  };
  const auto seen = [&] {
    std::vector<std::string> texts;
    const FleetView view = View();
    for (const SeenCondition& one : view.bridges.at(bridge).conditions) {
      if (one.relay == RelayName{"a"}) texts.push_back(one.condition.text);
    }
    return texts;
  };

  ASSERT_TRUE(say("first", true));
  ASSERT_TRUE(say("second", true));
  ASSERT_TRUE(say("third", false));
  EXPECT_TRUE(Eventually([&] { return !seen().empty(); }));
  EXPECT_THAT(seen(), testing::UnorderedElementsAre("first", "second", "third"));

  ASSERT_TRUE(say("fourth", false));
  EXPECT_TRUE(Eventually([&] { return seen() == std::vector<std::string>{"fourth"}; }));
}

TEST_F(RelaySessionServiceTest, EndsASessionWhoseReportNeverEnds) {
  const auto session = Welcomed("a");
  v1::RelayMessage part;
  v1::RelayCondition* const condition = part.mutable_report_part()->add_conditions();
  condition->set_side("source");
  condition->set_text(std::string(900'000, 'x'));

  int said = 0;
  while (said < 1000 && session->Say(part)) ++said;

  EXPECT_LT(said, 1000);
  EXPECT_EQ(Outcome(session->HearOut()), "RESOURCE_EXHAUSTED FIELD_INVALID");
}

TEST_F(RelaySessionServiceTest, EndsASessionThatBeginsSurveysAndNeverEndsThem) {
  const auto session = Welcomed("a");
  v1::RelayMessage part;
  for (int i = 0; i < 4000; ++i) {
    v1::SurveyedTopic* const topic = part.mutable_survey_part()->add_topics();
    topic->set_topic(std::string(200, 't') + std::to_string(i));
    topic->set_target_topic("t");
  }

  int64_t bridge = 1;
  for (; bridge < 100; ++bridge) {
    part.mutable_survey_part()->set_bridge_id(bridge);
    if (!session->Say(part)) break;
  }

  EXPECT_LT(bridge, 100);
  EXPECT_EQ(Outcome(session->HearOut()), "RESOURCE_EXHAUSTED FIELD_INVALID");
}

}  // namespace
}  // namespace drawbridge
