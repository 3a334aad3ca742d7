#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "relay/letters/letter.h"

// Dead letters as records of a Kafka topic: key, value, headers and time as they came, and behind
// the headers of the record those that tell why it was refused. What becomes of one later is
// written behind it: a letter with the same id replaces it, and a note that it is settled ends it.

namespace drawbridge {

// The headers of a letter. Views into the record and into this object, for as long as neither
// changes.
class LetterHeaders {
 public:
  // `turn` names the retry in which it was refused once more; empty: none.
  LetterHeaders(const Record& record, const Route& route, const Refusal& refusal,
                const RefusedAt& at, std::string_view turn);

  std::vector<Header>& headers() { return headers_; }

 private:
  void Add(std::string_view name, std::string value);

  std::deque<std::string> values_;  // they stay where they are
  std::vector<Header> headers_;
};

// A letter, as a record of the topic tells it.
struct TopicLetter {
  std::string bridge;
  std::string turn;  // in which it was refused once more; empty: in none
  Letter letter;
};

// The name of the header by which a bridge's letter was settled: its value is the letter's id.
inline constexpr std::string_view kSettledHeader = "drawbridge-error-settled";
// Whose letter it is; the first of the headers that are ours.
inline constexpr std::string_view kBridgeHeader = "drawbridge-error-bridge";

// A letter that is settled.
struct SettledLetter {
  std::string bridge;
  std::string id;
};

// What a record of the topic is; kDataLoss for one that is neither.
StatusOr<std::variant<TopicLetter, SettledLetter>> ReadTopicLetter(const Record& record);

}  // namespace drawbridge
