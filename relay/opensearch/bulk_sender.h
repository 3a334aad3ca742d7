#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/status.h"
#include "relay/opensearch/address_ring.h"
#include "relay/opensearch/bulk_answer.h"
#include "relay/opensearch/bulk_queue.h"
#include "relay/opensearch/cluster_gate.h"
#include "relay/opensearch/engine_trouble.h"
#include "relay/opensearch/http_client.h"
#include "relay/opensearch/pending.h"
#include "relay/opensearch/send_limit.h"

namespace drawbridge {

struct BulkSenderSettings {
  std::string bridge;  // its name and the relay's, by which requests are called
  std::string relay;
  std::string cluster_id;  // of the one that is meant; empty: any
};

// Whose records a BulkSender sends: it is told what became of them, within the sender's functions,
// and may give it others meanwhile.
class BulkOwner {
 public:
  virtual ~BulkOwner() = default;

  // Appends the request's body, and takes out what no engine must get.
  virtual void Frame(Bulk& bulk, std::string& body, BootTime now) = 0;
  // The engine has carried the request out, as far as these outcomes say: one for each entry.
  // Whether a record has passed.
  virtual bool TakeItems(Bulk bulk, const std::vector<BulkItem>& items, BootTime now) = 0;
  // They are there already.
  virtual void TakeFound(std::vector<Pending> entries) = 0;
  // The engine refuses a request of this one alone: 400 or 413.
  virtual void TakeRefused(Pending entry, const EngineError& error, BootTime now) = 0;
  // A request of this one alone fails while others pass.
  virtual void TakeFailed(Pending entry, const Status& why, BootTime now) = 0;
};

// Sends requests to an engine until each is carried out: as many at once as the engine answers
// without slowing down, to the addresses that answer, and to no other cluster than the one that is
// meant. Where a document may be there already, and several indexes stand behind its name, it is
// looked for first.
//
// A request that fails as a whole is sent again, slower. Where all fail and none may pass, one is
// tried now and then. One that fails for long goes beside the others (a probe), or in halves where
// there are few others; where those pass it is halved until the record is found for which it fails.
//
// Runs on the lane's thread only. The owner, the clock and the trouble outlive it.
class BulkSender {
 public:
  // What fails for longer while others pass is at fault itself.
  static constexpr Duration kStuckAfter = std::chrono::seconds(10);
  // The engine may ask for less for a while, and take others meanwhile.
  static constexpr Duration kThrottledLong = std::chrono::seconds(30);

  static StatusOr<std::unique_ptr<BulkSender>> Open(SearchEngine engine,
                                                    BulkSenderSettings settings, BulkOwner& owner,
                                                    EngineTrouble& trouble, const Clock& clock);

  // Whether a new record can be added, after MakeRoom at most.
  bool IsReady() const;
  // Sends what gathers, if it is full and may be sent. False if a new record has to wait.
  bool MakeRoom(BootTime now);
  void Add(Pending entry, BootTime now) { queue_.Add(std::move(entry), now); }
  // In a request of its own, beside the others, which do not wait for it.
  void AddProbe(Pending entry, BootTime now) { queue_.AddProbe(std::move(entry), now); }
  void AddDead(Pending entry) { queue_.AddDead(std::move(entry)); }
  // Sends it again when it is due.
  void Later(Bulk bulk, BootTime due) { queue_.Later(std::move(bulk), due); }
  // Sends again what failed of a request, after a while that grows.
  void Again(Bulk bulk, BootTime now) { queue_.Later(std::move(bulk), now + backoff_.Next()); }
  // Takes out all that `is_wanted`, but for what is on its way.
  std::vector<Pending> Extract(const std::function<bool(const Pending&)>& is_wanted) {
    return queue_.Extract(is_wanted);
  }

  // The engine has too much to do for some of a request: less is sent at once.
  void PushedBack() { limit_.PushedBack(); }
  // Of a request nothing is to be sent again, and some has passed.
  void AllPassed();
  // Whether others have passed that were sent after this began to fail: it is not the engine.
  bool HavePassedSince(BootTime failing_since) const {
    return passed_sent_at_ && *passed_sent_at_ > failing_since;
  }

