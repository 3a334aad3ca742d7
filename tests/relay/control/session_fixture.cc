#include "tests/relay/control/session_fixture.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "model/convert/time.h"
#include "server/security/relay_ca.h"
#include "server/security/server_certificate.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr FencingToken kFirst{.incarnation = 1, .epoch = 1};

template <typename T>
T Must(StatusOr<T> made) {
  if (made.ok()) return *std::move(made);
  std::fprintf(stderr, "%s\n", made.status().ToString().c_str());
  std::abort();
}

}  // namespace

struct SessionTest::Authority {
  TemporaryFolder folder;
  RelayCa relay_ca = Must(RelayCa::LoadOrCreate(folder.path(), "prod", Clock::System()));
  ServerCertificate server =
      Must(ServerCertificate::LoadOrCreate(folder.path(), {}, Clock::System()));
};

SessionTest::SessionTest() : authority_(std::make_unique<Authority>()) {
  const ServerCertificateFiles files = authority_->server.files();
  server_ = std::make_unique<ScriptedServer>(
      ScriptedServer::Tls{.relay_ca = authority_->relay_ca.ca_pem(),
                          .certificate = Must(ReadFile(files.certificate)),
                          .key = Must(ReadFile(files.key))});
  server_->SetWelcome(Welcome());
  journal_ = Must(Journal::Open(folder_.path()));
  Must(RelayIdentity::Accept(folder_.path(), SignFor(Must(RelayIdentity::Request(folder_.path()))),
                             server_ca()));
  ConnectTo(server_->address());
}

SessionTest::~SessionTest() { End(); }

void SessionTest::End() {
  if (!session_) return;
  factory_.HoldTests(false);
  session_->Stop(clock_.Now() + 3s);
  supervisor_.reset();
  session_.reset();
}

void SessionTest::ConnectTo(const std::string& address) {
  End();
  session_ = std::make_unique<ControlSession>(SessionSettings{.server = address,
                                                              .state = folder_.path(),
                                                              .version = "1.0",
                                                              .librdkafka_version = "2.16.0",
                                                              .librdkafka_features = ""},
                                              Must(RelayIdentity::Load(folder_.path())), factory_,
                                              board_, clock_);
  supervisor_ = std::make_unique<Supervisor>(
      SupervisorSettings{}, factory_, *journal_, board_, clock_,
      [this](GivenBack back) { session_->GiveBack(std::move(back)); },
      [this](SurveyResult result) { session_->Surveyed(std::move(result)); });
  session_->Start(*supervisor_);
}

std::string SessionTest::SignFor(const std::string& csr_pem) {
  return Must(authority_->relay_ca.SignRelay(csr_pem, "r1")).certificate_pem +
         authority_->relay_ca.ca_pem();
}

std::string SessionTest::server_ca() { return authority_->server.ca_pem(); }

// --- What the server says -----------------------------------------------------------------------

v1::Welcome SessionTest::Welcome() {
  v1::Welcome welcome;
  welcome.set_session("s");
  welcome.set_deployment_id("prod");
  welcome.set_incarnation(1);
  welcome.set_revision(1);
  *welcome.mutable_heartbeat_interval() = ToProto(Duration(100ms));
  *welcome.mutable_lease_ttl() = ToProto(Duration(15s));
  *welcome.mutable_commit_interval() = ToProto(Duration(100ms));
  *welcome.mutable_report_interval() = ToProto(Duration(100ms));
  welcome.set_protocol(1);
  return welcome;
}

v1::BridgeAssignment SessionTest::Bridge(int64_t id) {
  v1::BridgeAssignment bridge;
  bridge.set_bridge_id(id);
  bridge.set_name(fmt::format("bridge-{}", id));
  bridge.set_generation(1);
  bridge.mutable_spec()->mutable_source()->mutable_start()->set_earliest(true);
  bridge.mutable_spec()->mutable_target()->set_topic("{topic}");
  bridge.mutable_source()->mutable_kafka()->add_bootstrap("a.example:9092");
  bridge.mutable_target()->mutable_kafka()->add_bootstrap("b.example:9092");
  v1::StreamAssignment& stream = *bridge.add_streams();
  stream.set_stream_id(id);
  stream.set_topic("audit");
  stream.set_target_topic("audit");
  stream.set_source_epoch(1);
  v1::PartitionAssignment& partition = *stream.add_partitions();
  partition.mutable_token()->set_incarnation(kFirst.incarnation);
  partition.mutable_token()->set_epoch(kFirst.epoch);
  return bridge;
}

v1::Assignments SessionTest::Wanted(int64_t epoch) {
  v1::Assignments wanted;
  wanted.set_incarnation(1);
  wanted.set_revision(1);
  *wanted.add_bridges() = Bridge(1);
  wanted.mutable_bridges(0)->mutable_streams(0)->mutable_partitions(0)->mutable_token()->set_epoch(
      epoch);
  return wanted;
}

v1::SecretRef SessionTest::Ref(int64_t credential) {
  v1::SecretRef ref;
  ref.set_credential_id(credential);
  ref.set_version(1);
  return ref;
}

grpc::Status SessionTest::AnswerLogin(const v1::SecretRef& /*ref*/,
                                      v1::GetSecretResponse& response) {
  response.mutable_secret()->set_kind(v1::CREDENTIAL_KIND_SASL_PLAIN);
  response.mutable_secret()->set_username("user");
  response.mutable_secret()->set_password("word");
  return grpc::Status::OK;
}

