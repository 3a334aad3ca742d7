#include "relay/pipeline/partition_progress.h"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

namespace drawbridge {
namespace {

constexpr size_t kFilteredMax = 64;  // in a commit, however long the server is away
constexpr size_t kDeadMax = 256;
constexpr size_t kErrorsMax = 32;  // of one commit that are told apart

}  // namespace

PartitionProgress::PartitionProgress(CommitItem last)
    : key_(last.key),
      token_(last.token),
      base_(last.base),
      tracker_(last.to.next),
      anchor_(last.to.anchor),
      gaps_(std::move(last.gaps)),
      filtered_passed_(std::move(last.filtered)),
      dead_passed_(std::move(last.dead_letters)) {}

Status PartitionProgress::Begin(const Batch& batch) {
  if (batch.from > tracker_.read_to()) {
    return {StatusCode::kInternal, Reason::kInternal,
            fmt::format("the source left out {} to {}", tracker_.read_to(), batch.from)};
  }
  if (!batch.records.empty()) {
    const OffsetRange range{std::max(batch.from, tracker_.read_to()),
                            Next(batch.records.back().offset)};
    if (Status begun = tracker_.Begin(range); !begun.ok()) return begun;
    marks_.push_back({.range = range,
                      .first_timestamp_ms = batch.records.front().timestamp_ms,
                      .last = AnchorOf(batch.records.back())});
  }
  tracker_.ReadUpTo(batch.read_to);
  return {};
}

void PartitionProgress::Confirm(OffsetRange range) {
  tracker_.Confirm(range);
  DropMarks();
}

void PartitionProgress::DropMarks() {
  const Offset checkpoint = tracker_.checkpoint();
  while (!marks_.empty() && marks_.front().range.end <= checkpoint) {
    if (marks_.front().last) anchor_ = marks_.front().last;
    marks_.pop_front();
  }
}

void PartitionProgress::PassGap(Offset log_start) {
  const OffsetRange lost{tracker_.read_to(), log_start};
  if (lost.empty()) return;
  gaps_.push_back({.range = lost, .cause = GapCause::kRetention});
  tracker_.ReadUpTo(log_start);
}

void PartitionProgress::PassFiltered(FilteredRange run) { filtered_runs_.push_back(run); }

void PartitionProgress::PassDeadLetter(Offset offset, std::string error) {
  if (offset < tracker_.checkpoint()) return;  // it is counted already
  dead_.insert_or_assign(offset, std::move(error));
}

void PartitionProgress::ForgetFrom(Offset offset) {
  offset = std::max(offset, tracker_.checkpoint());
  tracker_.ForgetFrom(offset);
  while (!marks_.empty() && marks_.back().range.first >= offset) marks_.pop_back();
  if (!marks_.empty() && marks_.back().range.end > offset) {
    marks_.back().range.end = offset;
    marks_.back().last.reset();
    DropMarks();
  }
  // What was passed from there on will be passed again.
  std::erase_if(gaps_, [&](const Gap& gap) { return gap.range.first >= offset; });
  std::erase_if(filtered_runs_,
                [&](const FilteredRange& run) { return run.range.first >= offset; });
  dead_.erase(dead_.lower_bound(offset), dead_.end());
}

void PartitionProgress::Stored(Offset next) {
  std::erase_if(gaps_, [&](const Gap& gap) { return gap.range.end <= next; });
  std::erase_if(filtered_passed_,
                [&](const FilteredRange& passed) { return passed.range.end <= next; });
  std::erase_if(dead_passed_, [&](const DeadLetters& passed) { return passed.range.end <= next; });
}

std::optional<int64_t> PartitionProgress::oldest_unconfirmed_ms() const {
  if (marks_.empty() || marks_.front().first_timestamp_ms < 0) return std::nullopt;
  return marks_.front().first_timestamp_ms;
}

CommitItem PartitionProgress::Commit() {
  CommitItem item{.key = key_,
                  .token = token_,
                  .base = base_,
                  .to = checkpoint(),
                  .gaps = {},
                  .filtered = {},
                  .dead_letters = {}};
  for (const Gap& gap : gaps_) {
    if (gap.range.end <= item.to.next) item.gaps.push_back(gap);
  }
  SumUpFiltered(item.to.next);
  SumUpDeadLetters(item.to.next);
  item.filtered = filtered_passed_;
  item.dead_letters = dead_passed_;
  return item;
}

void PartitionProgress::SumUpFiltered(Offset checkpoint) {
  std::optional<FilteredRange> sum;
  while (!filtered_runs_.empty() && filtered_runs_.front().range.end <= checkpoint) {
    const FilteredRange run = filtered_runs_.front();
    filtered_runs_.pop_front();
    if (!sum) sum = FilteredRange{.range = {run.range.first, run.range.first}, .records = 0};
    sum->range.end = run.range.end;
    sum->records += run.records;
  }
  if (sum) filtered_passed_.push_back(*sum);
  if (filtered_passed_.size() > kFilteredMax) {
    // The oldest two: by now no answer to a commit that carried but the first is to be expected.
    filtered_passed_[1].range.first = filtered_passed_[0].range.first;
    filtered_passed_[1].records += filtered_passed_[0].records;
    filtered_passed_.erase(filtered_passed_.begin());
  }
}

void PartitionProgress::SumUpDeadLetters(Offset checkpoint) {
  const size_t first_of_these = dead_passed_.size();
  while (!dead_.empty() && dead_.begin()->first < checkpoint) {
    auto letter = dead_.extract(dead_.begin());
    const OffsetRange range{letter.key(), Next(letter.key())};
    const auto begin = dead_passed_.begin() + static_cast<std::ptrdiff_t>(first_of_these);
    auto sum = std::find_if(begin, dead_passed_.end(), [&](const DeadLetters& other) {
      return other.error == letter.mapped();
    });
    if (sum == dead_passed_.end() && dead_passed_.size() - first_of_these >= kErrorsMax) {
      sum = dead_passed_.end() - 1;
      sum->error = kOtherErrors;
    }
    if (sum == dead_passed_.end()) {
      dead_passed_.push_back({.range = range, .records = 0, .error = std::move(letter.mapped())});
      sum = dead_passed_.end() - 1;
    }
    sum->range.end = range.end;
    ++sum->records;
  }
  // As above: what is merged can be counted twice only if an answer is lost for that long.
  while (dead_passed_.size() > kDeadMax) {
    DeadLetters& oldest = dead_passed_[0];
    auto same = std::find_if(dead_passed_.begin() + 1, dead_passed_.end(),
                             [&](const DeadLetters& other) { return other.error == oldest.error; });
    if (same == dead_passed_.end()) same = dead_passed_.begin() + 1;
    if (same->error != oldest.error) same->error = kOtherErrors;
    same->range.first = oldest.range.first;
    same->records += oldest.records;
    dead_passed_.erase(dead_passed_.begin());
  }
}

bool PartitionProgress::has_unstored() const {
  const Offset checkpoint = tracker_.checkpoint();
  return !filtered_passed_.empty() || !dead_passed_.empty() ||
         (!dead_.empty() && dead_.begin()->first < checkpoint) ||
         (!filtered_runs_.empty() && filtered_runs_.front().range.end <= checkpoint) ||
         (!gaps_.empty() && gaps_.front().range.end <= checkpoint);
}

std::optional<JournalEntry> PartitionProgress::Entry() const {
  const Offset checkpoint = tracker_.checkpoint();
  const bool waits = !filtered_passed_.empty() || !dead_passed_.empty() ||
                     (!dead_.empty() && dead_.begin()->first < checkpoint) ||
                     (!filtered_runs_.empty() && filtered_runs_.front().range.first < checkpoint) ||
                     (!gaps_.empty() && gaps_.front().range.first < checkpoint);
  if (waits) return std::nullopt;
  return JournalEntry{
      .key = key_, .token = token_, .base = base_, .checkpoint = this->checkpoint()};
}

}  // namespace drawbridge
