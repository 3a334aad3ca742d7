#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relay/letters/letter.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// Writes dead letters into a topic, through a sink that writes records: one at a time, to its
// partition 0, which every topic has. What it was given comes back in confirmations, as from that
// sink. Runs on one thread.
class TopicLetterSink {
 public:
  TopicLetterSink(std::unique_ptr<Sink> sink, std::string topic)
      : sink_(std::move(sink)), topic_(std::move(topic)) {}

  const std::string& topic() const { return topic_; }

  // Makes a slot known, as Sink::Open does.
  Status Open(Slot slot, PartitionKey key);

  // A letter to write. It comes back as `covered`, which ends at `covered.end`, under `window`.
  struct Item {
    Slot slot = 0;
    uint32_t window = 0;
    OffsetRange covered;
  };
  // Takes the record with its owner; false, and the record is as it was, when it can take none.
  bool Submit(const Item& item, Record& record, const Route& route, const Refusal& refusal,
              const RefusedAt& at, std::string_view turn = {});

  // The same for the note that a letter of the bridge is none any more.
  bool Settle(const Item& item, const std::string& bridge, const std::string& id, WallTime now);

  void Poll(std::vector<Confirmation>& confirmations) { sink_->Poll(confirmations); }
  std::optional<Condition> Trouble() const { return sink_->Trouble(); }
  std::vector<int> descriptors() const { return sink_->descriptors(); }

 private:
  bool Write(const Item& item, Record& record, std::vector<Header> headers);

  const std::unique_ptr<Sink> sink_;
  const std::string topic_;
};

}  // namespace drawbridge
