#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "relay/letters/topic_letter_sink.h"
#include "relay/opensearch/pending.h"

namespace drawbridge {

// Records on their way into a topic of dead letters. Runs on the lane's thread only.
class LetterPost {
 public:
  // `bridge` by its name.
  LetterPost(std::unique_ptr<TopicLetterSink> topic, std::string bridge)
      : topic_(std::move(topic)), bridge_(std::move(bridge)) {}

  const std::string& topic() const { return topic_->topic(); }

  // Takes a record that was refused.
  void Add(Pending entry) { waiting_.push_back(std::move(entry)); }
  // Posts as many as the topic takes.
  void Post(WallTime now);

  // A record whose letter is in the topic, or why it is not. Its bytes are gone, its weight is
  // kept.
  struct Posted {
    Pending entry;
    std::optional<Disposition> failure;
    Status status;
  };
  // Those that are known by now.
  std::vector<Posted> Poll();

  // Takes out all that `is_wanted`, but for those that are on their way.
  std::vector<Pending> Extract(const std::function<bool(const Pending&)>& is_wanted);

  bool is_idle() const { return on_their_way_.empty(); }
  std::optional<Condition> Trouble() const { return topic_->Trouble(); }
  std::vector<int> descriptors() const { return topic_->descriptors(); }

 private:
  const std::unique_ptr<TopicLetterSink> topic_;
  const std::string bridge_;
  std::deque<Pending> waiting_;
  std::map<uint64_t, Pending> on_their_way_;  // by the letter's number
};

}  // namespace drawbridge
