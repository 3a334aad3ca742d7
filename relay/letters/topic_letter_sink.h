#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relay/letters/letter.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// Writes dead letters into a topic, through a sink that writes records: to its partition 0, which
// every topic has, in whatever order they come. Each is named by a number, and what became of it is
// told under that. Runs on one thread.
class TopicLetterSink {
 public:
  static StatusOr<std::unique_ptr<TopicLetterSink>> Open(std::unique_ptr<Sink> sink,
                                                         std::string topic);

  const std::string& topic() const { return topic_; }

  // Takes the record with its owner, and returns the letter's number; nullopt, and the record is as
  // it was, when none can be taken at present. `turn` as in LetterHeaders.
  std::optional<uint64_t> Submit(Record& record, const Route& route, const Refusal& refusal,
                                 const RefusedAt& at, std::string_view turn = {});

  // The same for the note that a letter of the bridge is none any more.
  std::optional<uint64_t> Settle(const std::string& bridge, const std::string& id, WallTime now);

  // What became of a letter, or of a note: it is in the topic, or why it is not.
  struct Result {
    uint64_t number = 0;
    std::optional<Disposition> failure;
    Status status;
  };
  // Appends what is known by now; each that was taken comes once.
  void Poll(std::vector<Result>& results);

  std::optional<Condition> Trouble() const { return sink_->Trouble(); }
  std::vector<int> descriptors() const { return sink_->descriptors(); }

 private:
  TopicLetterSink(std::unique_ptr<Sink> sink, std::string topic)
      : sink_(std::move(sink)), topic_(std::move(topic)) {}

  std::optional<uint64_t> Write(Record& record, std::vector<Header> headers);

  const std::unique_ptr<Sink> sink_;
  const std::string topic_;
  uint64_t next_ = 0;  // rises, so that the sink may join results of neighbours
};

}  // namespace drawbridge
