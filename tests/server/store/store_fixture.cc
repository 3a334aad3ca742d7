#include "tests/server/store/store_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <future>

#include <fmt/format.h>

namespace drawbridge {
namespace {

// SQLite syncs at every commit, and a RAM disk makes nothing of that. Before the first folder is
// made.
[[maybe_unused]] const bool kIsOnRamDisk =
    std::filesystem::exists("/dev/shm") && setenv("TMPDIR", "/dev/shm", 0) == 0;

}  // namespace

std::string WhyNot(const Status& status) {
  return status.ok() ? "OK" : std::string(Name(status.reason()));
}

std::string Name(CommitOutcome outcome) {
  switch (outcome) {
    case CommitOutcome::kStored:
      return "STORED";
    case CommitOutcome::kStaleEpoch:
      return "STALE_EPOCH";
    case CommitOutcome::kStaleIncarnation:
      return "STALE_INCARNATION";
    case CommitOutcome::kRegression:
      return "REGRESSION";
    case CommitOutcome::kNotContiguous:
      return "NOT_CONTIGUOUS";
    case CommitOutcome::kUnknown:
      return "UNKNOWN";
    case CommitOutcome::kNotOwner:
      return "NOT_OWNER";
    case CommitOutcome::kNotStored:
      return "NOT_STORED";
  }
  return "?";
}

StoreTest::Stores::Stores(std::unique_ptr<ControlDatabase> opened, const Clock& clock)
    : database(std::move(opened)),
      definitions(database->writer(), clock),
      credentials(database->writer(), database->reader(), clock),
      streams(database->writer(), database->reader(), clock),
      checkpoints(database->writer(), clock),
      relays(database->writer(), database->reader(), clock) {}

StoreTest::StoreTest() { Start(); }

void StoreTest::Start() {
  auto opened = ControlDatabase::Open(path(), clock_);
  if (!opened.ok()) {
    std::fputs(opened.status().ToString().c_str(), stderr);
    std::abort();
  }
  stores_ = std::make_unique<Stores>(*std::move(opened), clock_);
}

void StoreTest::Restart() {
  Stop();
  Start();
}

DesiredState StoreTest::State() {
  const StatusOr<DesiredState> state = database().ReadAll();
  EXPECT_TRUE(state.ok()) << state.status().ToString();
  return state.ok() ? *state : DesiredState{};
}

StoredBridge StoreTest::BridgeNamed(const std::string& name) {
  for (const StoredBridge& bridge : State().bridges) {
    if (bridge.spec.name == name) return bridge;
  }
  return {};
}

StoredStream StoreTest::StreamNamed(const std::string& topic) {
  for (const StoredStream& stream : State().streams) {
    if (stream.topic == topic) return stream;
  }
  return {};
}

StoredPartition StoreTest::Partition(PartitionKey key) {
  for (const StoredPartition& partition : State().partitions) {
    if (partition.key == key) return partition;
  }
  ADD_FAILURE() << "no partition " << key.partition << " of stream " << key.stream.value;
  return {};
}

int64_t StoreTest::Number(std::string_view sql) {
  const StatusOr<int64_t> number = reader().Get([&](Database& read) -> StatusOr<int64_t> {
    Statement row = read.Prepare(sql);
    if (row.Step()) return row.Int(0);
    return Status(StatusCode::kNotFound, row.status().ToString());
  });
  EXPECT_TRUE(number.ok()) << sql << ": " << number.status().message();
  return number.ok() ? *number : -1;
}

std::string StoreTest::Text(std::string_view sql) {
  const StatusOr<std::string> text = reader().Get([&](Database& read) -> StatusOr<std::string> {
    Statement row = read.Prepare(sql);
    if (row.Step()) return row.Text(0);
    return Status(StatusCode::kNotFound, row.status().ToString());
  });
  EXPECT_TRUE(text.ok()) << sql << ": " << text.status().message();
  return text.ok() ? *text : "";
}

Mutation StoreTest::Request() { return Request(fmt::format("fixture-{}", ++requests_)); }

Mutation StoreTest::Request(const std::string& id, const std::string& body) {
  return {.actor = "alice",
          .reason = "because",
          .request_id = id,
          .body_hash = "hash of " + body,
          .response = "response to " + id};
}

EndpointSpec StoreTest::Endpoint(const std::string& name, const std::string& credential) {
  EndpointSpec endpoint;
  endpoint.name = name;
  endpoint.kafka().bootstrap = {name + ".example:9092"};
  endpoint.kafka().credential = credential;
  return endpoint;
}

BridgeSpec StoreTest::Bridge(const std::string& name) {
  BridgeSpec bridge;
  bridge.name = name;
  bridge.source = {.endpoint = "oci", .topics = {"/.*/"}, .start = {}};
  bridge.target.endpoint = "aws";
  return bridge;
}

Status StoreTest::Apply(const std::vector<DefinitionStep>& steps) {
  return definitions().Apply(steps, State().revision, Request()).status();
}

BridgeId StoreTest::DefineBridge(const std::string& name) {
  EXPECT_EQ(WhyNot(Apply({PutEndpoint{Endpoint("oci")}, PutEndpoint{Endpoint("aws")},
                          PutBridge{Bridge(name)}})),
            "OK");
  return BridgeNamed(name).id;
}

StreamId StoreTest::LearnStream(BridgeId bridge, const std::string& topic,
                                const std::vector<int64_t>& starts) {
  LearntStream learnt{.topic = topic,
                      .target_topic = topic,
                      .target_partitions = static_cast<int>(starts.size()),
                      .new_partitions = {}};
  for (const int64_t start : starts) {
    learnt.new_partitions.emplace_back(static_cast<PartitionNumber>(learnt.new_partitions.size()),
                                       Offset{start});
  }
  EXPECT_EQ(WhyNot(streams().Learn({.bridge = bridge,
                                    .source_cluster_id = "",
                                    .target_cluster_id = "",
                                    .resolves_start = true,
                                    .streams = {learnt}})),
            "OK");
  for (const StoredStream& stored : State().streams) {
    if (stored.bridge == bridge && stored.topic == topic) return stored.id;
  }
  ADD_FAILURE() << "no stream is made for " << topic;
  return {};
}

void StoreTest::Enrol(const std::string& relay) {
  const EnrolmentGrant grant{.id = "token-of-" + relay,
                             .hash = "hash",
                             .relay = {relay},
                             .labels = {{"cloud", "oci"}},
                             .expires_at = clock_.WallNow() + std::chrono::hours(1)};
  EXPECT_EQ(WhyNot(relays().AddToken(grant, Request())), "OK");
  EXPECT_EQ(WhyNot(relays().Enrol(
                grant, {.serial = "01", .not_after = clock_.WallNow() + std::chrono::days(30)})),
            "OK");
}

Grant StoreTest::GrantTo(const std::optional<std::string>& relay, PartitionKey key) {
  const Reassignment wish{.key = key,
                          .expected = Partition(key).token,
                          .owner = relay ? std::optional(RelayName{*relay}) : std::nullopt,
                          .reason = "granted"};
  const auto changed = checkpoints().Reassign({wish});
  EXPECT_EQ(WhyNot(changed), "OK");
  if (!changed.ok() || changed->size() != 1) {
    ADD_FAILURE() << "the partition was not reassigned";
    return {};
  }
  return {key, changed->front().token, changed->front().checkpoint.next};
}

std::vector<CommitResult> StoreTest::Commit(const std::string& relay,
                                            std::vector<CommitItem> items) {
  std::promise<std::vector<CommitResult>> promise;
  checkpoints().Commit({relay}, std::move(items), [&](std::vector<CommitResult> results) {
    promise.set_value(std::move(results));
  });
  return promise.get_future().get();
}

}  // namespace drawbridge
