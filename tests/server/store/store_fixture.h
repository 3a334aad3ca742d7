#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "server/store/checkpoint_store.h"
#include "server/store/control_database.h"
#include "server/store/credential_store.h"
#include "server/store/definition_store.h"
#include "server/store/relay_store.h"
#include "server/store/stream_store.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/temporary_folder.h"

namespace drawbridge {

// "OK", or the reason of a failure as the API names it.
std::string WhyNot(const Status& status);
template <typename T>
std::string WhyNot(const StatusOr<T>& result) {
  return WhyNot(result.status());
}

// "STORED", "STALE_EPOCH", ...
std::string Name(CommitOutcome outcome);

// A partition of the one stream that most tests have.
struct Grant {
  PartitionKey key;
  FencingToken token;
  Offset start;
};

// The real store over a file in a folder of its own (on a RAM disk where there is one), and a small
// language for what must be there before a test can begin.
class StoreTest : public testing::Test {
 protected:
  StoreTest();

  // Closes the database and opens it again, as a restart of the server does.
  void Restart();
  void Stop() { stores_.reset(); }
  void Start();
  std::filesystem::path path() const { return folder_ / "control.db"; }

  ControlDatabase& database() { return *stores_->database; }
  Writer& writer() { return stores_->database->writer(); }
  Reader& reader() { return stores_->database->reader(); }
  DefinitionStore& definitions() { return stores_->definitions; }
  CredentialStore& credentials() { return stores_->credentials; }
  StreamStore& streams() { return stores_->streams; }
  CheckpointStore& checkpoints() { return stores_->checkpoints; }
  RelayStore& relays() { return stores_->relays; }

  // What a reader sees.
  DesiredState State();
  StoredBridge BridgeNamed(const std::string& name);
  StoredStream StreamNamed(const std::string& topic);
  StoredPartition Partition(PartitionKey key);
  int64_t Number(std::string_view sql);
  std::string Text(std::string_view sql);

  // A change by alice under a request_id that was not used before.
  Mutation Request();
  static Mutation Request(const std::string& id, const std::string& body = "body");

  static EndpointSpec Endpoint(const std::string& name, const std::string& credential = "");
  static BridgeSpec Bridge(const std::string& name);
  // Applies at the present revision, under a new request_id.
  Status Apply(const std::vector<DefinitionStep>& steps);

  // Endpoints oci and aws, and a bridge between them.
  BridgeId DefineBridge(const std::string& name = "logs");
  // A stream with partitions that start at these offsets, ready at the target.
  StreamId LearnStream(BridgeId bridge, const std::string& topic,
                       const std::vector<int64_t>& starts);
  void Enrol(const std::string& relay);
  // Takes a partition from whoever has it; no name: it goes to nobody.
  Grant GrantTo(const std::optional<std::string>& relay, PartitionKey key);
  std::vector<CommitResult> Commit(const std::string& relay, std::vector<CommitItem> items);

  TemporaryFolder folder_;
  FakeClock clock_;

 private:
  struct Stores {
    Stores(std::unique_ptr<ControlDatabase> opened, const Clock& clock);

    std::unique_ptr<ControlDatabase> database;
    DefinitionStore definitions;
    CredentialStore credentials;
    StreamStore streams;
    CheckpointStore checkpoints;
    RelayStore relays;
  };

  std::unique_ptr<Stores> stores_;
  int requests_ = 0;
};

}  // namespace drawbridge
