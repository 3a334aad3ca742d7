#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "relay/letters/letter_store.h"
#include "relay/letters/topic_letter_sink.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// Dead letters in a topic's partition 0. It is read from its beginning to its end once, for what is
// a letter still; records are read again when they are wanted. The clock outlives it.
class TopicLetterStore final : public LetterStore {
 public:
  // What is known of so many letters is held at a time; of more, those are that come first in the
  // order of the first Find.
  static constexpr size_t kKnownMost = 200'000;

  // `source` reads the topic that `sink` writes to.
  TopicLetterStore(std::unique_ptr<Source> source, std::unique_ptr<TopicLetterSink> sink,
                   std::string bridge, const Clock& clock, size_t known_most = kKnownMost);

  StatusOr<FoundLetters> Find(const DeadLetterSelection& selection, const std::string& turn,
                              LetterOrder order, int limit, BootTime deadline) override;
  FiledLetters File(const LetterOutcomes& outcomes, const std::string& turn,
                    BootTime deadline) override;
  bool IsIndex(const std::string&) const override { return false; }

 private:
  // A letter, without its record. Texts that many have in common are held once.
  struct Known {
    std::string id;
    int64_t bytes = 0;
    const std::string* topic = nullptr;
    const std::string* error = nullptr;
    const std::string* turn = nullptr;
  };

  Status Learn(LetterOrder order, BootTime deadline);
  void Note(const Record& record, LetterOrder order);
  void Forget(const std::string& id);
  const std::string* Shared(const std::string& text) { return &*texts_.insert(text).first; }
  Status Scan(Offset from, std::optional<Offset> to, BootTime deadline,
              const std::function<void(const Record&)>& see);
  void Wait(const std::vector<int>& descriptors, BootTime deadline) const;
  Status Late(std::string_view what, const std::optional<Condition>& trouble) const;

  const std::unique_ptr<Source> source_;
  const std::unique_ptr<TopicLetterSink> sink_;
  const std::string bridge_;
  const Clock& clock_;
  const size_t known_most_;
  uint32_t fetch_ = 0;
  uint32_t window_ = 0;
  bool has_learned_ = false;
  std::map<Offset, Known> known_;  // by where it is, which is the order of refusal
  std::unordered_map<std::string, Offset> offsets_;  // by id
  int64_t left_out_ = 0;                             // letters beyond known_most_, about
  std::set<std::string> texts_;
};

}  // namespace drawbridge
