#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/file.h"
#include "model/index_template.h"
#include "relay/letters/topic_letter_sink.h"
#include "relay/opensearch/address_ring.h"
#include "relay/opensearch/bulk_answer.h"
#include "relay/opensearch/document.h"
#include "relay/opensearch/engine_trouble.h"
#include "relay/opensearch/http_client.h"
#include "relay/opensearch/presence_check.h"
#include "relay/opensearch/prior_writes.h"
#include "relay/opensearch/send_limit.h"
#include "relay/opensearch/storm_breaker.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

struct OpenSearchSinkSettings {
  std::string bridge;                      // its name, for dead letters
  std::string relay;                       // its name, for documents
  std::string dead_letter_index;           // of the same engine
  size_t window_bytes = size_t{64} << 20;  // what a lane sends without a confirmation
};

// Writes records as documents of OpenSearch or Elasticsearch, each once: with `create` and an id of
// its own, so that what is sent again is there already; where several indexes stand behind a name
// it is looked for first. An answer is read item by item. A record is confirmed when the engine, or
// the place of its dead letters, has it.
//
// Items that fail in passing are sent again from here, slower. What no record would pass (an index
// that is closed, a full disk, half of all records refused for one reason) is given back to the
// lane as blocked, and only one record at a time of that partition is tried until one passes.
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
  // Where records of a partition go.
  struct Destination {
    Route route;
    IndexTemplate index;
  };
  // A record between Submit and its confirmation. It keeps its own destination: its slot may be
  // another partition's by the time it is sent again.
  struct Entry {
    Slot slot = 0;
    std::shared_ptr<const Destination> to;
    uint32_t window = 0;
    OffsetRange covered;
    Record record;
    int attempts = 0;
    bool may_be_there = false;  // it may have been written before
    WallTime first_seen{};
    std::optional<Refusal> refusal;  // set: it shall be a dead letter
    std::string index;               // where it was refused
  };
  // What is sent in one request.
  struct Bulk {
    std::vector<Entry> entries;
    size_t bytes = 0;         // about, before compression
    BootTime due{};           // when it may be sent
    BootTime since{};         // of its first record
    bool is_dead = false;     // all of them dead letters
    bool is_checked = false;  // those that were there are out of it
  };
  struct Sent {
    Bulk bulk;
    BootTime at;
    size_t address = 0;
    std::optional<PresenceCheck> check = std::nullopt;  // what is asked before it is sent
  };
  // A partition that is written.
  struct Writing {
    std::shared_ptr<const Destination> to;
    StormBreaker storm;
    StreamBreaker* stream = nullptr;
    // Set: one record at a time, until one passes that was submitted under a later window.
    std::optional<uint32_t> blocked_in;
    bool is_held_by_stream = false;
    size_t entries = 0;  // in the sink
    PriorWrites prior;
  };

  OpenSearchSink(std::unique_ptr<HttpClient> client, OpenSearchSinkSettings settings,
                 FileDescriptor timer, const Clock& clock,
                 std::unique_ptr<TopicLetterSink> letters);

  bool IsFull(const Bulk& bulk) const;
  bool MaySend(BootTime now) const;
  void SendDue(BootTime now);
  void Send(Bulk bulk, BootTime now);
  bool IsSuspect(const Bulk& bulk) const;
  static std::set<std::string> NamesOf(const Bulk& bulk);
  void StartCheck(Bulk bulk, const std::set<std::string>& names, size_t address, BootTime now);
  void AskOn(Sent sent);
  void TakeCheck(Sent sent, const HttpAnswer& answer, BootTime now);
  void Prove(const Entry& entry, bool was_there, BootTime now);
  void StandDown(size_t address, BootTime now);
  void SetTimer(BootTime now) const;

  void Take(Sent sent, const HttpAnswer& answer, BootTime now);
  void TakeItems(Bulk bulk, const std::vector<BulkItem>& items, BootTime now);
  void TakeRefused(Sent sent, const HttpAnswer& answer, BootTime now);
  void Split(Bulk bulk, BootTime now);
  void Retry(Bulk bulk, Duration least, bool is_ambiguous, BootTime now);
  void BlockAll(Bulk bulk, Reason reason, std::string text, BootTime now);
  bool IsOld(const Entry& entry) const;
  void Passed(const Entry& entry, bool is_new);
  void Refuse(Entry entry, const EngineError& error, std::map<Slot, Status>& blocked);
  void KeepDead(Entry entry, Refusal refusal);
  RefusedAt RefusalOf(const Entry& entry, WallTime now) const;
  std::string LettersText() const;
  void PostDead();
  void TakePosted();

  void Confirm(Entry& entry);
  void GiveBack(const std::vector<Entry>& entries, const std::map<Slot, Status>& why,
                Disposition disposition);
  void Fail(const std::map<Slot, Status>& failed, std::vector<Entry> entries,
            Disposition disposition = Disposition::kBlock);

  const std::unique_ptr<HttpClient> client_;
  const OpenSearchSinkSettings settings_;
  const FileDescriptor timer_;  // rings when something is due
  const Clock& clock_;
  const std::unique_ptr<TopicLetterSink> letters_;  // null: they go into an index
  DocumentShaper shaper_;
  SendLimit limit_;
  Backoff backoff_;
  Backoff block_backoff_;
  std::vector<Writing> writings_;                 // by slot
  std::map<std::string, StreamBreaker> streams_;  // by topic of the source
  AddressRing addresses_;
  EngineTrouble trouble_;
  size_t bulk_bytes_max_;
  Bulk open_;
  Bulk dead_;
  std::deque<Bulk> waiting_;
  std::map<uint64_t, Sent> in_flight_;
  std::map<uint64_t, Entry> posted_;  // letters on their way into the topic, without records
  uint64_t last_id_ = 0;
  std::optional<BootTime> blocked_until_;  // after that one request is tried
  bool has_said_blind_ = false;
  std::vector<Confirmation> done_;
  std::vector<std::pair<uint64_t, HttpAnswer>> answers_;
  std::string body_;
};

}  // namespace drawbridge
