#include "relay/letters/topic_letter_store.h"

#include <algorithm>
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
  while (!is_done) {
    events.clear();
    source_->Serve(events);
    source_->Poll(kPollBytes, events);
    for (SourceEvent& event : events) {
      if (is_done || std::visit([](const auto& one) { return one.fetch; }, event) != fetch_) {
        continue;
      }
      if (const auto* const batch = std::get_if<Batch>(&event)) {
        for (const Record& record : batch->records) {
          if (!to || record.offset < *to) see(record);
        }
        is_done = to && batch->read_to >= *to;
      } else if (std::holds_alternative<EndOfPartition>(event)) {
        is_done = true;
      } else if (const auto* const outside = std::get_if<OutOfRange>(&event)) {
        // The beginning is no longer at 0; or the topic is another one, and has less.
        if (!outside->log_start || *outside->log_start <= outside->asked) {
          is_done = true;
        } else if (Status assigned = assign(*outside->log_start); !assigned.ok()) {
          return assigned;
        }
      } else {
        fault = std::get<SourceFault>(event).status;
      }
    }
    if (is_done || !events.empty()) continue;
    if (clock_.Now() >= deadline) {
      source_->Unassign(kSlot);
      return fault.ok() ? Late("could not be read", source_->Trouble()) : fault;
    }
    Wait(source_->descriptors(), deadline);
  }
  source_->Unassign(kSlot);
  return {};
}

void TopicLetterStore::Forget(const std::string& id) {
  const auto found = offsets_.find(id);
  if (found == offsets_.end()) {
    left_out_ = std::max<int64_t>(0, left_out_ - 1);
    return;
  }
  known_.erase(found->second);
  offsets_.erase(found);
}

void TopicLetterStore::Note(const Record& record, LetterOrder order) {
  const auto read = ReadTopicLetter(record);
  if (!read.ok()) return;  // others may write there as well
  if (const auto* const settled = std::get_if<SettledLetter>(&*read)) {
    if (settled->bridge == bridge_) Forget(settled->id);
    return;
  }
  const auto& told = std::get<TopicLetter>(*read);
  if (told.bridge != bridge_) return;
  const Letter& letter = told.letter;
  if (offsets_.contains(letter.id)) Forget(letter.id);
  if (known_.size() >= known_most_) {
    ++left_out_;
    if (order == LetterOrder::kRefusedFirst) return;
    offsets_.erase(known_.begin()->second.id);
    known_.erase(known_.begin());
  }
  offsets_[letter.id] = record.offset;
  known_[record.offset] = {.id = letter.id,
                           .bytes = static_cast<int64_t>(record.bytes()),
                           .topic = Shared(letter.kept.route.source_topic),
                           .error = Shared(letter.kept.refusal.group),
                           .turn = Shared(told.turn)};
}

Status TopicLetterStore::Learn(LetterOrder order, BootTime deadline) {
  known_.clear();
  offsets_.clear();
  left_out_ = 0;
  const Status scanned =
      Scan({0}, std::nullopt, deadline, [&](const Record& record) { Note(record, order); });
  has_learned_ = scanned.ok();
  return scanned;
}

StatusOr<FoundLetters> TopicLetterStore::Find(const DeadLetterSelection& selection,
                                              const std::string& turn, LetterOrder order, int limit,
                                              BootTime deadline) {
  if (!has_learned_) {
    if (Status learned = Learn(order, deadline); !learned.ok()) return learned;
  }
  FoundLetters found;
  std::vector<Offset> chosen;
  int64_t bytes = 0;
  bool is_full = false;
  const auto consider = [&](Offset at, const Known& known) {
    const bool is_selected = (selection.topic.empty() || *known.topic == selection.topic) &&
                             (selection.error.empty() || *known.error == selection.error) &&
                             (turn.empty() || *known.turn != turn);
    if (!is_selected) return;
    ++found.total;
    bytes += known.bytes + 1;
    is_full = is_full || std::ssize(chosen) >= limit || (!chosen.empty() && bytes > kBytesMost);
    if (!is_full) chosen.push_back(at);
  };
  if (order == LetterOrder::kRefusedFirst) {
    for (const auto& [at, known] : known_) consider(at, known);
  } else {
    for (auto one = known_.rbegin(); one != known_.rend(); ++one) consider(one->first, one->second);
  }
  found.total += left_out_;
  if (chosen.empty()) return found;
  std::map<Offset, Letter> letters;
  const auto [first, last] = std::ranges::minmax(chosen);
  const std::set<Offset> wanted(chosen.begin(), chosen.end());
  const Status scanned = Scan(first, Next(last), deadline, [&](const Record& record) {
    if (!wanted.contains(record.offset)) return;
    auto read = ReadTopicLetter(record);
    if (!read.ok()) return;
    if (auto* const told = std::get_if<TopicLetter>(&*read)) {
      letters[record.offset] = std::move(told->letter);
    }
  });
  if (!scanned.ok()) return scanned;
  for (const Offset at : chosen) {
    const auto letter = letters.find(at);
    if (letter == letters.end()) {
      // Retention has taken it since.
      const std::string id = known_.at(at).id;
      Forget(id);
      --found.total;
      continue;
    }
    found.letters.push_back(std::move(letter->second));
  }
  return found;
}

