#include "relay/opensearch/bulk_answer.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "model/checkpoint.h"

namespace drawbridge {
namespace {

using nlohmann::json;

constexpr size_t kQuoteMax = 200;
// Engines quote what they refuse, which may be all of a large record, and twice.
constexpr size_t kReasonMax = 4000;
constexpr size_t kTypeMax = 200;

std::string TextOf(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// Its beginning, at most so many bytes of it, and whole characters.
std::string_view Beginning(std::string_view text, size_t bytes_max) {
  size_t end = std::min(text.size(), bytes_max);
  const auto is_inside = [&](size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
  };
  while (end > 0 && is_inside(end)) --end;
  return text.substr(0, end);
}

std::string Cut(const std::string& reason) {
  if (reason.size() <= kReasonMax) return reason;
  return fmt::format("{}... ({} bytes)", Beginning(reason, kReasonMax), reason.size());
}

EngineError ErrorOf(int status, const json& error) {
  EngineError read{.status = status};
  if (error.is_string()) {
    read.reason = Cut(error.get<std::string>());
  } else if (error.is_object()) {
    read.type = Beginning(TextOf(error, "type"), kTypeMax);
    read.reason = Cut(TextOf(error, "reason"));
    if (const auto cause = error.find("caused_by"); cause != error.end() && cause->is_object()) {
      read.caused_by = Beginning(TextOf(*cause, "type"), kTypeMax);
      read.caused_by_reason = Cut(TextOf(*cause, "reason"));
    }
  }
  return read;
}

bool Is(const EngineError& error, std::string_view type) {
  return error.type == type || error.caused_by == type;
}

Status Unclear(std::string_view what) {
  return {StatusCode::kUnavailable, Reason::kBrokerError,
          fmt::format("the engine's answer {}", what)};
}

// What is said of every record, in words: the type is that of many faults of records. Only how the
// reason begins tells, since what comes later may quote the record.
bool IsOfEveryRecord(std::string_view type, std::string_view reason) {
  constexpr std::string_view kValidation = "Validation Failed: 1: ";
  // The first is that of Amazon's Serverless, the last the number of shards that a cluster takes.
  constexpr std::array kBeginnings = {"Document ID is not supported", "pipeline with id [",
                                      "no write index is defined for alias",
                                      "Rejecting mapping update to [", "this action would add ["};
  if (type != "illegal_argument_exception" && type != "validation_exception") return false;
  if (reason.starts_with(kValidation)) reason.remove_prefix(kValidation.size());
  return std::ranges::any_of(kBeginnings,
                             [&](const char* beginning) { return reason.starts_with(beginning); });
}

bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

std::string NumbersOut(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!IsDigit(text[i])) {
      out += text[i];
    } else if (i == 0 || !IsDigit(text[i - 1])) {
      out += '#';
    }
  }
  return out;
}

// Behind what is quoted from `at` on, or `at`: in quotation marks, or in brackets, which may hold
// others. Brackets that do not close hold the rest.
size_t EndOfQuote(std::string_view text, size_t at) {
  if (text[at] == '\'' || text[at] == '"') {
    const size_t end = text.find(text[at], at + 1);
    return end == text.npos ? at : end + 1;
  }
  if (text[at] != '[') return at;
  size_t depth = 0;
  for (size_t i = at; i < text.size(); ++i) {
    if (text[i] == '[') ++depth;
    if (text[i] == ']' && --depth == 0) return i + 1;
  }
  return text.size();
}

// Whether the brackets are about a field or a type, which tells faults apart; else they quote the
// record's value.
bool NamesField(std::string_view text, size_t from, size_t end) {
  constexpr size_t kNameMax = 100;
  constexpr std::array kBefore = {"field ", "type ", "mapper ", "for ", "to ", "within ", "id "};
  const std::string_view before = text.substr(0, from);
  const std::string_view name = text.substr(from + 1, end - from - 2);
  return text[end - 1] == ']' && name.size() <= kNameMax &&
         std::ranges::any_of(kBefore, [&](const char* word) { return before.ends_with(word); }) &&
         std::ranges::all_of(name, [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                  std::string_view("._@-").find(c) != std::string_view::npos;
         });
}

// What all ids of a request begin with: the source's cluster, or the bridge of dead letters.
std::string_view BeginningOf(std::string_view id) {
  const size_t colon = id.find(':');
  return id.substr(0, colon == id.npos ? 0 : colon + 1);
}

// Whether no item is of another of our documents than stands there: of another one in the request,
// or of another request, whose answer it is then. Any other id is a pipeline's.
bool AreOf(const std::vector<std::string>& ids, const std::vector<BulkItem>& items) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].id.empty() || items[i].id == ids[i]) continue;
    const std::string_view ours = BeginningOf(ids[i]);
    if (!ours.empty() && items[i].id.starts_with(ours)) return false;
  }
  return true;
}

}  // namespace

std::string EngineError::Text() const {
  std::string text = type.empty() ? reason : fmt::format("{}: {}", type, reason);
  if (!caused_by.empty()) text += fmt::format(" ({}: {})", caused_by, caused_by_reason);
  return text.empty() ? fmt::format("status {}", status) : text;
}

bool IsFloodStage(const EngineError& error) {
  return Is(error, "cluster_block_exception") &&
         (error.reason.find("/12/") != std::string::npos ||
          error.reason.find("flood") != std::string::npos ||
          error.reason.find("read-only / allow delete") != std::string::npos);
}

std::string_view WhyNotIndexed(const BulkItem& item) {
  if (item.is_diverted) return "failure_store: kept among the ::failures of its data stream";
  if (item.is_dropped) return "dropped: a pipeline of its index has thrown it away";
  return {};
}

