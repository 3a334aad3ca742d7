#include "relay/kafka/cluster_identity.h"

#include <fmt/format.h>
#include <sys/timerfd.h>

#include "base/log.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.kafka");

constexpr Duration kLookEvery = 20ms;
// A client that has not connected by then is in trouble, and its lane looks twice a second.
constexpr Duration kLookOften = 5s;
constexpr Duration kAnotherAfter = 30s;
// With the first metadata comes the id, or none ever.
constexpr Duration kNamelessAfter = 10s;

std::string_view Consequence(Side side) {
  return side == Side::kSource ? "nothing is read from it" : "nothing is written to it";
}

}  // namespace

Status AnotherCluster(Side side, const std::string& endpoint, const std::string& seen,
                      const std::string& expected) {
  return {StatusCode::kFailedPrecondition, Reason::kSourceChanged,
          fmt::format("{}: cluster {} answers where cluster {} was before, and {}: correct the "
                      "endpoint's addresses, or make another endpoint for the new cluster",
                      endpoint, seen, expected, Consequence(side))};
}

ClusterIdentity::ClusterIdentity(Side side, const KafkaCluster& cluster)
    : side_(side),
      endpoint_(cluster.endpoint.name),
      expected_(cluster.expected_id),
      verdict_(expected_.empty() ? Verdict::kRight : Verdict::kUnknown) {
  if (!expected_.empty()) {
    wake_ = FileDescriptor(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  }
}

void ClusterIdentity::SetTimer(bool is_on) {
  if (!wake_.is_open() || is_timer_on_ == is_on) return;
  is_timer_on_ = is_on;
  const timespec every{.tv_sec = 0, .tv_nsec = is_on ? kLookEvery.count() : 0};
  const itimerspec setting{.it_interval = every, .it_value = every};
  timerfd_settime(wake_.get(), 0, &setting, nullptr);
}

void ClusterIdentity::Reset(BootTime now) {
  if (expected_.empty()) return;
  verdict_ = Verdict::kUnknown;
  since_ = now;
  SetTimer(true);
}

void ClusterIdentity::Look(const ClientHandle& client, std::optional<BootTime> answered_at,
                           BootTime now) {
  if (verdict_ == Verdict::kRight || verdict_ == Verdict::kOther || !client) return;
  char* const id = rd_kafka_clusterid(client.get(), 0);
  if (id == nullptr) {
    if (now - since_ >= kLookOften) SetTimer(false);
    const bool has_answered = answered_at && *answered_at > since_;
    if (has_answered && now - since_ >= kNamelessAfter) verdict_ = Verdict::kNameless;
    return;
  }
  seen_ = id;
  rd_kafka_mem_free(client.get(), id);
  SetTimer(false);
  verdict_ = seen_ == expected_ ? Verdict::kRight : Verdict::kOther;
  if (is_other()) {
    kLog.Error("another cluster answers",
               {{"endpoint", endpoint_}, {"cluster", seen_}, {"expected", expected_}});
  }
}

bool ClusterIdentity::IsWorthAnother(BootTime now) const {
  return is_other() && now - since_ >= kAnotherAfter;
}

std::optional<Condition> ClusterIdentity::Trouble() const {
  Status status;
  if (verdict_ == Verdict::kOther) {
    status = AnotherCluster(side_, endpoint_, seen_, expected_);
  } else if (verdict_ == Verdict::kNameless) {
    status = {StatusCode::kFailedPrecondition, Reason::kSourceChanged,
              fmt::format("{}: a cluster that does not say which one it is answers where cluster "
                          "{} was before, and {}: correct the endpoint's addresses, or make "
                          "another endpoint for the new cluster",
                          endpoint_, expected_, Consequence(side_))};
  } else {
    return std::nullopt;
  }
  return Condition{.side = side_,
                   .reason = status.reason(),
                   .text = status.message(),
                   .bridge = {},
                   .stream = std::nullopt,
                   .partition = std::nullopt,
                   .topic = {},
                   .age = std::nullopt,
                   .blocks = true};
}

}  // namespace drawbridge
