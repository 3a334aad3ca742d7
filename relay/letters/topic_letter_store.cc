#include "relay/letters/topic_letter_store.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <poll.h>

#include "relay/letters/topic_letter.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr Slot kSlot = 0;
constexpr size_t kPollBytes = size_t{4} << 20;
constexpr Duration kTurn = 50ms;
constexpr char kTurnStart = '@';

// A turn is "NAME@OFFSET": what is before the offset is done with in this turn.
std::string NameOf(const std::string& turn) { return turn.substr(0, turn.find(kTurnStart)); }

Offset StartOf(const std::string& turn) {
  const size_t at = turn.find(kTurnStart);
  int64_t start = 0;
  if (at != std::string::npos) {
    std::from_chars(turn.data() + at + 1, turn.data() + turn.size(), start);
  }
  return {std::max<int64_t>(0, start)};
}

// Its records before `to`.
void Show(const Batch& batch, std::optional<Offset> to,
          const std::function<void(const Record&)>& see) {
  for (const Record& record : batch.records) {
    if (!to || record.offset < *to) see(record);
  }
}

}  // namespace

TopicLetterStore::TopicLetterStore(std::unique_ptr<Source> source,
                                   std::unique_ptr<TopicLetterSink> sink, std::string bridge,
                                   const Clock& clock, size_t known_most)
    : source_(std::move(source)),
      sink_(std::move(sink)),
      bridge_(std::move(bridge)),
      clock_(clock),
      known_most_(known_most) {}

