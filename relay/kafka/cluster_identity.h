#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "relay/kafka/kafka_config.h"

namespace drawbridge {

// Whether a client has reached the cluster that it is meant for. An address that was changed by
// mistake may name another one where the same credentials work: records must not go there, and
// offsets that are read from it say nothing.
//
// The library learns a cluster's id with its first metadata, tells nobody when that comes, and
// keeps it as long as the client lives. Nothing here waits. Runs on one thread.
class ClusterIdentity {
 public:
  ClusterIdentity(Side side, const KafkaCluster& cluster);

  // There is a new client, which has reached nobody yet.
  void Reset(BootTime now);

  // Looks at what the client knows by now. `answered_at` is when its cluster last said something.
  void Look(const ClientHandle& client, std::optional<BootTime> answered_at, BootTime now);

  // Whether records may pass: it is the right cluster, or any will do.
  bool is_right() const { return verdict_ == Verdict::kRight; }
  bool is_other() const { return verdict_ == Verdict::kOther; }
  // Whether another client should look: the same address may lead elsewhere by now.
  bool IsWorthAnother(BootTime now) const;
  std::optional<Condition> Trouble() const;

  // Becomes readable a few times while a new client's cluster is not known, so that whoever waits
  // looks again.
  int descriptor() const { return wake_.get(); }

 private:
  enum class Verdict { kUnknown, kRight, kOther, kNameless };

  void SetTimer(bool is_on);

  const Side side_;
  const std::string endpoint_;
  const std::string expected_;  // empty: any
  FileDescriptor wake_;
  bool is_timer_on_ = false;
  Verdict verdict_;
  std::string seen_;
  BootTime since_{};
};

// What is wrong where `seen` answers and `expected` did before.
Status AnotherCluster(Side side, const std::string& endpoint, const std::string& seen,
                      const std::string& expected);

}  // namespace drawbridge
