#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "model/assignment.h"
#include "model/checkpoint.h"
#include "model/dead_letter.h"
#include "model/observation.h"

// The session with a relay, as the controller sees it: values in, values out. The api folder
// carries them over gRPC.

namespace drawbridge {

// First words of a relay.
struct RelayHello {
  RelayName relay;  // from its certificate
  std::string boot_id;
  std::string version;
  std::string librdkafka;
  int64_t incarnation = 0;
  int64_t revision = 0;
  std::vector<HeldPartition> held;
  WallTime certificate_not_after{};  // TLS does not end a session by itself
};

struct Welcome {
  std::string session;
  std::string deployment_id;
  int64_t incarnation = 0;
  int64_t revision = 0;
  Duration heartbeat_interval{};
  Duration lease_ttl{};
  Duration commit_interval{};
  Duration report_interval{};
};

struct NumberedAssignments {
  std::string nonce;
  Assignments assignments;
};

struct CommitResults {
  int64_t batch_id = 0;
  std::vector<CommitResult> results;
};

struct LeaseGrant {
  int64_t sent_at_ns = 0;  // the heartbeat's stamp, by the relay's clock
  Duration ttl{};
};

struct Restarting {
  std::string reason;
  Duration reconnect_after_min{};
  Duration reconnect_after_max{};
};

// What a relay can be asked about an endpoint.
struct EndpointTestQuestion {
  std::vector<std::string> topics;
};

// What it can be asked about the dead letters of a bridge; the endpoint is its target's.
struct DeadLetterReadQuestion {
  BridgeSpec bridge;
  DeadLetterSelection selection;
  int limit = 0;
};

struct DeadLetterRetryQuestion {
  BridgeSpec bridge;
  DeadLetterSelection selection;
  std::string turn;  // empty: a new one
};

struct Query {
  std::string query_id;
  Duration deadline{};
  EndpointSpec endpoint;
  std::optional<SecretRef> secret;
  // Of dead letters in a topic: where it is.
  std::optional<EndpointSpec> source;
  std::optional<SecretRef> source_secret;
  // Of dead letters: the cluster that the bridge's target is; empty: not known yet.
  std::string target_cluster_id;
  std::variant<EndpointTestQuestion, DeadLetterReadQuestion, DeadLetterRetryQuestion> question;
};

// Of the kind of the question, or why there is none.
using QueryAnswer =
    std::variant<Status, std::vector<EndpointCheck>, DeadLetterPage, RetriedDeadLetters>;

using ToRelay =
    std::variant<Welcome, NumberedAssignments, CommitResults, LeaseGrant, Restarting, Query>;

struct RelayAck {
  std::string nonce;
  int64_t revision = 0;
  Status status;
  std::vector<std::pair<StreamId, Status>> errors;
  std::vector<std::pair<BridgeId, Status>> bridge_errors;  // refused with all of its streams
};

struct RelayHeartbeat {
  int64_t sent_at_ns = 0;
  std::vector<std::pair<BridgeId, int64_t>> converged;  // bridge, generation
};

struct RelayCommit {
  int64_t batch_id = 0;
  std::vector<CommitItem> items;
};

struct RelayReleased {
  PartitionKey key;
  FencingToken token;
  Offset final_offset;
  bool is_leaving = false;  // the relay is stopping
};

using FromRelay =
    std::variant<RelayAck, RelayHeartbeat, RelayCommit, Report, SurveyResult, RelayReleased>;

// One open session. Thread-safe; no call waits.
class RelaySession {
 public:
  virtual ~RelaySession() = default;
  // What was received last is dealt with: the next message may be read. Before that none is, so a
  // relay cannot fill the server's memory.
  virtual void ReadOn() = 0;
  // Queues a message. After Close() it goes nowhere.
  virtual void Send(ToRelay message) = 0;
  virtual void Close(Status why) = 0;
};

}  // namespace drawbridge