bool SessionTest::SayWelcome(const v1::Welcome& welcome) {
  v1::ServerMessage message;
  *message.mutable_welcome() = welcome;
  return server_->Say(message);
}

std::optional<v1::Ack> SessionTest::Assign(v1::Assignments assignments) {
  const std::string nonce = fmt::format("nonce-{}", ++nonces_);
  assignments.set_nonce(nonce);
  v1::ServerMessage message;
  *message.mutable_assignments() = std::move(assignments);
  if (!server_->Say(message)) return std::nullopt;
  const int session = server_->heard().sessions;
  std::optional<v1::Ack> ack;
  server_->Until([&](const auto& heard) {
    for (const v1::RelayMessage& one : heard.messages) {
      if (one.ack().nonce() == nonce) ack = one.ack();
    }
    return ack || heard.sessions != session;
  });
  return ack;
}

bool SessionTest::SayResults(const v1::CommitResults& results) {
  v1::ServerMessage message;
  *message.mutable_commit_results() = results;
  return server_->Say(message);
}

bool SessionTest::AskFor(const v1::Query& query) {
  v1::ServerMessage message;
  *message.mutable_query() = query;
  return server_->Say(message);
}

// --- What the relay does ------------------------------------------------------------------------

size_t SessionTest::lanes_alive() {
  return factory_.With([](auto& lanes) {
    return static_cast<size_t>(
        std::ranges::count_if(lanes, [](const auto& lane) { return lane->is_alive; }));
  });
}

void SessionTest::Produce(int64_t records, int64_t stream) {
  factory_.WithLogs(
      [&](FakeLogs& logs) { logs[{.stream = {stream}, .partition = 0}].AppendMany(records); });
}

size_t SessionTest::Written(int64_t stream) {
  return factory_.With([&](auto& lanes) {
    std::set<int64_t> offsets;
    for (const auto& lane : lanes) {
      const auto its = lane->sink.written_offsets({.stream = {stream}, .partition = 0});
      offsets.insert(its.begin(), its.end());
    }
    return offsets.size();
  });
}

bool SessionTest::Carries(int64_t stream, int64_t records) {
  return TurnUntil({}, [&] { return Written(stream) >= static_cast<size_t>(records); });
}

void SessionTest::Run(int64_t records) {
  Produce(records);
  produced_ += records;
  const auto ack = Assign(Wanted());
  ASSERT_TRUE(ack);
  EXPECT_FALSE(ack->has_status()) << ack->ShortDebugString();
  EXPECT_EQ(ack->errors_size(), 0) << ack->ShortDebugString();
  ASSERT_TRUE(Carries(1, produced_));
}

bool SessionTest::GoesOn() {
  Produce(5);
  produced_ += 5;
  return Carries(1, produced_);
}

bool SessionTest::WorksWithAGoodServer() {
  server_->SetWelcome(Welcome());
  server_->SetOutcome(v1::COMMIT_OUTCOME_STORED);
  server_->SetSecrets(AnswerLogin);
  const int before = server_->heard().sessions;
  if (server_->heard().open > 0) server_->End(grpc::Status::OK);
  if (!server_->Until([&](const auto& heard) { return heard.sessions > before || before == 0; })) {
    return false;
  }
  if (!HearsAgain(v1::RelayMessage::kHeartbeat)) return false;
  const size_t from = server_->heard().messages.size();
  v1::Assignments wanted;
  wanted.set_incarnation(1);
  wanted.set_revision(1);
  constexpr int64_t kGood = 1'000'001;
  *wanted.add_bridges() = Bridge(kGood);
  wanted.mutable_bridges(0)->mutable_streams(0)->mutable_partitions(0)->mutable_token()->set_epoch(
      ++epoch_);
  Produce(7, kGood);
  const auto ack = Assign(wanted);
  if (!ack || ack->has_status() || ack->errors_size() > 0) return false;
  int64_t all = 0;
  factory_.WithLogs(
      [&](FakeLogs& logs) { all = logs[{.stream = {kGood}, .partition = 0}].end().value; });
  return Carries(kGood, all) && Commits(kGood, all, from);
}

size_t SessionTest::CountHeard(v1::RelayMessage::MessageCase kind) {
  const auto heard = server_->heard();
  return static_cast<size_t>(std::ranges::count_if(
      heard.messages, [&](const auto& message) { return message.message_case() == kind; }));
}

bool SessionTest::HearsAgain(v1::RelayMessage::MessageCase kind) {
  const size_t from = server_->heard().messages.size();
  return server_->Until([&](const auto& heard) {
    for (size_t i = from; i < heard.messages.size(); ++i) {
      if (heard.messages[i].message_case() == kind) return true;
    }
    return false;
  });
}

bool SessionTest::Commits(int64_t stream, int64_t next, size_t from) {
  return server_->Until([&](const auto& heard) {
    for (size_t i = from; i < heard.messages.size(); ++i) {
      for (const v1::CommitItem& item : heard.messages[i].commit().items()) {
        if (item.stream_id() == stream && item.next_offset() == next) return true;
      }
    }
    return false;
  });
}

std::optional<v1::AnswerQueryRequest> SessionTest::AnswerTo(const std::string& query_id) {
  std::optional<v1::AnswerQueryRequest> answer;
  server_->Until([&](const auto& heard) {
    for (const v1::AnswerQueryRequest& one : heard.answers) {
      if (one.query_id() == query_id) answer = one;
    }
    return answer.has_value();
  });
  return answer;
}

}  // namespace drawbridge
