#include "server/control/relay_admission.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("server.control");

constexpr Duration kSilentHeartbeats = 10s;  // two of them missed
constexpr Duration kTwinShownFor = 60s;      // it comes back every 15 s at the latest
// A database that was rolled back lacks so many incarnations at most. A relay that claims more is
// broken: if it were believed, nothing would be left to count up to.
constexpr int64_t kIncarnationsAheadMax = 1000;

int64_t NewestIncarnation(const RelayHello& hello) {
  int64_t newest = hello.incarnation;
  for (const HeldPartition& held : hello.held) newest = std::max(newest, held.token.incarnation);
  return newest;
}

}  // namespace

Status RelayAdmission::Review(const RelayHello& hello, const DesiredState& stored,
                              const std::optional<Incumbent>& incumbent, BootTime now) {
  const auto enrolled = std::ranges::find(stored.relays, hello.relay, &StoredRelay::name);
  if (enrolled == stored.relays.end()) {
    return {StatusCode::kPermissionDenied, Reason::kNotFound,
            fmt::format("no relay called {} is enrolled here", hello.relay)};
  }
  if (enrolled->is_revoked) {
    return {StatusCode::kPermissionDenied, Reason::kRelayRevoked,
            "this relay's identity was revoked: enrol it under another name"};
  }
  if (const int64_t newest = NewestIncarnation(hello);
      newest - stored.incarnation > kIncarnationsAheadMax) {
    return {StatusCode::kInvalidArgument, Reason::kFieldInvalid,
            fmt::format("the relay claims incarnation {}, and the database has {}: the relay's "
                        "state is damaged or of another deployment; enrol it anew with an empty "
                        "state folder",
                        newest, stored.incarnation),
            "hello.incarnation"};
  }
  if (!incumbent || incumbent->boot_id == hello.boot_id ||
      incumbent->silent_for >= kSilentHeartbeats) {
    return {};
  }
  kLog.Error("two processes use one relay's identity", {{"relay_id", hello.relay}});
  Twin& twin = twins_.try_emplace(hello.relay, Twin{now, now}).first->second;
  if (now - twin.last_seen > kTwinShownFor) twin.first_seen = now;
  twin.last_seen = now;
  return {StatusCode::kAlreadyExists, Reason::kDuplicateIdentity,
          fmt::format("another process is connected as relay {}: stop one of the two, and give a "
                      "cloned machine an identity of its own",
                      hello.relay)};
}

std::optional<Duration> RelayAdmission::TwinAge(const RelayName& relay, BootTime now) const {
  const auto twin = twins_.find(relay);
  if (twin == twins_.end() || now - twin->second.last_seen > kTwinShownFor) return std::nullopt;
  return now - twin->second.first_seen;
}

HeldReview ReviewHeld(const RelayHello& hello, const DesiredState& stored) {
  std::map<PartitionKey, FencingToken> tokens;
  for (const StoredPartition& partition : stored.partitions) {
    tokens[partition.key] = partition.token;
  }
  HeldReview review{.is_rolled_back = hello.incarnation > stored.incarnation ||
                                      (hello.incarnation == stored.incarnation &&
                                       hello.revision > stored.revision),
                    .newest_incarnation = NewestIncarnation(hello),
                    .items = {}};
  for (const HeldPartition& held : hello.held) {
    const auto known = tokens.find(held.key);
    if (known == tokens.end()) continue;
    if (held.token > known->second) review.is_rolled_back = true;
    if (held.token != known->second) continue;
    review.items.push_back({.key = held.key,
                            .token = held.token,
                            .base = held.base,
                            .to = held.checkpoint,
                            .gaps = {},
                            .filtered = {},
                            .dead_letters = {}});
  }
  return review;
}

}  // namespace drawbridge
