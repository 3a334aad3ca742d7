#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/clock.h"
#include "base/status.h"
#include "relay/letters/letter.h"
#include "relay/pipeline/io.h"

namespace drawbridge {

// Text as a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD.
std::string JsonString(std::string_view text);

// What a record becomes in an engine: a JSON object as it came, with "@timestamp" (the record's
// time, unless it has one of its own) and "drawbridge" (where it comes from) added; anything else,
// and an object whose own "drawbridge" has what is ours, as text under "message". One line without
// its end.
//
// Objects are not looked into beyond what keeps the framing of a request whole and an engine alive.
// Not thread-safe: it keeps a parser's memory between records.
class DocumentShaper {
 public:
  // Elasticsearch 7.10.2 dies of a document that is nested some thousand deep; OpenSearch 3 refuses
  // one beyond 1000.
  static constexpr size_t kDepthMax = 500;

  // `relay` is told in each document.
  explicit DocumentShaper(std::string relay);
  ~DocumentShaper();
  DocumentShaper(const DocumentShaper&) = delete;
  DocumentShaper& operator=(const DocumentShaper&) = delete;

  // Appends the document; nothing is appended for one that no engine must get: the status says why.
  Status Append(const Route& route, const Record& record, WallTime now, std::string& out);

 private:
  enum class Shape { kObject, kTooDeep, kOther };
  struct Found {
    bool has_timestamp = false;
    bool has_own = false;  // a "drawbridge" with nothing of ours
  };
  struct Parser;

  Shape Look(std::string_view value, Found& found);
  // What a faster parser does not take as an object and is one all the same.
  static Shape LookSlowly(std::string_view value, Found& found);
  void AppendObject(std::string_view value, const Found& found, const Route& route,
                    const Record& record, WallTime now, std::string& out);

  const std::string relay_;
  const std::unique_ptr<Parser> parser_;
};

// "2026-03-14T09:26:53.589Z", as engines store times.
std::string ToEngineTime(int64_t timestamp_ms);

// The record as it came, with why it was refused: text where key, value and headers are UTF-8, else
// base64, so that no byte is lost. One line without its end.
std::string DeadLetterDocument(const Route& route, const Record& record, const Refusal& refusal,
                               const RefusedAt& at, const std::string& relay);

// What DeadLetterDocument wrote; kDataLoss for a document that is none.
StatusOr<KeptRecord> ReadDeadLetter(const nlohmann::json& document);

// What changes in it when the record is refused again: its group stays, which is what it is counted
// under.
std::string RefusedAgain(const Refusal& refusal, const RefusedAt& at, const std::string& turn);

// What an index for dead letters is made with: only what tells why is searchable, so that no record
// can be refused a second time, and no pipeline of a template changes or drops one. Elasticsearch
// before 7.5 knows no final pipelines.
std::string DeadLetterIndex(bool knows_final_pipelines);

}  // namespace drawbridge