// --- Writing ------------------------------------------------------------------------------------

FiledLetters TopicLetterStore::File(const LetterOutcomes& outcomes, const std::string& turn,
                                    BootTime deadline) {
  FiledLetters filed;
  filed.status = sink_->Open(kSlot, {});
  if (!filed.status.ok()) return filed;
  ++window_;
  const WallTime now = clock_.WallNow();
  const size_t count = outcomes.taken.size() + outcomes.refused.size();
  size_t sent = 0;
  size_t answered = 0;
  // Those that were taken first, by their place; it is the number that a note is written under.
  const auto write = [&](size_t place) {
    const auto number = static_cast<int64_t>(place);
    const TopicLetterSink::Item item{
        .slot = kSlot, .window = window_, .covered = {{number}, {number + 1}}};
    if (place < outcomes.taken.size()) {
      return sink_->Settle(item, bridge_, outcomes.taken[place].id, now);
    }
    const Letter& letter = outcomes.refused[place - outcomes.taken.size()];
    auto* const kept = new KeptRecord(letter.kept);
    Record record;
    record.offset = kept->offset;
    record.timestamp_ms = kept->timestamp_ms;
    record.key = kept->key;
    record.value = kept->value;
    record.header_storage = std::make_unique<Header[]>(kept->headers.size());
    for (size_t i = 0; i < kept->headers.size(); ++i) {
      record.header_storage[i] = {.name = kept->headers[i].first, .value = kept->headers[i].second};
    }
    record.headers = {record.header_storage.get(), kept->headers.size()};
    record.owner = RecordOwner(kept, [](void* one) { delete static_cast<KeptRecord*>(one); });
    return sink_->Submit(item, record, kept->route, kept->refusal,
                         {.bridge = bridge_,
                          .index = kept->index,
                          .attempts = kept->attempts,
                          .first_seen = letter.first_refused,
                          .last_seen = now},
                         turn);
  };
  const auto take = [&](const Confirmation& one) {
    if (one.window != window_) return;
    const int64_t end = one.failure ? one.failed_end.value : one.range.end.value;
    for (int64_t number = one.range.first.value; number < end; ++number) {
      ++answered;
      const auto place = static_cast<size_t>(number);
      if (one.failure) {
        filed.status = one.status;
      } else if (place < outcomes.taken.size()) {
        filed.taken.push_back(place);
        Forget(outcomes.taken[place].id);
      } else {
        ++filed.refused;
        const std::string& id = outcomes.refused[place - outcomes.taken.size()].id;
        // Where it is now nobody has told; in this turn it is not wanted again.
        if (const auto at = offsets_.find(id); at != offsets_.end()) {
          known_.at(at->second).turn = Shared(turn);
        }
      }
    }
  };
  std::vector<Confirmation> confirmations;
  while (answered < count) {
    while (sent < count && write(sent)) ++sent;
    confirmations.clear();
    sink_->Poll(confirmations);
    std::ranges::for_each(confirmations, take);
    if (answered >= count || !confirmations.empty()) continue;
    if (clock_.Now() >= deadline) {
      filed.status = Late("did not take what became of its letters", sink_->Trouble());
      return filed;
    }
    Wait(sink_->descriptors(), deadline);
  }
  return filed;
}

}  // namespace drawbridge