  // Takes the answers that have come.
  void TakeAnswers(BootTime now);
  // Sends what is due, and sets the timer for the rest.
  void SendDue(BootTime now);

  // Whether nothing is on its way.
  bool is_idle() const { return in_flight_.empty(); }
  // An address that does not answer, where others may.
  std::optional<AddressRing::Away> LongestAway(BootTime now) const {
    return addresses_.LongestAway(now);
  }
  // Readable when there is something to do.
  std::vector<int> descriptors() const { return {client_->descriptor(), timer_.get()}; }

 private:
  // A bulk that is on its way, or what is asked before it: by its check, or which cluster is there.
  struct Sent {
    Bulk bulk;
    BootTime at;
    size_t address = 0;
    // Nothing is heard of it for long: others do not wait for it.
    bool is_late = false;
    bool asks_who = false;
    // With that: it was sent before, and this counts if it was the cluster that is meant.
    std::optional<HttpAnswer> answer = std::nullopt;
    BootTime asked_at{};  // then
    Duration asking{};    // what the question took

    // Since when what was sent last has no answer.
    BootTime WaitsSince() const { return asks_who ? asked_at : at; }
  };

  BulkSender(std::unique_ptr<HttpClient> client, BulkSenderSettings settings, FileDescriptor timer,
             BulkOwner& owner, EngineTrouble& trouble, const Clock& clock);

  bool MaySend(BootTime now) const;
  bool MayProbe(BootTime now) const;
  size_t OnTheirWay(bool are_probes) const;
  void FindLate(BootTime now);
  bool Send(Bulk bulk, BootTime now);
  void Await(uint64_t id, Sent sent);
  std::string IdOf(const Pending& entry) const;
  void SetTimer(BootTime now) const;

  void AskWho(Sent sent, BootTime now);
  void TakeWho(Sent sent, const HttpAnswer& answer, BootTime now);
  static bool IsSuspect(const Bulk& bulk);
  void SendCheck(Bulk bulk, size_t address, BootTime now);
  void SplitByName(Bulk bulk, BootTime due);
  void TakeCheck(Sent sent, const HttpAnswer& answer, BootTime now);

  void Take(Sent sent, HttpAnswer answer, BootTime now);
  void TakeAnswer(Sent sent, const HttpAnswer& answer, BootTime now);
  void TakeRefused(Sent sent, const HttpAnswer& answer, BootTime now);
  void Unblock();
  void TakeBadRequest(Bulk bulk, const EngineError& error, BootTime now);
  // How long one that failed waits at least, and fails before it is asked whether it is at fault.
  struct Patience {
    Duration least{};
    Duration until_stuck = kStuckAfter;
  };
  void Retry(Bulk bulk, const Status& why, Patience patience, BootTime now);
  void BlockAll(Bulk bulk, Reason reason, std::string text, BootTime now);
  void TryApart(Bulk bulk, BootTime due);
  bool HavePassedWhile(const Bulk& bulk) const;
  bool AreFew() const;
  // Whether it is known to be at fault, so that it says nothing of the engine.
  bool IsBlamed(const Bulk& bulk) const { return bulk.blamed_at && HavePassedWhile(bulk); }
  void Blame(Bulk bulk, const Status& why, BootTime due, BootTime now);
  void StandDown(const Sent& sent, const Status& why, BootTime now);

  const std::unique_ptr<HttpClient> client_;
  const BulkSenderSettings settings_;
  const FileDescriptor timer_;  // rings when something is due
  BulkOwner& owner_;
  EngineTrouble& trouble_;
  const Clock& clock_;
  SendLimit limit_;
  Backoff backoff_;
  Backoff block_backoff_;
  AddressRing addresses_;
  ClusterGate gate_;
  BulkQueue queue_;
  std::map<uint64_t, Sent> in_flight_;
  uint64_t last_id_ = 0;
  std::optional<BootTime> blocked_until_;   // after that one request is tried
  std::optional<BootTime> passed_sent_at_;  // of the last request of which a record has passed
  bool tries_probe_ = false;                // while all is blocked: whether it is a probe's turn
  std::vector<std::pair<uint64_t, HttpAnswer>> answers_;
  std::string body_;
};

}  // namespace drawbridge
