#include "tests/server/store/protocol_model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <compare>

#include <fmt/format.h>

namespace drawbridge {
namespace {

constexpr uint8_t kRecords = 3;
constexpr size_t kMessagesMax = 3;
constexpr uint8_t kHandoversMax = 2;
constexpr uint8_t kRewindsMax = 2;

struct Token {
  uint8_t incarnation = 0;
  uint8_t epoch = 0;

  friend auto operator<=>(const Token&, const Token&) = default;
};

struct RelayState {
  Token token;  // none: it is not running
  uint8_t base = 0;
  uint8_t read = 0;
  uint8_t confirmed = 0;

  bool is_running() const { return token != Token{}; }
  [[maybe_unused]] friend auto operator<=>(const RelayState&, const RelayState&) = default;
};

// A commit on its way. Once sent it may arrive at any time and any number of times.
struct Message {
  Token token;  // none: a free place
  uint8_t sender = 0;
  uint8_t base = 0;
  uint8_t next = 0;

  friend auto operator<=>(const Message&, const Message&) = default;
};

// Offsets as bits.
using Offsets = uint8_t;

struct Backup {
  uint8_t epoch = 0;  // none: it was not taken
  uint8_t owner = 0;
  uint8_t next = 0;
  Offsets since = 0;

  [[maybe_unused]] friend auto operator<=>(const Backup&, const Backup&) = default;
};

struct State {
  Token token{1, 1};
  uint8_t owner = 0;
  uint8_t next = 0;
  std::array<RelayState, 2> relays;
  std::array<Message, kMessagesMax> network;  // rising
  Backup backup;
  Offsets since = 0;  // delivered since the last change of position
  uint8_t handovers = 0;
  uint8_t rewinds = 0;
  uint8_t restores = 0;
  std::array<uint8_t, 3> unused{};  // fills the last word
};
using Words = std::array<uint64_t, 5>;

Words ToWords(const State& state) { return std::bit_cast<Words>(state); }
bool operator==(const State& a, const State& b) { return ToWords(a) == ToWords(b); }

// Every state one step further, with a sentence for the step where one is asked for.
class Steps {
 public:
  struct Step {
    State state;
    std::string sentence;
  };

  Steps(const Protocol& protocol, bool tells) : protocol_(protocol), tells_(tells) {}

  const std::vector<Step>& From(const State& state) {
    steps_.clear();
    for (uint8_t relay = 0; relay < state.relays.size(); ++relay) Relay(state, relay);
    for (const Message& message : state.network) {
      if (message.token != Token{}) Receive(state, message);
    }
    Server(state);
    return steps_;
  }

 private:
  template <typename... Args>
  void Add(const State& state, fmt::format_string<Args...> text, Args&&... args) {
    steps_.push_back(
        {state, tells_ ? fmt::format(text, std::forward<Args>(args)...) : std::string()});
  }

  void Relay(const State& state, uint8_t number) {
    const RelayState& relay = state.relays[number];
    if (protocol_.relays_pose_as_owner && number != state.owner) {
      Send(state, {state.token, number, 0, kRecords}, "poses as the owner");
    }
    if (!relay.is_running()) return;
    if (protocol_.reads_ahead && relay.read < kRecords) {
      State after = state;
      ++after.relays[number].read;
      Add(after, "relay {} reads {}", number, relay.read);
    }
    if (relay.confirmed < (protocol_.reads_ahead ? relay.read : kRecords)) {
      State after = state;
      RelayState& delivering = after.relays[number];
      const auto bit = static_cast<Offsets>(1 << delivering.confirmed++);
      delivering.read = std::max(delivering.read, delivering.confirmed);
      after.since |= bit;
      if (after.backup.epoch != 0) after.backup.since |= bit;
      Add(after, "relay {} delivers {}", number, relay.confirmed);
    }
    const uint8_t next = protocol_.commits_only_confirmed ? relay.confirmed : relay.read;
    if (next > relay.base) Send(state, {relay.token, number, relay.base, next}, "sends");
    State after = state;
    after.relays[number] = {};
    Add(after, "relay {} dies", number);
  }

  void Send(const State& state, Message message, std::string_view how) {
    if (!protocol_.commit.checks_base) message.base = 0;
    if (std::ranges::find(state.network, message) != state.network.end()) return;
    if (state.network.front().token != Token{}) return;
    State after = state;
    after.network.front() = message;
    std::ranges::sort(after.network);
    Add(after, "relay {} {}: {}.{} to {}", message.sender, how, message.token.incarnation,
        message.token.epoch, message.next);
  }

  void Receive(const State& state, const Message& message) {
    const auto token = [](Token small) {
      return FencingToken{.incarnation = small.incarnation, .epoch = small.epoch};
    };
    const CommitOutcome outcome =
        Judge({.token = token(state.token), .owner = state.owner, .next = {state.next}},
              {.token = token(message.token),
               .sender = message.sender,
               .base = {message.base},
               .next = {message.next}},
              protocol_.commit);
    if (outcome != CommitOutcome::kStored) return;
    State after = state;
    after.next = message.next;
    Add(after, "the server stores {}.{} to {} of relay {}", message.token.incarnation,
        message.token.epoch, message.next, message.sender);
  }