void TopicLetterStore::Wait(const std::vector<int>& descriptors, BootTime deadline) const {
  std::vector<pollfd> polled;
  polled.reserve(descriptors.size());
  for (const int descriptor : descriptors) {
    polled.push_back({.fd = descriptor, .events = POLLIN, .revents = 0});
  }
  const Duration left = std::clamp<Duration>(deadline - clock_.Now(), Duration::zero(), kTurn);
  poll(polled.data(), polled.size(),
       static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
}

Status TopicLetterStore::Late(std::string_view what,
                              const std::optional<Condition>& trouble) const {
  return {StatusCode::kUnavailable, trouble ? trouble->reason : Reason::kUnreachable,
          fmt::format("the topic {} of dead letters {} in time{}{}", sink_->topic(), what,
                      trouble ? ": " : "", trouble ? trouble->text : "")};
}

// --- Reading ------------------------------------------------------------------------------------

// Shows the records from `from` to `to`, or to the end.
Status TopicLetterStore::Scan(Offset from, std::optional<Offset> to, BootTime deadline,
                              const std::function<void(const Record&)>& see) {
  Route route;
  route.source_topic = sink_->topic();
  const auto assign = [&](Offset at) { return source_->Assign(kSlot, route, at, ++fetch_); };
  if (Status assigned = assign(from); !assigned.ok()) return assigned;
  Status fault;
  std::vector<SourceEvent> events;
  bool is_done = false;
  bool is_lost = false;  // where the topic begins has not been told
  while (!is_done) {
    events.clear();
    source_->Serve(events);
    source_->Poll(kPollBytes, events);
    for (SourceEvent& event : events) {
      if (is_done || std::visit([](const auto& one) { return one.fetch; }, event) != fetch_) {
        continue;
      }
      if (const auto* const batch = std::get_if<Batch>(&event)) {
        Show(*batch, to, see);
        is_done = to && batch->read_to >= *to;
      } else if (std::holds_alternative<EndOfPartition>(event)) {
        is_done = true;
      } else if (const auto* const outside = std::get_if<OutOfRange>(&event)) {
        is_lost = !outside->log_start;
        if (is_lost) continue;
        // It begins later; or it is another topic, that has less.
        is_done = *outside->log_start <= outside->asked;
        if (is_done) continue;
        if (Status assigned = assign(*outside->log_start); !assigned.ok()) return assigned;
      } else {
        fault = std::get<SourceFault>(event).status;
      }
    }
    if (is_done) break;
    if (clock_.Now() >= deadline) {
      source_->Unassign(kSlot);
      return fault.ok() ? Late("could not be read", source_->Trouble()) : fault;
    }
    if (events.empty() || is_lost) Wait(source_->descriptors(), deadline);
    if (std::exchange(is_lost, false)) {
      if (Status assigned = assign(from); !assigned.ok()) return assigned;
    }
  }
  source_->Unassign(kSlot);
  return {};
}

void TopicLetterStore::Forget(const std::string& id) {
  const auto found = offsets_.find(id);
  if (found == offsets_.end()) return;
  known_.erase(found->second);
  offsets_.erase(found);
}

void TopicLetterStore::Note(const Record& record, const Wanted& wanted) {
  const auto read = ReadTopicLetter(record);
  if (!read.ok()) return;  // others may write there as well
  if (const auto* const settled = std::get_if<SettledLetter>(&*read)) {
    if (settled->bridge == bridge_) Forget(settled->id);
    return;
  }
  const auto& told = std::get<TopicLetter>(*read);
  if (told.bridge != bridge_) return;
  const Letter& letter = told.letter;
  Forget(letter.id);  // it is further back from now on
  const bool is_wanted =
      (wanted.selection.topic.empty() ||
       letter.kept.route.source_topic == wanted.selection.topic) &&
      (wanted.selection.error.empty() || letter.kept.refusal.group == wanted.selection.error) &&
      (wanted.turn.empty() || told.turn != wanted.turn);
  if (!is_wanted) return;
  if (known_.size() >= known_most_) {
    if (!left_out_from_) left_out_from_ = record.offset;
    ++left_out_;
    if (wanted.order == LetterOrder::kRefusedFirst) return;
    offsets_.erase(known_.begin()->second.id);
    known_.erase(known_.begin());
  }
  offsets_[letter.id] = record.offset;
  known_[record.offset] = {.id = letter.id, .bytes = static_cast<int64_t>(record.bytes())};
}

// Those that were left out are learned when those before them are done with.
Status TopicLetterStore::Learn(Offset from, const Wanted& wanted, BootTime deadline) {
  known_.clear();
  offsets_.clear();
  do {
    left_out_ = 0;
    left_out_from_.reset();
    Status scanned =
        Scan(from, std::nullopt, deadline, [&](const Record& record) { Note(record, wanted); });
    if (!scanned.ok()) return scanned;
    from = left_out_from_.value_or(from);
  } while (known_.empty() && left_out_from_);
  has_learned_ = true;
  return {};
}

StatusOr<FoundLetters> TopicLetterStore::Find(const DeadLetterSelection& selection,
                                              const std::string& turn, LetterOrder order, int limit,
                                              BootTime deadline) {
  const Wanted wanted{.selection = selection, .turn = NameOf(turn), .order = order};
  if (!has_learned_ || (known_.empty() && left_out_from_)) {
    const Offset from = has_learned_ ? *left_out_from_ : StartOf(turn);
    if (Status learned = Learn(from, wanted, deadline); !learned.ok()) return learned;
  }
  FoundLetters found;
  found.total = std::ssize(known_) + left_out_;
  std::vector<Offset> chosen;
  int64_t bytes = 0;
  const auto choose = [&](Offset at, const Known& known) {
    bytes += known.bytes + 1;
    const bool is_full = std::ssize(chosen) >= limit || (!chosen.empty() && bytes > kBytesMost);
    if (!is_full) chosen.push_back(at);
    return !is_full;
  };
  if (order == LetterOrder::kRefusedFirst) {
    for (auto one = known_.begin(); one != known_.end() && choose(one->first, one->second);) ++one;
  } else {
    for (auto one = known_.rbegin(); one != known_.rend() && choose(one->first, one->second);) {
      ++one;
    }
  }
  if (chosen.empty()) return found;
  std::map<Offset, Letter> letters;
  const auto [first, last] = std::ranges::minmax(chosen);
  const std::set<Offset> sought(chosen.begin(), chosen.end());
  const Status scanned = Scan(first, Next(last), deadline, [&](const Record& record) {
    if (!sought.contains(record.offset)) return;
    auto read = ReadTopicLetter(record);
    if (!read.ok()) return;
    if (auto* const told = std::get_if<TopicLetter>(&*read)) {
      letters[record.offset] = std::move(told->letter);
    }
  });
  if (!scanned.ok()) return scanned;
  for (const Offset at : chosen) {
    const auto letter = letters.find(at);
    if (letter != letters.end()) {
      found.letters.push_back(std::move(letter->second));
      continue;
    }
    // Retention has taken it since.
    const std::string id = known_.at(at).id;
    Forget(id);
    --found.total;
  }
  return found;
}

std::string TopicLetterStore::Continue(const std::string& turn) const {
  std::optional<Offset> from = left_out_from_;
  if (!known_.empty()) from = known_.begin()->first;
  return from ? fmt::format("{}@{}", NameOf(turn), from->value) : turn;
}

// --- Writing ------------------------------------------------------------------------------------

std::optional<uint64_t> TopicLetterStore::Submit(const Letter& letter, WallTime now,
                                                 std::string_view turn) {
  auto kept = std::make_unique<KeptRecord>(letter.kept);
  const KeptRecord& it = *kept;
  Record record;
  record.offset = it.offset;
  record.timestamp_ms = it.timestamp_ms;
  record.key = it.key;
  record.value = it.value;
  record.header_storage = std::make_unique<Header[]>(it.headers.size());
  for (size_t i = 0; i < it.headers.size(); ++i) {
    record.header_storage[i] = {.name = it.headers[i].first, .value = it.headers[i].second};
  }
  record.headers = {record.header_storage.get(), it.headers.size()};
  record.owner = OwnerOf(std::move(kept));
  return sink_->Submit(record, it.route, it.refusal,
                       {.bridge = bridge_,
                        .index = it.index,
                        .attempts = it.attempts,
                        .first_seen = letter.first_refused,
                        .last_seen = now},
                       turn);
}

FiledLetters TopicLetterStore::File(const LetterOutcomes& outcomes, const std::string& turn,
                                    BootTime deadline) {
  FiledLetters filed;
  const WallTime now = clock_.WallNow();
  const size_t count = outcomes.taken.size() + outcomes.refused.size();
  size_t sent = 0;
  std::map<uint64_t, size_t> waiting;  // the place of what was written, those that were taken first
  const auto write = [&](size_t place) {
    const std::optional<uint64_t> number =
        place < outcomes.taken.size()
            ? sink_->Settle(bridge_, outcomes.taken[place].id, now)
            : Submit(outcomes.refused[place - outcomes.taken.size()], now, NameOf(turn));
    if (number) waiting[*number] = place;
    return number.has_value();
  };
  std::vector<TopicLetterSink::Result> results;
  while (sent < count || !waiting.empty()) {
    while (sent < count && write(sent)) ++sent;
    results.clear();
    sink_->Poll(results);
    for (const TopicLetterSink::Result& result : results) {
      const auto known = waiting.extract(result.number);
      if (known.empty()) continue;  // of a call before
      const size_t place = known.mapped();
      if (result.failure) {
        filed.status = result.status;
        continue;
      }
      const bool is_taken = place < outcomes.taken.size();
      // One that was refused again is further back from now on, and not wanted in this turn.
      Forget(is_taken ? outcomes.taken[place].id
                      : outcomes.refused[place - outcomes.taken.size()].id);
      if (is_taken) {
        filed.taken.push_back(place);
      } else {
        ++filed.refused;
      }
    }
    if (!results.empty()) continue;
    if (clock_.Now() >= deadline) {
      filed.status = Late("did not take what became of its letters", sink_->Trouble());
      return filed;
    }
    Wait(sink_->descriptors(), deadline);
  }
  return filed;
}

}  // namespace drawbridge
