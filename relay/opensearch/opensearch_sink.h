#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/file.h"
#include "relay/letters/topic_letter_sink.h"
#include "relay/opensearch/address_ring.h"
#include "relay/opensearch/bulk_answer.h"
#include "relay/opensearch/bulk_queue.h"
#include "relay/opensearch/cluster_gate.h"
#include "relay/opensearch/document.h"
#include "relay/opensearch/engine_trouble.h"
#include "relay/opensearch/http_client.h"
#include "relay/opensearch/letter_post.h"
#include "relay/opensearch/outcomes.h"
#include "relay/opensearch/pending.h"
#include "relay/opensearch/send_limit.h"
#include "relay/opensearch/written_partitions.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

struct OpenSearchSinkSettings {
  std::string bridge;                      // its name, for dead letters
  std::string relay;                       // its name, for documents
  std::string dead_letter_index;           // of the same engine
  std::string cluster_id = {};             // of the one that is meant; empty: any
  int letters_percent = 0;                 // of a partition's records, within an hour; 0: no limit
  size_t window_bytes = size_t{64} << 20;  // what a lane sends without a confirmation
};

// Writes records as documents of OpenSearch or Elasticsearch, each once: with `create` and an id of
// its own, so that what is sent again is there already; where several indexes stand behind a name
// it is looked for first. An answer is read item by item. A record is confirmed when the engine, or
// the place of its dead letters, has it.
//
// Items that fail in passing are sent again from here, slower. What no record would pass (an index
// that is closed, a full disk, half of all records refused for one reason), and a record that fails
// on and on while others pass, is given back to the lane as blocked. A blocked partition is tried
// in requests of its own, beside the others, until its records pass.
//
// Nothing is sent to another cluster than the one that is meant.
//
// Order within a partition is not kept: the engine has none. Runs on the lane's thread only. The
// clock outlives it.
class OpenSearchSink final : public Sink {
 public:
  // With `letters`, dead letters go there in place of the index.
  static StatusOr<std::unique_ptr<OpenSearchSink>> Open(
      SearchEngine engine, OpenSearchSinkSettings settings, const Clock& clock,
      std::unique_ptr<TopicLetterSink> letters = nullptr);

  Status Open(Slot slot, const Route& route) override;
  size_t Submit(Batch& batch, size_t from, uint32_t window) override;
  void Poll(std::vector<Confirmation>& confirmations) override;
  bool IsReady() const override;
  std::optional<Condition> Trouble() const override;
  void Close(Slot slot) override;
  std::vector<int> descriptors() const override;

 private:
  struct Sent {
    Bulk bulk;  // or what its check asks
    BootTime at;
    size_t address = 0;
    bool asks_who = false;  // which cluster is there, before the bulk is sent
  };
  // What became of the records of one answer, but for those that are in.
  struct Turned {
    std::map<Slot, Status> blocked;  // partitions, and why
    std::vector<Pending> failed;     // their records
    std::map<Slot, Status> why_old;
    std::vector<Pending> old;    // the lane has given them up since
    std::vector<Pending> later;  // to be tried again
  };

  OpenSearchSink(std::unique_ptr<HttpClient> client, OpenSearchSinkSettings settings,
                 FileDescriptor timer, const Clock& clock, std::unique_ptr<LetterPost> post);

  bool MaySend(BootTime now) const;
  bool MayProbe(BootTime now) const;
  void SendDue(BootTime now);
  bool Send(Bulk bulk, BootTime now);
  bool Frame(Bulk& bulk, BootTime now);
  void Await(uint64_t id, Sent sent);
  void AskWho(Bulk bulk, size_t address, BootTime now);
  void TakeWho(Sent sent, const HttpAnswer& answer, BootTime now);
  static bool IsSuspect(const Bulk& bulk);
  void SendCheck(Bulk bulk, size_t address, BootTime now);
  void TakeCheck(Sent sent, const HttpAnswer& answer, BootTime now);
  void StandDown(size_t address, BootTime now);
  void SetTimer(BootTime now) const;

  void Take(Sent sent, const HttpAnswer& answer, BootTime now);
  void TakeItems(Bulk bulk, const std::vector<BulkItem>& items, BootTime now);
  void TakeSystemic(Pending entry, const EngineError& error, Turned& turned);
  bool IsStuck(Pending& entry, BootTime now) const;
  void TakeRefused(Sent sent, const HttpAnswer& answer, BootTime now);
  void TakeBadRequest(Bulk bulk, const EngineError& error, BootTime now);
  void TakePosted(BootTime now);
  void Retry(Bulk bulk, const Status& why, Duration least, bool is_ambiguous, BootTime now);
  bool IsAlone(const Bulk& bulk) const;
  void Isolate(Bulk bulk, const Status& why, BootTime now);
  void BlockAll(Bulk bulk, Reason reason, std::string text, BootTime now);

  void Refuse(Pending entry, const EngineError& error, Turned& turned, BootTime now);
  void Weigh(Suspect suspect, Turned& turned, BootTime now);
  void Judge(BootTime now);
  void KeepDead(Pending entry, Refusal refusal);
  std::string LettersText() const;

  void Confirm(Pending& entry);
  void GiveBack(Turned turned, BootTime now);
  void Fail(const std::map<Slot, Status>& failed, std::vector<Pending> entries,
            Disposition disposition);
  void Release(const std::vector<Pending>& entries, const std::map<Slot, Status>& why,
               Disposition disposition);

  const std::unique_ptr<HttpClient> client_;
  const OpenSearchSinkSettings settings_;
  const FileDescriptor timer_;  // rings when something is due
  const Clock& clock_;
  const std::unique_ptr<LetterPost> post_;  // null: dead letters go into an index
  DocumentShaper shaper_;
  SendLimit limit_;
  Backoff backoff_;
  Backoff block_backoff_;
  WrittenPartitions partitions_;
  AddressRing addresses_;
  ClusterGate gate_;
  EngineTrouble trouble_;
  BulkQueue queue_;
  std::map<uint64_t, Sent> in_flight_;
  uint64_t last_id_ = 0;
  std::optional<BootTime> blocked_until_;  // after that one request is tried
  std::optional<BootTime> passed_at_;      // the last record that passed
  size_t probes_out_ = 0;                  // of those in flight: one at most
  bool tries_probe_ = false;               // while all is blocked: whether it is a probe's turn
  Outcomes outcomes_;
  std::vector<std::pair<uint64_t, HttpAnswer>> answers_;
  std::string body_;
};

}  // namespace drawbridge
