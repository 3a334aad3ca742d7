#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "relay/letters/topic_letter_sink.h"
#include "relay/opensearch/bulk_answer.h"
#include "relay/opensearch/bulk_sender.h"
#include "relay/opensearch/document.h"
#include "relay/opensearch/engine_trouble.h"
#include "relay/opensearch/http_client.h"
#include "relay/opensearch/letter_post.h"
#include "relay/opensearch/outcomes.h"
#include "relay/opensearch/pending.h"
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
// its own, so that what is sent again is there already. A record is confirmed when the engine, or
// the place of its dead letters, has it. What becomes of a record is decided here, item by item;
// how requests come to the engine is BulkSender's.
//
// Items that fail in passing are sent again, slower. What no record would pass (an index that is
// closed, a full disk, half of all records refused for one reason), and a record that fails on and
// on while others pass, is given back to the lane as blocked. A blocked partition is tried in
// requests of its own, beside the others, until its records pass.
//
// Order within a partition is not kept: the engine has none. Runs on the lane's thread only. The
// clock outlives it.
class OpenSearchSink final : public Sink, private BulkOwner {
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
  // What became of the records of one answer, but for those that are in.
  struct Turned {
    std::map<Slot, Status> blocked;  // partitions, and why
    std::vector<Pending> failed;     // their records
    std::map<Slot, Status> why_old;
    std::vector<Pending> old;    // the lane has given them up since
    std::vector<Pending> later;  // to be tried again
  };

  OpenSearchSink(const std::string& endpoint, OpenSearchSinkSettings settings, const Clock& clock,
                 std::unique_ptr<LetterPost> post);

  void Frame(Bulk& bulk, std::string& body, BootTime now) override;
  bool TakeItems(Bulk bulk, const std::vector<BulkItem>& items, BootTime now) override;
  void TakeFound(std::vector<Pending> entries) override;
  void TakeRefused(Pending entry, const EngineError& error, BootTime now) override;
  void TakeFailed(Pending entry, const Status& why, BootTime now) override;

  void TakePosted(BootTime now);
  void TakeSystemic(Pending entry, const EngineError& error, Turned& turned);
  bool IsStuck(const Pending& entry, bool is_pushed_back, BootTime now) const;
  void Refuse(Pending entry, const EngineError& error, Turned& turned, BootTime now);
  void Refuse(Suspect suspect, Turned& turned, BootTime now);
  void TakePassed(Pending entry, const BulkItem& item, Turned& turned);
  void TakePassing(Pending entry, const BulkItem& item, Turned& turned, Bulk& again, BootTime now);
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

  const OpenSearchSinkSettings settings_;
  const Clock& clock_;
  const std::unique_ptr<LetterPost> post_;  // null: dead letters go into an index
  DocumentShaper shaper_;
  WrittenPartitions partitions_;
  EngineTrouble trouble_;
  Outcomes outcomes_;
  std::unique_ptr<BulkSender> sender_;
};

}  // namespace drawbridge
