#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace drawbridge {

// How the index is called into which a search engine takes a record: "logs-{topic}-{+yyyy.MM.dd}".
// A pure function of the record, so that one that is sent again meets itself. Topics are written in
// lower case, as names of indexes are; the text before the first placeholder is fixed, so that no
// record can choose another index than the operator meant. A value.
class IndexTemplate {
 public:
  // kFieldInvalid for an unknown placeholder, a pattern of time that is not made of yyyy, MM, dd
  // and HH, no fixed text in front, or letters that no index may have.
  static StatusOr<IndexTemplate> Create(std::string_view text);

  // The same template for one topic: "logs-audit-{+yyyy.MM.dd}".
  std::string ForTopic(std::string_view topic) const;

  // The name for a record of that time (UTC; below 0: it has none, and counts as 1970).
  std::string Apply(std::string_view topic, int64_t timestamp_ms) const;

  // Whether some topic may give a record this index, as far as the fixed text in front tells.
  bool MayName(std::string_view index) const;
  // Whether a record of the topic gets this index at some time.
  bool MayName(std::string_view index, std::string_view topic) const;
  // What engines find those indexes by, and maybe others: "logs-audit-*".
  std::string Wildcard(std::string_view topic) const;

  bool has_topic() const;
  bool has_time() const;

  // What engines take, bytes.
  static constexpr size_t kNameBytesMax = 255;

 private:
  struct Part {
    enum class Kind { kText, kTopic, kTime } kind = Kind::kText;
    std::string text;  // of kText; of kTime the pattern
  };

  template <typename TimeText>
  std::string Join(std::string_view topic, TimeText time_text) const;

  std::vector<Part> parts_;
};

// A record's time as engines can hold it, milliseconds since 1970: no earlier than that, and no
// later than the year 9999.
int64_t InEngineTime(int64_t timestamp_ms);

}  // namespace drawbridge
