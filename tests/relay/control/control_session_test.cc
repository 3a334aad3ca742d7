#include "relay/control/control_session.h"

#include <chrono>
#include <functional>
#include <future>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/file.h"
#include "model/convert/status.h"
#include "model/convert/time.h"
#include "tests/relay/control/session_fixture.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Ge;
using testing::Le;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();

google::protobuf::Duration Of(int64_t seconds, int32_t nanos = 0) {
  google::protobuf::Duration duration;
  duration.set_seconds(seconds);
  duration.set_nanos(nanos);
  return duration;
}

class ControlSessionTest : public SessionTest {};

// --- Any message --------------------------------------------------------------------------------

TEST_F(ControlSessionTest, PassesOverAMessageWithoutContent) {
  Run();

  ASSERT_TRUE(server_->SayBytes(""));
  ASSERT_TRUE(server_->SayBytes("\xfa\x06\x02hi"));  // a field that nobody knows

  EXPECT_TRUE(HearsAgain(v1::RelayMessage::kHeartbeat));
  EXPECT_EQ(server_->heard().sessions, 1);
  EXPECT_TRUE(GoesOn());
}

TEST_F(ControlSessionTest, ComesBackAfterBytesThatAreNoMessage) {
  Run();

  ASSERT_TRUE(server_->SayBytes(std::string(100, '\xff')));

  EXPECT_TRUE(Eventually([&] {
    clock_.Advance(1s);
    return server_->heard().sessions == 2;
  }));
  EXPECT_TRUE(GoesOn());
  EXPECT_TRUE(WorksWithAGoodServer());
}

TEST_F(ControlSessionTest, TakesAssignmentsOfFiveMegabytes) {
  v1::Assignments wanted = Wanted();
  for (int i = 0; i < 5000; ++i) {
    v1::StreamAssignment& stream = *wanted.mutable_bridges(0)->add_streams();
    stream = wanted.bridges(0).streams(0);
    stream.set_stream_id(1000 + i);
    stream.set_topic(std::string(1000, 't'));
    stream.clear_partitions();
  }
  ASSERT_GT(wanted.ByteSizeLong(), 5'000'000U);

  const auto ack = Assign(wanted);

  ASSERT_TRUE(ack);
  EXPECT_FALSE(ack->has_status()) << ack->ShortDebugString();
  EXPECT_EQ(ack->errors_size(), 0);
}

TEST_F(ControlSessionTest, ComesBackWhateverEndsASession) {
  Run();
  std::vector<grpc::Status> ends = {{grpc::StatusCode::UNAVAILABLE, "why", "no details"},
                                    {grpc::StatusCode::ABORTED, std::string(3000, 'x')}};
  for (int code = 0; code <= 16; ++code) {
    ends.emplace_back(static_cast<grpc::StatusCode>(code), "why");
  }
  for (const grpc::Status& status : ends) {
    ASSERT_TRUE(HearsAgain(v1::RelayMessage::kHeartbeat));
    const int before = server_->heard().sessions;
    ASSERT_TRUE(server_->End(status));
    ASSERT_TRUE(server_->Until([&](const auto& heard) { return heard.sessions > before; }))
        << status.error_code();
  }
  EXPECT_TRUE(GoesOn());
  EXPECT_TRUE(WorksWithAGoodServer());
}

// --- Welcome ------------------------------------------------------------------------------------

