#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace drawbridge {

// What an engine said of one document, or of a request as a whole.
struct EngineError {
  int status = 0;
  std::string type = {};
  std::string reason = {};
  std::string caused_by = {};  // its type
  std::string caused_by_reason = {};

  // In the engine's own words: "mapper_parsing_exception: failed to parse (number_format_exception:
  // For input string)".
  std::string Text() const;
};

struct BulkItem {
  EngineError error;         // its status always; the rest if it failed
  bool is_diverted = false;  // it is kept in the failure store of its data stream
  bool is_dropped = false;   // a pipeline has thrown it away
  std::string id = {};       // that the engine knows it by; empty: it does not say
};

// Of an item that counts as in, why no search finds it, as a group of dead letters; else empty.
std::string_view WhyNotIndexed(const BulkItem& item);

// What the sink does about an item.
enum class ItemOutcome {
  kDelivered,     // made
  kThere,         // the same record was there before
  kBackPressure,  // passing: slower
  kPassing,       // passing
  kBadRecord,     // the fault of this record alone
  kSystemic,      // the fault of the index or the engine: no record passes
};

ItemOutcome OutcomeOf(const BulkItem& item);

// Whether an answer with this status says nothing for good: an engine that is busy or away, or a
// proxy that has waited in vain.
bool IsPassing(int status);

// Whether the disk of the engine is full, which only its operator mends.
bool IsFloodStage(const EngineError& error);

// The items of an answer to documents with these ids, each where its document stood; else the
// answer says nothing for certain, and the status says what it is instead.
StatusOr<std::vector<BulkItem>> ReadItems(std::string_view answer,
                                          const std::vector<std::string>& ids);

// What an engine says of a refused request; what is no JSON (a proxy's page) is quoted in short.
EngineError ReadError(int status, std::string_view answer);

// The error in few words, without what differs from record to record.
std::string ErrorGroup(const EngineError& error);

// What is at fault, as far as it can be told without the words, in which engines quote the record.
std::string CauseOf(const EngineError& error);

}  // namespace drawbridge