  void Server(const State& state) {
    if (state.handovers < kHandoversMax) {
      State after = state;
      ++after.handovers;
      ++after.token.epoch;
      after.owner = static_cast<uint8_t>(1 - state.owner);
      Add(after, "the partition goes to relay {}", after.owner);
    }
    if (state.rewinds < kRewindsMax) {
      State after = state;
      ++after.rewinds;
      if (protocol_.rewind_raises_epoch) ++after.token.epoch;
      after.next = 0;
      after.since = 0;
      Add(after, "rewind to 0");
    }
    if (state.relays[state.owner].token != state.token) {
      Push(state, state.next);
      if (protocol_.relays_begin_too_far && state.next < kRecords) {
        Push(state, static_cast<uint8_t>(state.next + 1));
      }
    }
    if (state.backup.epoch == 0 && state.restores == 0) {
      State after = state;
      after.backup = {state.token.epoch, state.owner, state.next, state.since};
      Add(after, "backup");
    }
    if (state.backup.epoch != 0) {
      State after = state;
      ++after.restores;
      if (protocol_.restore_raises_incarnation) ++after.token.incarnation;
      after.token.epoch = state.backup.epoch;
      after.owner = state.backup.owner;
      after.next = state.backup.next;
      after.since = state.backup.since;
      after.backup = {};
      Add(after, "restore");
    }
  }

  void Push(const State& state, uint8_t start) {
    State after = state;
    after.relays[state.owner] = {state.token, start, start, start};
    Add(after, "relay {} begins at {} with {}.{}", state.owner, start, state.token.incarnation,
        state.token.epoch);
  }

  const Protocol& protocol_;
  const bool tells_;
  std::vector<Step> steps_;
};

bool IsBroken(Promise promise, const State& before, const State& after) {
  if (promise == Promise::kNothingUnconfirmedIsPassed) {
    return (((1 << after.next) - 1) & ~after.since) != 0;
  }
  return after.next < before.next && after.rewinds == before.rewinds &&
         after.restores == before.restores;
}

// States in the order in which they were found, each once and with the one that it was found from.
class Visited {
 public:
  struct Entry {
    State state;
    uint32_t from;
  };

  Visited() : slots_(size_t{1} << 16, kFree) {}

  const Entry& operator[](size_t number) const { return entries_[number]; }
  size_t size() const { return entries_.size(); }

  void Add(const State& state, size_t from) {
    if (entries_.size() * 2 > slots_.size()) Grow();
    uint32_t& slot = SlotOf(state);
    if (slot != kFree) return;
    slot = static_cast<uint32_t>(entries_.size());
    entries_.push_back({state, static_cast<uint32_t>(from)});
  }

 private:
  static constexpr uint32_t kFree = UINT32_MAX;

  static size_t Hash(const State& state) {
    uint64_t hash = 0;
    for (const uint64_t word : ToWords(state)) hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    return hash ^ (hash >> 32);
  }

  uint32_t& SlotOf(const State& state) {
    size_t slot = Hash(state) & (slots_.size() - 1);
    while (slots_[slot] != kFree && !(entries_[slots_[slot]].state == state)) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    return slots_[slot];
  }

  void Grow() {
    slots_.assign(slots_.size() * 4, kFree);
    for (uint32_t number = 0; number < entries_.size(); ++number) {
      SlotOf(entries_[number].state) = number;
    }
  }

  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;  // an open hash table of entries
};

std::vector<std::string> Retrace(const Protocol& protocol, const Visited& visited, const State& end,
                                 size_t from) {
  std::vector<std::string> sentences;
  Steps steps(protocol, true);
  State next = end;
  while (true) {
    for (const Steps::Step& step : steps.From(visited[from].state)) {
      if (!(step.state == next)) continue;
      sentences.push_back(step.sentence);
      break;
    }
    if (from == 0) break;
    next = visited[from].state;
    from = visited[from].from;
  }
  std::ranges::reverse(sentences);
  return sentences;
}

}  // namespace

SearchResult Search(const Protocol& protocol, Promise promise, int depth) {
  State start;
  start.relays[0].token = start.token;
  Visited visited;
  visited.Add(start, 0);
  Steps steps(protocol, false);
  size_t level_begins = 0;
  for (int level = 1; level <= depth; ++level) {
    const size_t level_ends = visited.size();
    for (size_t from = level_begins; from < level_ends; ++from) {
      const State before = visited[from].state;
      for (const Steps::Step& step : steps.From(before)) {
        if (IsBroken(promise, before, step.state)) {
          return {.is_kept = false,
                  .states = visited.size(),
                  .counter_example = Retrace(protocol, visited, step.state, from)};
        }
        // Nothing is looked up among those of the last level.
        if (level < depth) visited.Add(step.state, from);
      }
    }
    level_begins = level_ends;
  }
  return {.is_kept = true, .states = visited.size(), .counter_example = {}};
}

}  // namespace drawbridge
