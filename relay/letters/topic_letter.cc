#include "relay/letters/topic_letter.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <map>
#include <span>
#include <utility>

#include <fmt/format.h>

namespace drawbridge {
namespace {

constexpr std::string_view kCluster = "drawbridge-error-cluster";
constexpr std::string_view kSourceEpoch = "drawbridge-error-source-epoch";
constexpr std::string_view kTopic = "drawbridge-error-topic";
constexpr std::string_view kPartition = "drawbridge-error-partition";
constexpr std::string_view kOffset = "drawbridge-error-offset";
constexpr std::string_view kTimestamp = "drawbridge-error-timestamp-ms";
constexpr std::string_view kStatus = "drawbridge-error-status";
constexpr std::string_view kType = "drawbridge-error-type";
constexpr std::string_view kCausedBy = "drawbridge-error-caused-by";
constexpr std::string_view kReason = "drawbridge-error-reason";
constexpr std::string_view kGroup = "drawbridge-error-group";
constexpr std::string_view kIndex = "drawbridge-error-index";
constexpr std::string_view kAttempts = "drawbridge-error-attempts";
constexpr std::string_view kFirstSeen = "drawbridge-error-first-seen";
constexpr std::string_view kLastSeen = "drawbridge-error-last-seen";
constexpr std::string_view kTurn = "drawbridge-error-turn";

constexpr int kHexadecimal = 16;
constexpr size_t kHeaderBytesMax = 2000;

// What ToRfc3339 wrote.
std::optional<WallTime> TimeOf(const std::string& text) {
  std::tm fields{};
  const char* const rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S.", &fields);
  if (rest == nullptr) return std::nullopt;
  int64_t micros = 0;
  const char* const text_end = text.data() + text.size();
  const auto [end, error] = std::from_chars(rest, text_end, micros);
  if (error != std::errc() || std::string_view(end, text_end) != "Z") return std::nullopt;
  return FromMicros(int64_t{timegm(&fields)} * 1'000'000 + micros);
}

// Reads the headers that are ours, and remembers the first that is not as it should be.
class HeaderReader {
 public:
  explicit HeaderReader(std::span<const Header> headers) {
    for (const Header& header : headers) values_[header.name] = header.value.value_or("");
  }

  std::string Text(std::string_view name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::string() : std::string(found->second);
  }

  template <typename Number>
  Number Int(std::string_view name, int base = 10) {
    Number number{};
    const std::string text = Text(name);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (error != std::errc() || end != text.data() + text.size()) wrong_ = name;
    return number;
  }

  WallTime Time(std::string_view name) {
    const std::optional<WallTime> time = TimeOf(Text(name));
    if (!time) wrong_ = name;
    return time.value_or(WallTime{});
  }

  std::string_view wrong() const { return wrong_; }

 private:
  std::map<std::string_view, std::string_view> values_;
  std::string_view wrong_;
};

std::optional<std::string> Copy(const std::optional<std::string_view>& bytes) {
  return bytes ? std::optional<std::string>(*bytes) : std::nullopt;
}

}  // namespace

LetterHeaders::LetterHeaders(const Record& record, const Route& route, const Refusal& refusal,
                             const RefusedAt& at, std::string_view turn)
    : headers_(record.headers.begin(), record.headers.end()) {
  Add(kBridgeHeader, at.bridge);
  if (route.stamps_provenance) {
    ProvenanceStamp stamp(route.source_cluster, static_cast<uint16_t>(route.source_epoch),
                          route.partition, TopicKeyOf(route.source_topic));
    Add(kProvenanceHeader, std::string(stamp.For(record.offset, record.timestamp_ms < 0)));
  }
  Add(kCluster, fmt::format("{:016x}", route.source_cluster));
  Add(kSourceEpoch, std::to_string(route.source_epoch));
  Add(kTopic, route.source_topic);
  Add(kPartition, std::to_string(route.partition));
  Add(kOffset, std::to_string(record.offset.value));
  Add(kTimestamp, std::to_string(record.timestamp_ms));
  Add(kStatus, std::to_string(refusal.status));
  Add(kType, refusal.type);
  Add(kCausedBy, refusal.caused_by);
  Add(kReason, refusal.reason);
  Add(kGroup, refusal.group);
  Add(kIndex, at.index);
  Add(kAttempts, std::to_string(at.attempts));
  Add(kFirstSeen, ToRfc3339(at.first_seen));
  Add(kLastSeen, ToRfc3339(at.last_seen));
  if (!turn.empty()) Add(kTurn, std::string(turn));
}

void LetterHeaders::Add(std::string_view name, std::string value) {
  value.resize(std::min(value.size(), kHeaderBytesMax));  // an engine may quote the record
  values_.push_back(std::move(value));
  headers_.push_back({.name = name, .value = values_.back()});
}

StatusOr<std::variant<TopicLetter, SettledLetter>> ReadTopicLetter(const Record& record) {
  // A record that was a letter before has such headers of its own: the last are ours.
  const auto last = std::find_if(record.headers.rbegin(), record.headers.rend(),
                                 [](const Header& one) { return one.name == kBridgeHeader; });
  if (last == record.headers.rend()) {
    return Status(
        StatusCode::kDataLoss, Reason::kInternal,
        fmt::format("the record at offset {} is no dead letter of ours", record.offset.value));
  }
  const auto ours = std::prev(last.base());
  HeaderReader read({ours, record.headers.end()});
  const std::string bridge = read.Text(kBridgeHeader);
  if (std::string settled = read.Text(kSettledHeader); !settled.empty()) {
    return std::variant<TopicLetter, SettledLetter>(
        SettledLetter{.bridge = bridge, .id = std::move(settled)});
  }
  TopicLetter told{.bridge = bridge, .turn = read.Text(kTurn), .letter = {}};
  KeptRecord& kept = told.letter.kept;
  kept.route.source_cluster = read.Int<uint64_t>(kCluster, kHexadecimal);
  kept.route.source_epoch = read.Int<int>(kSourceEpoch);
  kept.route.source_topic = read.Text(kTopic);
  kept.route.partition = read.Int<PartitionNumber>(kPartition);
  kept.offset = {read.Int<int64_t>(kOffset)};
  kept.timestamp_ms = read.Int<int64_t>(kTimestamp);
  kept.key = Copy(record.key);
  kept.value = Copy(record.value);
  for (auto header = record.headers.begin(); header != ours; ++header) {
    kept.headers.emplace_back(header->name, Copy(header->value));
  }
  kept.refusal = {.status = read.Int<int>(kStatus),
                  .type = read.Text(kType),
                  .caused_by = read.Text(kCausedBy),
                  .reason = read.Text(kReason),
                  .group = read.Text(kGroup)};
  kept.index = read.Text(kIndex);
  kept.attempts = read.Int<int>(kAttempts);
  told.letter.first_refused = read.Time(kFirstSeen);
  told.letter.last_refused = read.Time(kLastSeen);
  told.letter.id = DeadLetterId(bridge, kept.route, kept.offset);
  if (!read.wrong().empty()) {
    return Status(StatusCode::kDataLoss, Reason::kInternal,
                  fmt::format("the record at offset {} is no dead letter of ours: {} is missing, "
                              "or not as it should be",
                              record.offset.value, read.wrong()));
  }
  return std::variant<TopicLetter, SettledLetter>(std::move(told));
}

}  // namespace drawbridge
