#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "relay/letters/letter_store.h"
#include "relay/letters/topic_letter_sink.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// Dead letters in a topic's partition 0. It is read once, from its beginning or where the turn has
// come to, for what is a letter still; records are read again when they are wanted. One object is
// for one query: the first Find decides what is looked for. The clock outlives it.
class TopicLetterStore final : public LetterStore {
 public:
  // What is known of so many letters is held at a time; of more, those that come first in the order
  // that is asked for.
  static constexpr size_t kKnownMost = 200'000;

  // `source` reads the topic that `sink` writes to.
  TopicLetterStore(std::unique_ptr<Source> source, std::unique_ptr<TopicLetterSink> sink,
                   std::string bridge, const Clock& clock, size_t known_most = kKnownMost);

  StatusOr<FoundLetters> Find(const DeadLetterSelection& selection, const std::string& turn,
                              LetterOrder order, int limit, BootTime deadline) override;
  FiledLetters File(const LetterOutcomes& outcomes, const std::string& turn,
                    BootTime deadline) override;
  std::string Continue(const std::string& turn) const override;
  bool IsIndex(const std::string&) const override { return false; }

 private:
  // Which letters a query is about.
  struct Wanted {
    const DeadLetterSelection& selection;
    std::string turn;
    LetterOrder order;
  };
  // A letter, without its record.
  struct Known {
    std::string id;
    int64_t bytes = 0;
  };

  Status Learn(Offset from, const Wanted& wanted, BootTime deadline);
  void Note(const Record& record, const Wanted& wanted);
  void Forget(const std::string& id);
  std::optional<uint64_t> Submit(const Letter& letter, WallTime now, std::string_view turn);
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
  bool has_learned_ = false;
  std::map<Offset, Known> known_;  // by where it is, which is the order of refusal
  std::unordered_map<std::string, Offset> offsets_;  // by id
  // Letters beyond known_most_: about how many, and where the first one is.
  int64_t left_out_ = 0;
  std::optional<Offset> left_out_from_;
};

}  // namespace drawbridge
