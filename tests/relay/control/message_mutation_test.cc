#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include "model/convert/time.h"
#include "tests/relay/control/session_fixture.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

// Damage as a broken server or a bug in its serialisation would do it: some bytes are flipped, cut
// out, repeated, or replaced by values at the ends of their ranges.
class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::string Mutate(std::string bytes) {
    const size_t damages = Below(4) == 0 ? 3 : 1;
    for (size_t i = 0; i < damages && !bytes.empty(); ++i) Damage(bytes);
    return bytes;
  }

 private:
  size_t Below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random_); }

  void Damage(std::string& bytes) {
    static const std::array<std::string, 5> kNumbers = {
        std::string(1, '\0'), "\x7f", "\xff\xff\xff\xff\x07",
        "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"};
    const size_t at = Below(bytes.size());
    const size_t length = 1 + Below(std::min<size_t>(bytes.size() - at, 24));
    switch (Below(8)) {
      default:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(Below(256));
        break;
      case 2:
        bytes.erase(at, length);
        break;
      case 3:
        bytes.insert(at, bytes.substr(at, length));
        break;
      case 4:
        bytes.replace(at, 1, kNumbers[Below(kNumbers.size())]);
        break;
    }
  }

  std::mt19937_64 random_;
};

class MessageMutationTest : public SessionTest {
 protected:
  // One good message of each kind, with all that it may hold.
  static std::vector<v1::ServerMessage> GoodMessages() {
    std::vector<v1::ServerMessage> good(7);
    *good[0].mutable_welcome() = Welcome();
    v1::Assignments& wanted = *good[1].mutable_assignments() = Wanted();
    wanted.set_nonce("n");
    *wanted.add_bridges() = Bridge(2);
    v1::BridgeAssignment& bridge = *wanted.mutable_bridges(1);
    *bridge.mutable_source_secret() = Ref(1);
    *bridge.mutable_target_secret() = Ref(2);
    bridge.set_survey(true);
    bridge.set_source_cluster_id("one");
    bridge.set_target_cluster_id("other");
    bridge.add_reverse_flows()->add_topics("t");
    bridge.mutable_reverse_flows(0)->set_topic_template("x.{topic}");
    bridge.mutable_spec()->set_lanes(2);
    v1::PartitionAssignment& partition = *bridge.mutable_streams(0)->mutable_partitions(0);
    partition.set_start_offset(3);
    partition.mutable_anchor()->set_offset(2);
    v1::CommitResults& results = *good[2].mutable_commit_results();
    results.set_batch_id(1);
    v1::CommitResult& result = *results.add_results();
    result.set_stream_id(1);
    result.set_outcome(v1::COMMIT_OUTCOME_STORED);
    result.mutable_token()->set_incarnation(1);
    result.mutable_token()->set_epoch(1);
    result.set_next_offset(10);
    good[3].mutable_lease_grant()->set_sent_at_ns(1);
    *good[3].mutable_lease_grant()->mutable_ttl() = ToProto(Duration(15s));
    good[4].mutable_restarting()->set_reason("update");
    *good[4].mutable_restarting()->mutable_reconnect_after_min() = ToProto(Duration(1s));
    *good[5].mutable_secrets_changed()->add_secrets() = Ref(1);
    v1::Query& query = *good[6].mutable_query();
    query.set_query_id("q");
    *query.mutable_deadline() = ToProto(Duration(14s));
    query.mutable_endpoint_test()->mutable_endpoint()->mutable_kafka()->add_bootstrap("a:1");
    *query.mutable_endpoint_test()->mutable_secret() = Ref(1);
    query.mutable_endpoint_test()->add_topics("audit");
    return good;
  }

  static size_t Threads() {
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
  }
};

TEST_F(MessageMutationTest, OutlivesMessagesThatAreDamagedInAnyWay) {
  constexpr uint64_t kSeed = 20'230'314;
  constexpr int kMutants = 8000;
  // Sent at one go and then waited for, so that a failure shows what came shortly before it.
  constexpr int kRound = 200;
  server_->SetSecrets(AnswerLogin);
  Run();
  const size_t threads = Threads();
  const std::vector<v1::ServerMessage> good = GoodMessages();
  Mutator mutator(kSeed);
  int sent = 0;
  for (int i = 0; i < kMutants; ++i) {
    SCOPED_TRACE(fmt::format("seed {}, mutant {}", kSeed, i));
    // Assignments hold the most that can be wrong.
    const size_t kind = i % 2 == 0 ? 1 : static_cast<size_t>(i / 2) % good.size();
    const std::string bytes = mutator.Mutate(good[kind].SerializeAsString());
    const google::protobuf::LogSilencer no_word_of_those_that_are_none;
    v1::ServerMessage message;
    if (message.ParseFromString(bytes)) {
      ASSERT_TRUE(server_->SayBytes(bytes));
      ++sent;
    }
    if (i % kRound != kRound - 1) continue;
    // A damaged Welcome may have ended the session: then the next one answers.
    ASSERT_TRUE(Eventually([&] {
      const auto ack = Assign({});
      return ack && !ack->has_status() && ack->errors_size() == 0;
    }));
    server_->Forget();
  }
  EXPECT_GT(sent, 1000) << "what is no message any more tests nothing";

  EXPECT_TRUE(WorksWithAGoodServer());
  EXPECT_TRUE(Eventually([&] { return lanes_alive() <= 1; }));
  // The threads that answer queries stay, and gRPC keeps some.
  EXPECT_TRUE(Eventually([&] { return Threads() <= threads + 16; })) << Threads();
  EXPECT_LE(journal_->ReadAll().size(), 1U);
}

}  // namespace
}  // namespace drawbridge
