#include "relay/control/commit_exchange.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "model/convert/checkpoint.h"
#include "relay/control/message_size.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.control");

// Then the answer is lost; the same again is harmless.
constexpr Duration kPatience = 15s;

}  // namespace

void CommitExchange::EndSession() {
  awaited_batch_ = 0;
  acknowledged_.clear();
  CommitAgain();
}

void CommitExchange::BeginSession() {
  given_back_.clear();
  committing_.clear();
  released_.clear();
}

void CommitExchange::GiveBack(GivenBack given_back) {
  given_back_.push_back(std::move(given_back));
  Hurry();
}

std::optional<v1::Commit> CommitExchange::Next(std::vector<PartitionNews> news, BootTime now) {
  if (awaited_batch_ != 0) {
    if (now - sent_at_ < kPatience) return std::nullopt;
    awaited_batch_ = 0;
    CommitAgain();
  }
  awaited_items_.clear();
  v1::Commit commit;
  size_t bytes = 0;
  const auto add = [&](const CommitItem& item) {
    awaited_items_.emplace(item.key, item.token, item.to.next);
    v1::CommitItem one = ToProto(item);
    bytes += SizeInList(one);
    *commit.add_items() = std::move(one);
  };
  const auto is_full = [&] { return bytes > kMessageBytesMax; };
  while (!given_back_.empty() && !is_full()) {
    add(given_back_.front().last);
    committing_.push_back(std::move(given_back_.front()));
    given_back_.pop_front();
  }
  is_urgent_ = !given_back_.empty();
  const auto next = std::ranges::find_if(
      news, [&](const PartitionNews& one) { return one.commit.key > committed_last_; });
  std::rotate(news.begin(), next, news.end());
  for (const PartitionNews& one : news) {
    if (is_full()) break;
    if (!IsNewsToTheServer(one)) continue;
    add(one.commit);
    committed_last_ = one.commit.key;
  }
  if (commit.items_size() == 0) return std::nullopt;
  commit.set_batch_id(++last_batch_);
  awaited_batch_ = last_batch_;
  sent_at_ = now;
  return commit;
}

bool CommitExchange::IsNewsToTheServer(const PartitionNews& news) const {
  const auto known = acknowledged_.find(news.commit.key);
  if (known == acknowledged_.end() || known->second.token != news.commit.token) {
    return news.must_commit || news.commit.to.next > news.commit.base;
  }
  if (known->second.is_refused) return false;
  return news.must_commit || news.commit.to.next > known->second.next;
}

std::vector<CommitResult> CommitExchange::Take(int64_t batch,
                                               const StatusOr<std::vector<CommitResult>>& results) {
  if (awaited_batch_ == 0 || batch != awaited_batch_) return {};
  awaited_batch_ = 0;
  std::vector<CommitResult> stored;
  if (results.ok()) {
    std::set<CommitId> unstored;
    for (const CommitResult& result : *results) {
      const CommitId id{result.key, result.token, result.next};
      if (awaited_items_.erase(id) == 0) {
        kLog.Warn("result of nothing that was committed",
                  {{"stream", result.key.stream}, {"partition", result.key.partition}});
        continue;
      }
      if (!Note(result)) unstored.insert(id);
      if (result.outcome == CommitOutcome::kStored) stored.push_back(result);
    }
    std::erase_if(committing_, [&](const GivenBack& back) {
      const CommitId id{back.key, back.token, back.last.to.next};
      if (unstored.contains(id) || awaited_items_.contains(id)) return false;
      released_.push_back(back);
      return true;
    });
  }
  CommitAgain();
  return stored;
}

// Whether the result is final.
bool CommitExchange::Note(const CommitResult& result) {
  switch (result.outcome) {
    case CommitOutcome::kNotStored:  // goes again with the next
      return false;
    case CommitOutcome::kStored:
    case CommitOutcome::kRegression:
      acknowledged_[result.key] = {.token = result.token, .next = result.next};
      return true;
    default:
      kLog.Warn("commit refused", {{"stream", result.key.stream},
                                   {"partition", result.key.partition},
                                   {"epoch", result.token.epoch},
                                   {"outcome", static_cast<int>(result.outcome)}});
      acknowledged_[result.key] = {.token = result.token, .next = result.next, .is_refused = true};
      return true;
  }
}

// What was given back and has no final result goes with the next commit, when that is due.
void CommitExchange::CommitAgain() {
  given_back_.insert(given_back_.begin(), std::make_move_iterator(committing_.begin()),
                     std::make_move_iterator(committing_.end()));
  committing_.clear();
}

std::vector<GivenBack> CommitExchange::TakeReleased() { return std::exchange(released_, {}); }

bool CommitExchange::is_all_said() const {
  return given_back_.empty() && committing_.empty() && released_.empty() && awaited_batch_ == 0;
}

}  // namespace drawbridge
