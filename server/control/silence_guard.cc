#include "server/control/silence_guard.h"

#include <algorithm>

namespace drawbridge {
namespace {

constexpr size_t kSilentLeast = 3;  // fewer may well die together

}  // namespace

bool SilenceGuard::See(const std::vector<RelayPresence>& relays, BootTime now) {
  std::set<RelayName> enrolled;
  std::set<RelayName> newly_silent;
  size_t counted = 0;
  for (const RelayPresence& relay : relays) {
    enrolled.insert(relay.relay);
    if (!relay.is_silent) silent_since_.erase(relay.relay);
    const bool is_newly_silent =
        relay.is_silent && now - silent_since_.try_emplace(relay.relay, now).first->second < span_;
    // One that died long ago and has nothing any more says nothing about today.
    const bool is_there = relay.was_connected && (!relay.is_silent || is_newly_silent);
    if (!relay.is_owner && !is_there) continue;
    ++counted;
    if (is_newly_silent) newly_silent.insert(relay.relay);
  }
  const auto is_gone = [&](const RelayName& relay) { return !enrolled.contains(relay); };
  std::erase_if(silent_since_, [&](const auto& silent) { return is_gone(silent.first); });

  const bool was_suspect = is_suspect();
  if (was_suspect) {
    std::erase_if(suspects_, is_gone);
    suspects_.merge(newly_silent);
    const auto silent = std::ranges::count_if(
        suspects_, [&](const RelayName& relay) { return silent_since_.contains(relay); });
    if (static_cast<size_t>(silent) * 2 <= suspects_.size()) suspects_.clear();
  } else if (newly_silent.size() >= kSilentLeast && newly_silent.size() * 2 > counted) {
    suspects_ = std::move(newly_silent);
  }
  return is_suspect() != was_suspect;
}

}  // namespace drawbridge