bool IsPassing(int status) {
  return status == 408 || status == 429 || (status >= 500 && status != 501);
}

ItemOutcome OutcomeOf(const BulkItem& item) {
  const EngineError& error = item.error;
  switch (error.status) {
    case 200:
    case 201:
      return ItemOutcome::kDelivered;
    case 409:
      return error.type.empty() || Is(error, "version_conflict_engine_exception")
                 ? ItemOutcome::kThere
                 : ItemOutcome::kPassing;
    case 429:
      return Is(error, "cluster_block_exception") ? ItemOutcome::kSystemic
                                                  : ItemOutcome::kBackPressure;
    case 400:
      break;
    case 403:
    case 404:
      return ItemOutcome::kSystemic;
    default:
      return error.status >= 500 ? ItemOutcome::kPassing : ItemOutcome::kSystemic;
  }
  // 400 is said of bad records and of bad clusters alike.
  constexpr std::array kOfTheIndex = {"index_closed_exception", "invalid_index_name_exception",
                                      "index_not_found_exception", "cluster_block_exception",
                                      "invalid_alias_name_exception"};
  const bool is_of_the_index =
      std::ranges::any_of(kOfTheIndex, [&](const char* type) { return Is(error, type); });
  const bool is_of_every_record = IsOfEveryRecord(error.type, error.reason) ||
                                  IsOfEveryRecord(error.caused_by, error.caused_by_reason);
  if (is_of_the_index || is_of_every_record) return ItemOutcome::kSystemic;
  constexpr std::array kOfTheRecord = {"mapper_parsing_exception",
                                       "document_parsing_exception",
                                       "mapper_exception",
                                       "script_exception",
                                       "strict_dynamic_mapping_exception",
                                       "illegal_argument_exception",
                                       "action_request_validation_exception",
                                       "x_content_parse_exception",
                                       "json_parse_exception",
                                       "parse_exception",
                                       "parsing_exception",
                                       "max_bytes_length_exceeded_exception"};
  const bool is_of_the_record =
      std::ranges::any_of(kOfTheRecord, [&](const char* type) { return error.type == type; });
  return is_of_the_record ? ItemOutcome::kBadRecord : ItemOutcome::kSystemic;
}

StatusOr<std::vector<BulkItem>> ReadItems(std::string_view answer,
                                          const std::vector<std::string>& ids) {
  const size_t count = ids.size();
  if (answer.empty()) return Unclear("is empty");
  const json parsed = json::parse(answer, nullptr, false);
  if (parsed.is_discarded()) {
    return Unclear(fmt::format("is no JSON: {}", answer.substr(0, kQuoteMax)));
  }
  const auto items = parsed.find("items");
  if (!parsed.is_object() || items == parsed.end() || !items->is_array()) {
    return Unclear("has no items");
  }
  if (items->size() != count) {
    return Unclear(fmt::format("has {} items for {} documents", items->size(), count));
  }
  std::vector<BulkItem> read;
  read.reserve(count);
  for (const json& item : *items) {
    // {"create": {"status": 201}}; the name of the action may be another.
    if (!item.is_object() || item.size() != 1 || !item.begin()->is_object()) {
      return Unclear("has an item without an action");
    }
    const json& action = *item.begin();
    const auto status = action.find("status");
    if (status == action.end() || !status->is_number_integer()) {
      return Unclear("has an item without a status");
    }
    const auto error = action.find("error");
    read.push_back({.error = ErrorOf(status->get<int>(), error == action.end() ? json() : *error),
                    .is_diverted = TextOf(action, "failure_store") == "used",
                    .is_dropped = TextOf(action, "result") == "noop",
                    .id = TextOf(action, "_id")});
  }
  if (!AreOf(ids, read)) {
    return Unclear(
        "is about other documents, or has them in another order: look for a proxy that keeps "
        "answers, and a pipeline that sets _id");
  }
  return read;
}

EngineError ReadError(int status, std::string_view answer) {
  const json parsed = json::parse(answer, nullptr, false);
  if (parsed.is_object() && parsed.contains("error")) return ErrorOf(status, parsed["error"]);
  EngineError error{.status = status};
  error.reason = fmt::format("status {}", status);
  const std::string_view start = answer.substr(0, kQuoteMax);
  if (!start.empty()) error.reason += fmt::format(", with the answer {}", start);
  return error;
}

std::string ErrorGroup(const EngineError& error) {
  // In a document with id '...': where it is from says nothing of what is wrong.
  std::string reason = error.reason;
  for (const std::string_view tail : {" in document with id", ". Preview of field"}) {
    reason = reason.substr(0, reason.find(tail));
  }
  std::string text = error.type.empty() ? reason : fmt::format("{}: {}", error.type, reason);
  if (!error.caused_by.empty()) text += fmt::format(" ({})", error.caused_by);
  std::string group;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (IsDigit(c)) {
      while (i < text.size() && IsDigit(text[i])) ++i;
      group += '#';
    } else if (const size_t end = EndOfQuote(text, i); end != i) {
      group += c == '[' && NamesField(text, i, end) ? NumbersOut(text.substr(i, end - i))
                                                    : fmt::format("{}*{}", c, c == '[' ? ']' : c);
      i = end;
    } else {
      group += std::iscntrl(static_cast<unsigned char>(c)) != 0 ? ' ' : c;
      ++i;
    }
  }
  if (group.empty()) group = fmt::format("status {}", error.status);
  constexpr size_t kGroupMax = kDeadLetterErrorMax - 50;
  if (group.size() > kGroupMax) {
    group = fmt::format("{}...", Beginning(group, kGroupMax));
  }
  return group;
}

std::string CauseOf(const EngineError& error) {
  return fmt::format("{} {} {}", error.status, error.type, error.caused_by);
}

}  // namespace drawbridge