TEST_F(ControlSessionTest, GoesOnWithHeartbeatsWhateverIntervalsAWelcomeNames) {
  Run();
  const std::vector<std::optional<google::protobuf::Duration>> intervals = {
      std::nullopt, Of(0),      Of(0, 1),      Of(-1),   Of(1, -1),       Of(0, 2'000'000'000),
      Of(kMost),    Of(kLeast), Of(kMost, -1), Of(3600), Of(100'000'000), Of(9'000'000'000)};
  for (const auto& interval : intervals) {
    SCOPED_TRACE(interval ? interval->ShortDebugString() : "unset");
    v1::Welcome welcome = Welcome();
    for (auto* const field :
         {welcome.mutable_heartbeat_interval(), welcome.mutable_commit_interval(),
          welcome.mutable_report_interval(), welcome.mutable_lease_ttl()}) {
      *field = interval.value_or(google::protobuf::Duration());
    }
    if (!interval) {
      welcome.clear_heartbeat_interval();
      welcome.clear_commit_interval();
      welcome.clear_report_interval();
      welcome.clear_lease_ttl();
    }
    ASSERT_TRUE(SayWelcome(welcome));
    ASSERT_TRUE(Assign(Wanted()));  // the Welcome has been taken
    clock_.Advance(1min);           // one that was due by the old interval
    ASSERT_TRUE(HearsAgain(v1::RelayMessage::kHeartbeat));

    clock_.Advance(1min);
    EXPECT_TRUE(HearsAgain(v1::RelayMessage::kHeartbeat));
    EXPECT_TRUE(HearsAgain(v1::RelayMessage::kReport));
    ASSERT_TRUE(GoesOn());
    clock_.Advance(1min);
    EXPECT_TRUE(HearsAgain(v1::RelayMessage::kCommit));
    EXPECT_EQ(server_->heard().sessions, 1);
  }
}

TEST_F(ControlSessionTest, DoesNotSendHeartbeatsAllTheTimeWhenAWelcomeNamesNoInterval) {
  Run();
  v1::Welcome welcome = Welcome();
  *welcome.mutable_heartbeat_interval() = Of(0, 1);
  ASSERT_TRUE(SayWelcome(welcome));
  ASSERT_TRUE(Assign(Wanted()));
  clock_.Advance(1min);
  ASSERT_TRUE(HearsAgain(v1::RelayMessage::kHeartbeat));
  const size_t before = CountHeard(v1::RelayMessage::kHeartbeat);

  for (int i = 0; i < 10; ++i) ASSERT_TRUE(HearsAgain(v1::RelayMessage::kReport));

  EXPECT_LE(CountHeard(v1::RelayMessage::kHeartbeat), before + 1);
}

TEST_F(ControlSessionTest, BeginsANewSessionWithItsOwnIntervals) {
  v1::Welcome welcome = Welcome();
  *welcome.mutable_heartbeat_interval() = Of(60);
  ASSERT_TRUE(SayWelcome(welcome));
  ASSERT_TRUE(Assign(Wanted()));
  clock_.Advance(1min);
  ASSERT_TRUE(HearsAgain(v1::RelayMessage::kHeartbeat));  // the next one is a minute away

  ASSERT_TRUE(server_->End(grpc::Status::OK));

  EXPECT_TRUE(HearsAgain(v1::RelayMessage::kHeartbeat));
}

TEST_F(ControlSessionTest, TakesAWelcomeThatComesTwice) {
  Run();

  ASSERT_TRUE(SayWelcome(Welcome()));
  ASSERT_TRUE(SayWelcome(Welcome()));

  EXPECT_TRUE(HearsAgain(v1::RelayMessage::kHeartbeat));
  EXPECT_TRUE(GoesOn());
  EXPECT_EQ(server_->heard().sessions, 1);
}

TEST_F(ControlSessionTest, LeavesAServerThatChoosesAProtocolWhichItDoesNotSpeak) {
  Run();
  for (const int32_t protocol : {-1, 0, 2, std::numeric_limits<int32_t>::max()}) {
    v1::Welcome welcome = Welcome();
    welcome.set_protocol(protocol);
    const int before = server_->heard().sessions;

    ASSERT_TRUE(SayWelcome(welcome));

    EXPECT_TRUE(server_->Until([&](const auto& heard) { return heard.sessions > before; }))
        << protocol;
  }
  EXPECT_TRUE(GoesOn());
  EXPECT_TRUE(WorksWithAGoodServer());
}

TEST_F(ControlSessionTest, DoesNotRepeatCountersThatNoServerCanGoBeyond) {
  Run();
  for (const int64_t count : {int64_t{-1}, kLeast, kMost}) {
    v1::Assignments wanted = Wanted();
    wanted.set_incarnation(count);
    const auto ack = Assign(wanted);
    ASSERT_TRUE(ack);
    EXPECT_TRUE(ack->has_status());
    v1::Welcome welcome = Welcome();
    welcome.set_incarnation(count);
    welcome.set_revision(count);
    const int before = server_->heard().sessions;

    ASSERT_TRUE(SayWelcome(welcome));

    ASSERT_TRUE(server_->Until([&](const auto& heard) { return heard.sessions > before; }));
  }
  ASSERT_TRUE(WorksWithAGoodServer());
  for (const v1::RelayMessage& message : server_->heard().messages) {
    if (!message.has_hello()) continue;
    EXPECT_THAT(message.hello().incarnation(), AllOf(Ge(0), Le(1)));
    EXPECT_THAT(message.hello().revision(), AllOf(Ge(0), Le(1)));
  }
}

// --- Assignments --------------------------------------------------------------------------------

TEST_F(ControlSessionTest, RefusesAssignmentsBeforeTheWelcome) {
  server_->SetWelcome(std::nullopt);
  ASSERT_TRUE(server_->End(grpc::Status::OK));

  const auto ack = Assign(Wanted());

  ASSERT_TRUE(ack);
  EXPECT_EQ(FromProto(ack->status()).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(lanes_alive(), 0U);
  ASSERT_TRUE(SayWelcome(Welcome()));
  Run();
}

TEST_F(ControlSessionTest, RefusesAssignmentsThatAreWrongAndGoesOnWithTheLastGoodOnes) {
  using Spoil = std::function<void(v1::Assignments&)>;
  const auto bridge = [](auto spoil) -> Spoil {
    return [spoil](v1::Assignments& it) { spoil(*it.mutable_bridges(0)); };
  };
  const auto stream = [&](auto spoil) {
    return bridge([spoil](v1::BridgeAssignment& it) { spoil(*it.mutable_streams(0)); });
  };
  const auto partition = [&](auto spoil) {
    return stream([spoil](v1::StreamAssignment& it) { spoil(*it.mutable_partitions(0)); });
  };
  const std::vector<std::pair<std::string, Spoil>> wrong = {
      {"incarnation", [](auto& it) { it.set_incarnation(-1); }},
      {"incarnation", [](auto& it) { it.set_incarnation(kMost); }},
      {"revision", [](auto& it) { it.set_revision(kLeast); }},
      {"revision", [](auto& it) { it.set_revision(kMost); }},
      {"bridges[1]", [](auto& it) { *it.add_bridges() = Bridge(1); }},
      {"bridges[1].streams[0]",
       [](auto& it) {
         *it.add_bridges() = Bridge(1);
         it.mutable_bridges(1)->set_bridge_id(2);
       }},
      {"bridges[0].bridge_id", bridge([](auto& it) { it.set_bridge_id(0); })},
      {"bridges[0].bridge_id", bridge([](auto& it) { it.set_bridge_id(-1); })},
      {"bridges[0].generation", bridge([](auto& it) { it.set_generation(-1); })},
      {"bridges[0].spec", bridge([](auto& it) { it.clear_spec(); })},
      {"bridges[0].spec.source", bridge([](auto& it) { it.mutable_spec()->clear_source(); })},
      {"bridges[0].spec.lanes", bridge([](auto& it) { it.mutable_spec()->set_lanes(-1); })},
      {"bridges[0].spec.lanes", bridge([](auto& it) { it.mutable_spec()->set_lanes(100'000); })},
      {"bridges[0].spec.target.compression", bridge([](auto& it) {
         it.mutable_spec()->mutable_target()->set_compression(static_cast<v1::Compression>(99));
       })},
      {"bridges[0].source", bridge([](auto& it) { it.clear_source(); })},
      {"bridges[0].source.kafka", bridge([](auto& it) { it.mutable_source()->clear_kafka(); })},
      {"bridges[0].source.kafka.profile", bridge([](auto& it) {
         it.mutable_source()->mutable_kafka()->set_profile(static_cast<v1::Profile>(-7));
       })},
      {"bridges[0].source.kafka.source_retention", bridge([](auto& it) {
         *it.mutable_source()->mutable_kafka()->mutable_source_retention() = Of(kMost);
       })},
      {"bridges[0].target", bridge([](auto& it) { it.clear_target(); })},
      {"bridges[0].source_secret.version",
       bridge([](auto& it) { it.mutable_source_secret()->set_credential_id(1); })},
      {"bridges[0].streams[1]", bridge([](auto& it) { *it.add_streams() = it.streams(0); })},
      {"bridges[0].streams[0].stream_id", stream([](auto& it) { it.set_stream_id(0); })},
      {"bridges[0].streams[0].stream_id", stream([](auto& it) { it.set_stream_id(kLeast); })},
      {"bridges[0].streams[0].topic", stream([](auto& it) { it.clear_topic(); })},
      {"bridges[0].streams[0].source_epoch", stream([](auto& it) { it.set_source_epoch(0); })},
      {"bridges[0].streams[0].source_epoch", stream([](auto& it) { it.set_source_epoch(70'000); })},
      {"bridges[0].streams[0].partitions[1]",
       stream([](auto& it) { *it.add_partitions() = it.partitions(0); })},
      {"bridges[0].streams[0].partitions[0].partition",
       partition([](auto& it) { it.set_partition(-1); })},
      {"bridges[0].streams[0].partitions[0].token", partition([](auto& it) { it.clear_token(); })},
      {"bridges[0].streams[0].partitions[0].token.epoch",
       partition([](auto& it) { it.mutable_token()->set_epoch(-1); })},
      {"bridges[0].streams[0].partitions[0].token.epoch",
       partition([](auto& it) { it.mutable_token()->set_epoch(kMost); })},
      {"bridges[0].streams[0].partitions[0].start_offset",
       partition([](auto& it) { it.set_start_offset(-1); })},
      {"bridges[0].streams[0].partitions[0].anchor.offset",
       partition([](auto& it) { it.mutable_anchor()->set_offset(5); })},
  };
  Run();
  for (const auto& [field, spoil] : wrong) {
    v1::Assignments assignments = Wanted();
    spoil(assignments);
    SCOPED_TRACE(assignments.ShortDebugString());

    const auto ack = Assign(assignments);

    ASSERT_TRUE(ack);
    EXPECT_EQ(ack->revision(), assignments.revision());
    const Status status = FromProto(ack->status());
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(status.reason(), Reason::kFieldInvalid);
    EXPECT_EQ(status.field(), field);
    EXPECT_FALSE(status.message().empty());
    ASSERT_TRUE(GoesOn());
  }
  EXPECT_EQ(lanes_alive(), 1U);
  EXPECT_EQ(server_->heard().sessions, 1);
}

TEST_F(ControlSessionTest, HaltsAPartitionThatStartsBeyondItsLogAndCarriesItsNeighbours) {
  v1::Assignments wanted = Wanted();
  *wanted.add_bridges() = Bridge(2);
  v1::PartitionAssignment& beyond =
      *wanted.mutable_bridges(1)->mutable_streams(0)->mutable_partitions(0);
  beyond.set_start_offset(kMost);
  beyond.mutable_anchor()->set_offset(kMost - 1);
  Produce(10);
  Produce(10, 2);

  const auto ack = Assign(wanted);

  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->errors_size(), 0) << ack->ShortDebugString();
  EXPECT_TRUE(Carries(1, 10));
  EXPECT_TRUE(Eventually([&] {
    clock_.Advance(1s);
    for (const PartitionNews& news : board_.News()) {
      if (news.report.key.stream == StreamId{2}) {
        return news.report.state == PartitionState::kHalted;
      }
    }
    return false;
  }));
  EXPECT_EQ(Written(2), 0U);
}

TEST_F(ControlSessionTest, RefusesATokenThatIsOlderThanTheOneThatRuns) {
  Produce(10);
  ASSERT_TRUE(Assign(Wanted(5)));
  ASSERT_TRUE(Carries(1, 10));

  const auto ack = Assign(Wanted(3));

  ASSERT_TRUE(ack);
  ASSERT_EQ(ack->errors_size(), 1) << ack->ShortDebugString();
  EXPECT_EQ(ack->errors(0).stream_id(), 1);
  EXPECT_EQ(FromProto(ack->errors(0).status()).code(), StatusCode::kFailedPrecondition);
  Produce(5);
  EXPECT_TRUE(Carries(1, 15));
  EXPECT_TRUE(Commits(1, 15));
  EXPECT_EQ(journal_->Read({.stream = {1}, .partition = 0})->token.epoch, 5);

  // It can still be given back.
  const size_t from = server_->heard().messages.size();
  ASSERT_TRUE(Assign({}));
  EXPECT_TRUE(server_->Until([&](const auto& heard) {
    for (size_t i = from; i < heard.messages.size(); ++i) {
      if (heard.messages[i].released().token().epoch() == 5) return true;
    }
    return false;
  }));
}

TEST_F(ControlSessionTest, OutlivesAMachineThatHasNoThreadLeft) {
  Run();
  factory_.ThrowAtLanes(true);
  v1::Assignments wanted = Wanted();
  *wanted.add_bridges() = Bridge(2);
  Produce(10, 2);
  ASSERT_TRUE(Assign(wanted));
  EXPECT_TRUE(GoesOn());

  factory_.ThrowAtLanes(false);

  EXPECT_TRUE(Carries(2, 10)) << "it tries again";
  EXPECT_TRUE(GoesOn());
  EXPECT_TRUE(WorksWithAGoodServer());
}

TEST_F(ControlSessionTest, TellsTheNewestRevisionThatItHasSeenThoughAnOlderOneCame) {
  v1::Assignments wanted = Wanted();
  wanted.set_incarnation(3);
  wanted.set_revision(70);
  ASSERT_TRUE(Assign(wanted));
  wanted.set_incarnation(2);
  wanted.set_revision(90);
  ASSERT_TRUE(Assign(wanted));
  wanted.set_incarnation(3);
  wanted.set_revision(60);
  const auto ack = Assign(wanted);
  ASSERT_TRUE(ack);
  EXPECT_FALSE(ack->has_status()) << "what shall be is what the server says now";
  const size_t from = server_->heard().messages.size();

  ASSERT_TRUE(server_->End(grpc::Status::OK));

  v1::Hello hello;
  ASSERT_TRUE(server_->Until([&](const auto& heard) {
    for (size_t i = from; i < heard.messages.size(); ++i) {
      if (heard.messages[i].has_hello()) hello = heard.messages[i].hello();
    }
    return !hello.boot_id().empty();
  }));
  EXPECT_EQ(hello.incarnation(), 3);
  EXPECT_EQ(hello.revision(), 70);
}

// --- Secrets ------------------------------------------------------------------------------------

TEST_F(ControlSessionTest, GoesOnWithTheLastSecretWhenTheNextOneIsOfNoUse) {
  server_->SetSecrets(AnswerLogin);
  v1::Assignments wanted = Wanted();
  *wanted.mutable_bridges(0)->mutable_source_secret() = Ref(1);
  Produce(10);
  ASSERT_TRUE(Assign(wanted));
  ASSERT_TRUE(Carries(1, 10));

  const std::vector<ScriptedServer::SecretAnswer> answers = {
      [](const auto&, auto&) { return grpc::Status(grpc::StatusCode::INTERNAL, "broken"); },
      [](const auto&, auto&) { return grpc::Status(grpc::StatusCode::NOT_FOUND, ""); },
      [](const auto&, auto&) { return grpc::Status::OK; },  // an empty answer
      [](const auto&, v1::GetSecretResponse& response) {
        response.mutable_secret()->set_kind(static_cast<v1::CredentialKind>(99));
        return grpc::Status::OK;
      },
      [](const auto&, v1::GetSecretResponse& response) {
        response.mutable_secret()->set_kind(v1::CREDENTIAL_KIND_MTLS);
        response.mutable_secret()->set_certificate_pem("no PEM");
        response.mutable_secret()->set_key_pem("no PEM");
        return grpc::Status::OK;
      },
      [this](const auto&, v1::GetSecretResponse& response) {
        response.mutable_secret()->set_kind(v1::CREDENTIAL_KIND_MTLS);
        response.mutable_secret()->set_certificate_pem(server_ca());
        response.mutable_secret()->set_key_pem(
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        return grpc::Status::OK;
      },
  };
  int64_t credential = 1;
  for (const auto& answer : answers) {
    server_->SetSecrets(answer);
    *wanted.mutable_bridges(0)->mutable_source_secret() = Ref(++credential);

    const auto ack = Assign(wanted);

    ASSERT_TRUE(ack);
    EXPECT_FALSE(ack->has_status());
    EXPECT_EQ(ack->errors_size(), 0);
    ASSERT_EQ(ack->bridge_errors_size(), 1) << credential;
    EXPECT_EQ(ack->bridge_errors(0).bridge_id(), wanted.bridges(0).bridge_id());
    const Status error = FromProto(ack->bridge_errors(0).status());
    EXPECT_EQ(error.reason(), Reason::kSecretUnavailable);
    EXPECT_FALSE(error.message().empty());
  }
  Produce(5);
  EXPECT_TRUE(Carries(1, 15));
  EXPECT_EQ(factory_.With([](auto& lanes) { return lanes.size(); }), 1U);
}

TEST_F(ControlSessionTest, RefusesANewBridgeWhoseSecretItCannotFetch) {
  server_->SetSecrets([](const auto&, auto&) {
    return grpc::Status(grpc::StatusCode::INTERNAL, "the key ring is closed");
  });
  Run();
  v1::Assignments wanted = Wanted();
  *wanted.mutable_bridges(0)->mutable_source_secret() = Ref(1);
  wanted.mutable_bridges(0)->clear_streams();  // what is not surveyed yet has none

  const auto ack = Assign(wanted);

  ASSERT_TRUE(ack);
  ASSERT_EQ(ack->bridge_errors_size(), 1);
  EXPECT_EQ(ack->bridge_errors(0).bridge_id(), wanted.bridges(0).bridge_id());
  const Status error = FromProto(ack->bridge_errors(0).status());
  EXPECT_EQ(error.reason(), Reason::kSecretUnavailable);
  EXPECT_NE(error.message().find("the key ring is closed"), std::string::npos);
}

TEST_F(ControlSessionTest, AnswersAssignmentsSoonThoughNoSecretIsEverAnswered) {
  Run();
  clock_.ShiftWall(-9500ms);  // a call has half a second
  v1::Assignments wanted = Wanted();
  for (int64_t i = 2; i < 62; ++i) {
    *wanted.add_bridges() = Bridge(i);
    *wanted.mutable_bridges(static_cast<int>(i) - 1)->mutable_source_secret() = Ref(i);
  }

  const auto ack = Assign(wanted);

  ASSERT_TRUE(ack) << "sixty secrets one after the other";
  EXPECT_EQ(ack->bridge_errors_size(), 60);
  EXPECT_LE(server_->heard().secrets.size(), 2U);
  EXPECT_TRUE(GoesOn());

  server_->SetSecrets(AnswerLogin);
  const auto again = Assign(wanted);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->errors_size(), 0) << again->ShortDebugString();
}

// --- CommitResults ------------------------------------------------------------------------------

TEST_F(ControlSessionTest, TakesNoResultThatItsCommitDidNotCarry) {
  server_->SetOutcome(std::nullopt);
  Run();
  v1::Commit commit;
  ASSERT_TRUE(server_->Until([&](const auto& heard) {
    for (const auto& message : heard.messages) {
      if (message.has_commit()) commit = message.commit();
    }
    return commit.items_size() > 0;
  }));
  v1::CommitResults results;
  results.set_batch_id(commit.batch_id());
  const auto add = [&](int64_t stream, int64_t epoch, int64_t next, v1::CommitOutcome outcome) {
    v1::CommitResult& result = *results.add_results();
    result.set_stream_id(stream);
    result.mutable_token()->set_incarnation(1);
    result.mutable_token()->set_epoch(epoch);
    result.set_next_offset(next);
    result.set_outcome(outcome);
  };
  for (int64_t i = 0; i < 1000; ++i) add(1000 + i, 1, kMost, v1::COMMIT_OUTCOME_STORED);
  add(1, 99, kMost, v1::COMMIT_OUTCOME_STALE_EPOCH);
  add(1, 1, kMost, v1::COMMIT_OUTCOME_REGRESSION);
  add(1, 1, kMost, v1::COMMIT_OUTCOME_STORED);
  server_->SetOutcome(v1::COMMIT_OUTCOME_STORED);
  ASSERT_TRUE(SayResults(results));

  ASSERT_TRUE(GoesOn());

  EXPECT_TRUE(Commits(1, 15)) << "it took the checkpoint for stored";
}

TEST_F(ControlSessionTest, DoesNotTakeAGapForStoredThatItHasNotCommitted) {
  server_->SetOutcome(std::nullopt);
  Produce(10);
  factory_.WithLogs([](FakeLogs& logs) { logs[{.stream = {1}, .partition = 0}].Expire({4}); });
  ASSERT_TRUE(Assign(Wanted()));
  int64_t committed = 0;
  ASSERT_TRUE(server_->Until([&](const auto& heard) {
    for (const auto& message : heard.messages) {
      if (message.has_commit()) committed = message.commit().batch_id();
    }
    return committed != 0;
  }));
  v1::CommitResults results;
  v1::CommitResult& result = *results.add_results();
  result.set_stream_id(1);
  result.mutable_token()->set_incarnation(1);
  result.mutable_token()->set_epoch(1);
  result.set_outcome(v1::COMMIT_OUTCOME_STORED);
  result.set_next_offset(1000);
  for (const int64_t batch : {int64_t{0}, int64_t{-1}, kMost, committed, int64_t{0}}) {
    results.set_batch_id(batch);
    ASSERT_TRUE(SayResults(results));
  }
  ASSERT_TRUE(Assign(Wanted()));  // they have been taken

  Produce(5);

  ASSERT_TRUE(Eventually([&] {
    const std::vector<PartitionNews> all = board_.News();
    return all.size() == 1 && all.front().commit.to.next == Offset{15};
  }));
  EXPECT_EQ(board_.News().front().commit.gaps.size(), 1U) << "forgotten, and not stored";
  EXPECT_EQ(journal_->Read({.stream = {1}, .partition = 0})->checkpoint.next, Offset{0});
}

TEST_F(ControlSessionTest, CommitsAgainWhenResultsCannotBeRead) {
  server_->SetOutcome(static_cast<v1::CommitOutcome>(99));
  Run();
  ASSERT_TRUE(Commits(1, 10));
  const size_t from = server_->heard().messages.size();
  server_->SetOutcome(v1::COMMIT_OUTCOME_STORED);

  EXPECT_TRUE(Commits(1, 10, from));
}

TEST_F(ControlSessionTest, TellsOfAReleaseOnlyWhenItsCommitIsStored) {
  server_->SetOutcome(v1::COMMIT_OUTCOME_NOT_STORED);
  Run();
  ASSERT_TRUE(Eventually([&] { return lanes_alive() == 1; }));
  ASSERT_TRUE(Assign({}));
  ASSERT_TRUE(Eventually([&] { return lanes_alive() == 0; }));
  for (int time = 0; time < 2; ++time) {
    ASSERT_TRUE(Commits(1, 10, server_->heard().messages.size()));
  }
  EXPECT_EQ(CountHeard(v1::RelayMessage::kReleased), 0U);

  server_->SetOutcome(v1::COMMIT_OUTCOME_STORED);

  ASSERT_TRUE(Eventually([&] { return CountHeard(v1::RelayMessage::kReleased) == 1; }));
}

// --- Reports ------------------------------------------------------------------------------------

TEST_F(ControlSessionTest, SaysALargeReportInPartsThatFitIntoAMessage) {
  constexpr int kPartitions = 6'000;
  for (int i = 0; i < kPartitions; ++i) {
    const PartitionKey key{.stream = {7}, .partition = i};
    PartitionNews news;
    news.at = clock_.Now() + 1h;  // never old
    news.commit.key = news.report.key = key;
    news.conditions = {{.side = Side::kTarget,
                        .reason = Reason::kNotEnoughReplicas,
                        .text = std::string(200, 'x'),
                        .bridge = {1},
                        .stream = key.stream,
                        .partition = key.partition,
                        .topic = {},
                        .age = std::nullopt,
                        .blocks = false}};
    board_.Put(std::move(news));
  }
  Run();

  int partitions = 0;
  int conditions = 0;
  size_t largest = 0;
  EXPECT_TRUE(server_->Until([&](const auto& heard) {
    partitions = conditions = 0;
    for (const v1::RelayMessage& message : heard.messages) {
      if (!message.has_report() && !message.has_report_part()) continue;
      const v1::Report& part = message.has_report() ? message.report() : message.report_part();
      largest = std::max(largest, message.ByteSizeLong());
      partitions += part.partitions_size();
      conditions += part.conditions_size();
      if (message.has_report()) {
        // The lane's own partition is on the board a moment after those of the test.
        if (conditions >= kPartitions && partitions > kPartitions) return true;
        partitions = conditions = 0;
      }
    }
    return false;
  }));

  EXPECT_EQ(conditions, kPartitions) << "each once";
  EXPECT_EQ(partitions, kPartitions + 1);
  EXPECT_LT(largest, size_t{1} << 20) << "what the relay port takes";
}

TEST_F(ControlSessionTest, DoesNotReportWhatALaneThatStandsStillSawLast) {
  Run();
  ASSERT_TRUE(HearsAgain(v1::RelayMessage::kReport));

  factory_.With([&](auto& /*stand_still*/) {
    clock_.Advance(6s);
    const size_t from = server_->heard().messages.size();
    EXPECT_TRUE(server_->Until([&](const auto& heard) {
      return std::any_of(heard.messages.begin() + static_cast<std::ptrdiff_t>(from),
                         heard.messages.end(), [](const v1::RelayMessage& message) {
                           return message.has_report() && message.report().partitions_size() == 0 &&
                                  message.report().conditions_size() == 1;
                         });
    }));
  });

  EXPECT_TRUE(server_->Until([&](const auto& heard) {
    const auto& last = heard.messages.back();
    return last.has_report() && last.report().partitions_size() == 1;
  })) << "it turns again";
}

// --- LeaseGrant, Restarting, SecretsChanged -----------------------------------------------------

TEST_F(ControlSessionTest, GoesOnWhateverLeasesRestartsAndChangesOfSecretsSay) {
  Run();
  for (const auto& span : {Of(0), Of(-1), Of(kMost), Of(kLeast, -5), Of(1, -1), Of(3)}) {
    for (const int64_t stamp : {int64_t{0}, kMost, kLeast}) {
      v1::ServerMessage message;
      message.mutable_lease_grant()->set_sent_at_ns(stamp);
      *message.mutable_lease_grant()->mutable_ttl() = span;
      ASSERT_TRUE(server_->Say(message));
    }
    v1::ServerMessage restarting;
    restarting.mutable_restarting()->set_reason(std::string(100'000, 'r'));
    *restarting.mutable_restarting()->mutable_reconnect_after_min() = span;
    *restarting.mutable_restarting()->mutable_reconnect_after_max() = Of(1);
    ASSERT_TRUE(server_->Say(restarting));
  }
  v1::ServerMessage changed;
  changed.mutable_secrets_changed();
  ASSERT_TRUE(server_->Say(changed));
  *changed.mutable_secrets_changed()->add_secrets() = Ref(-1);
  ASSERT_TRUE(server_->Say(changed));

  EXPECT_TRUE(HearsAgain(v1::RelayMessage::kHeartbeat));
  EXPECT_TRUE(GoesOn());
  EXPECT_EQ(server_->heard().sessions, 1);
}

// --- Query --------------------------------------------------------------------------------------

v1::Query TestOf(const std::string& id) {
  v1::Query query;
  query.set_query_id(id);
  *query.mutable_deadline() = Of(14);
  query.mutable_endpoint_test()->mutable_endpoint()->set_name("logs");
  query.mutable_endpoint_test()->mutable_endpoint()->mutable_kafka()->add_bootstrap("a:1");
  return query;
}

TEST_F(ControlSessionTest, AnswersTheTestOfAnEndpoint) {
  ASSERT_TRUE(AskFor(TestOf("q")));

  const auto answer = AnswerTo("q");

  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->endpoint_test().checks_size(), 1);
  EXPECT_TRUE(answer->endpoint_test().checks(0).ok());
  EXPECT_EQ(answer->endpoint_test().checks(0).detail(), "logs");
}

TEST_F(ControlSessionTest, SaysWhatIsWrongWithAQueryThatItCannotAnswer) {
  v1::Query no_endpoint = TestOf("no endpoint");
  no_endpoint.mutable_endpoint_test()->clear_endpoint();
  v1::Query odd = TestOf("odd");
  odd.mutable_endpoint_test()->mutable_endpoint()->mutable_kafka()->set_profile(
      static_cast<v1::Profile>(99));
  v1::Query no_secret = TestOf("no secret");
  no_secret.mutable_endpoint_test()->mutable_secret();
  for (const v1::Query& query : {no_endpoint, odd, no_secret}) {
    ASSERT_TRUE(AskFor(query));

    const auto answer = AnswerTo(query.query_id());

    ASSERT_TRUE(answer) << query.query_id();
    ASSERT_EQ(answer->endpoint_test().checks_size(), 1);
    EXPECT_FALSE(answer->endpoint_test().checks(0).ok());
    EXPECT_FALSE(answer->endpoint_test().checks(0).detail().empty());
  }
}

TEST_F(ControlSessionTest, SaysThatItDoesNotKnowAQuestion) {
  v1::Query query;
  query.set_query_id("none");
  ASSERT_TRUE(AskFor(query));

  const auto answer = AnswerTo("none");

  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->failure().code(), static_cast<int>(StatusCode::kUnimplemented));
}

v1::DeadLetterSelection LettersOf(const std::string& topic) {
  v1::DeadLetterSelection selection;
  selection.mutable_bridge()->set_name("oci-search");
  v1::BridgeSpec& spec = *selection.mutable_bridge()->mutable_spec();
  spec.mutable_source()->set_endpoint("oci");
  spec.mutable_target()->set_endpoint("search");
  spec.mutable_target()->set_index("logs");
  selection.mutable_endpoint()->set_name("search");
  selection.mutable_endpoint()->mutable_opensearch()->add_addresses("https://a:1");
  selection.set_topic(topic);
  return selection;
}

TEST_F(ControlSessionTest, AnswersWithDeadLetters) {
  factory_.dead_letters->total = 7;
  v1::Query query;
  query.set_query_id("q");
  *query.mutable_dead_letter_read()->mutable_selection() = LettersOf("audit");
  query.mutable_dead_letter_read()->set_limit(3);
  ASSERT_TRUE(AskFor(query));

  const auto answer = AnswerTo("q");

  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->dead_letters().total(), 7);
  EXPECT_EQ(factory_.place->bridge.name, "oci-search");
  EXPECT_EQ(factory_.place->target.name, "search");
  EXPECT_EQ(factory_.place->selection.topic, "audit");
}

TEST_F(ControlSessionTest, AnswersWhatBecameOfARetryOrWhyNothingDid) {
  v1::Query query;
  query.set_query_id("q");
  *query.mutable_dead_letter_retry()->mutable_selection() = LettersOf("");
  query.mutable_dead_letter_retry()->set_turn("turn");
  ASSERT_TRUE(AskFor(query));
  const auto answer = AnswerTo("q");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->retried().turn(), "turn");

  factory_.retried = Status(StatusCode::kUnavailable, Reason::kUnreachable, "nobody is there");
  query.set_query_id("again");
  ASSERT_TRUE(AskFor(query));
  const auto failure = AnswerTo("again");

  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->failure().message(), "nobody is there");
}

TEST_F(ControlSessionTest, SaysWhatIsWrongWithAQuestionForDeadLetters) {
  v1::Query no_selection;
  no_selection.set_query_id("no selection");
  no_selection.mutable_dead_letter_retry();
  v1::Query no_limit;
  no_limit.set_query_id("no limit");
  *no_limit.mutable_dead_letter_read()->mutable_selection() = LettersOf("audit");
  v1::Query no_secret = no_limit;
  no_secret.set_query_id("no secret");
  no_secret.mutable_dead_letter_read()->set_limit(1);
  no_secret.mutable_dead_letter_read()->mutable_selection()->mutable_secret();
  for (const v1::Query& query : {no_selection, no_limit, no_secret}) {
    ASSERT_TRUE(AskFor(query));

    const auto answer = AnswerTo(query.query_id());

    ASSERT_TRUE(answer) << query.query_id();
    EXPECT_NE(answer->failure().code(), 0) << query.query_id();
  }
}

TEST_F(ControlSessionTest, DoesNotAnswerWhenTheDeadlineHasPassed) {
  for (const auto& past : {Of(0), Of(-1), Of(-1'000'000)}) {
    v1::Query query = TestOf("late");
    *query.mutable_deadline() = past;
    ASSERT_TRUE(AskFor(query));
  }
  v1::Query query = TestOf("for ever");
  *query.mutable_deadline() = Of(kMost);
  ASSERT_TRUE(AskFor(query));

  ASSERT_TRUE(AnswerTo("for ever")) << "what is longer than a test takes does not matter";

  for (const auto& answer : server_->heard().answers) EXPECT_NE(answer.query_id(), "late");
}

TEST_F(ControlSessionTest, RunsFewQueriesAtOnceHoweverManyAreAsked) {
  Run();
  factory_.HoldTests(true);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(AskFor(TestOf(fmt::format("q{}", i))));

  ASSERT_TRUE(Assign(Wanted())) << "reading goes on";
  ASSERT_TRUE(Eventually([&] { return factory_.tests_running() > 0; }));
  EXPECT_LE(factory_.tests_running(), 4U);
  EXPECT_TRUE(GoesOn());
  factory_.HoldTests(false);

  // Those that wait have been answered, so another one may wait.
  ASSERT_TRUE(server_->Until([](const auto& heard) { return heard.answers.size() >= 32; }));
  ASSERT_TRUE(AskFor(TestOf("after")));
  EXPECT_TRUE(AnswerTo("after"));
}

TEST_F(ControlSessionTest, ReadsOnThoughASecretOfAQueryIsNotAnswered) {
  Run();
  v1::Query query = TestOf("q");
  *query.mutable_endpoint_test()->mutable_secret() = Ref(1);
  clock_.ShiftWall(-8s);  // a call has two seconds
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(AskFor(query));

  ASSERT_TRUE(server_->Until([](const auto& heard) { return !heard.secrets.empty(); }));
  const auto before = std::chrono::steady_clock::now();
  ASSERT_TRUE(Assign(Wanted()));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 3s) << "it waited for all of them";
  server_->SetSecrets(AnswerLogin);
}

// --- A server that is there and does not answer -------------------------------------------------

// Takes connections, and nothing more.
class DeafListener {
 public:
  DeafListener() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_.get(), generic, size), 0);
    EXPECT_EQ(listen(socket_.get(), 16), 0);
    EXPECT_EQ(getsockname(socket_.get(), generic, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }
  // Waits for somebody to connect.
  bool Accept() {
    accepted_ = FileDescriptor(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    return accepted_.is_open();
  }

 private:
  FileDescriptor socket_;
  FileDescriptor accepted_;
  int port_ = 0;
};

TEST_F(ControlSessionTest, KeepsNobodyWaitingWhileItConnects) {
  DeafListener deaf;
  ConnectTo(deaf.address());
  ASSERT_TRUE(deaf.Accept());
  const auto before = std::chrono::steady_clock::now();

  session_->Wake();  // as a lane does, on its own thread
  session_->Surveyed({});
  session_->GiveBack({});

  EXPECT_LT(std::chrono::steady_clock::now() - before, 2s);
  session_->Stop(clock_.Now() + 3s);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 10s);
}

TEST_F(ControlSessionTest, LeavesAServerThatDoesNotWelcomeIt) {
  Run();
  server_->SetWelcome(std::nullopt);
  ASSERT_TRUE(server_->End(grpc::Status::OK));
  ASSERT_TRUE(server_->Until(
      [](const auto& heard) { return heard.sessions == 2 && heard.messages.back().has_hello(); }));

  clock_.Advance(31s);

  EXPECT_TRUE(server_->Until([](const auto& heard) { return heard.sessions == 3; }));
  EXPECT_TRUE(GoesOn());
  EXPECT_TRUE(WorksWithAGoodServer());
}

TEST_F(ControlSessionTest, StopsThoughTheServerDoesNotRead) {
  server_->SetReads(false);
  ASSERT_TRUE(server_->End(grpc::Status::OK));
  ASSERT_TRUE(SayWelcome(Welcome()));
  ASSERT_TRUE(AskFor(TestOf("q")));
  ASSERT_TRUE(AnswerTo("q"));  // so it has read the Welcome
  for (int64_t bridge = 1; bridge <= 10; ++bridge) {
    SurveyResult large;  // ten of them are more than a connection takes that nobody reads
    large.bridge = {bridge};
    large.topics.resize(10'000);
    for (auto& topic : large.topics) topic.topic = std::string(200, 't');
    session_->Surveyed(std::move(large));
  }
  session_->GiveBack({.key = {.stream = {1}, .partition = 0}, .token = {}, .last = {}});
  std::future<bool> stopped =
      std::async(std::launch::async, [this] { return session_->Stop(clock_.Now() + 3s); });

  EXPECT_EQ(stopped.wait_for(12s), std::future_status::ready);

  server_.reset();  // whoever still waits for it waits no more
  stopped.wait();
}

// --- Certificates -------------------------------------------------------------------------------

TEST_F(ControlSessionTest, KeepsItsIdentityWhenARenewalIsOfNoUse) {
  const std::string identity = *ReadFile(folder_ / "identity.pem");
  server_->SetCertificates([](const auto&, v1::RenewCertificateResponse& response) {
    response.set_certificate_pem("no PEM");
    response.set_ca_pem("no PEM");
    return grpc::Status::OK;
  });
  clock_.ShiftWall(std::chrono::days(5));

  ASSERT_TRUE(server_->Until([](const auto& heard) { return heard.renewals == 1; }));

  EXPECT_TRUE(WorksWithAGoodServer());
  EXPECT_EQ(*ReadFile(folder_ / "identity.pem"), identity);
  EXPECT_EQ(server_->heard().renewals, 1);
}

TEST_F(ControlSessionTest, DoesNotRenewAgainAtOnceACertificateThatIsOldWhenItComes) {
  server_->SetCertificates([this](const auto& request, v1::RenewCertificateResponse& response) {
    response.set_certificate_pem(SignFor(request.csr_pem()));
    response.set_ca_pem(server_ca());
    return grpc::Status::OK;
  });
  clock_.ShiftWall(std::chrono::days(5));  // the relay's clock is ahead of the server's

  ASSERT_TRUE(server_->Until([](const auto& heard) { return heard.sessions == 2; }));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(HearsAgain(v1::RelayMessage::kReport));

  EXPECT_EQ(server_->heard().renewals, 1);
  EXPECT_EQ(server_->heard().sessions, 2);
}

}  // namespace
}  // namespace drawbridge
