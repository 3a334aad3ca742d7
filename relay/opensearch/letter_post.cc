#include "relay/opensearch/letter_post.h"

#include <utility>

namespace drawbridge {

void LetterPost::Post(WallTime now) {
  for (; !waiting_.empty(); waiting_.pop_front()) {
    Pending& entry = waiting_.front();
    const std::optional<uint64_t> number =
        topic_->Submit(entry.record, entry.to->route, *entry.refusal, entry.At(bridge_, now));
    if (!number) return;
    Record counted;  // its bytes are the letter's now
    counted.offset = entry.record.offset;
    counted.weight = entry.record.weight;
    entry.record = std::move(counted);
    on_their_way_.emplace(*number, std::move(entry));
  }
}

std::vector<LetterPost::Posted> LetterPost::Poll() {
  std::vector<TopicLetterSink::Result> results;
  topic_->Poll(results);
  std::vector<Posted> posted;
  for (TopicLetterSink::Result& result : results) {
    auto entry = on_their_way_.extract(result.number);
    if (entry.empty()) continue;
    posted.push_back({.entry = std::move(entry.mapped()),
                      .failure = result.failure,
                      .status = std::move(result.status)});
  }
  return posted;
}

std::vector<Pending> LetterPost::Extract(const std::function<bool(const Pending&)>& is_wanted) {
  std::vector<Pending> extracted;
  ExtractIf(waiting_, is_wanted, extracted);
  return extracted;
}

}  // namespace drawbridge
