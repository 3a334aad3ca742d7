#include "relay/opensearch/document.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iterator>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>
#include <simdjson.h>

#include "model/index_template.h"

namespace drawbridge {
namespace {

using nlohmann::json;

constexpr std::string_view kBlank = " \t\r\n";
constexpr size_t kKeptBytesMax = size_t{2} << 20;
constexpr std::string_view kOurs = "drawbridge";
constexpr std::string_view kOursDotted = "drawbridge.";
// So many dots more than brackets are no danger to an engine, wherever they are: Elasticsearch 7.10
// survives 900 names one in another, and OpenSearch 2.19 more.
constexpr size_t kDotsFree = 200;

// What is ours in "drawbridge".
constexpr std::string_view kOriginNames[] = {"cluster",      "topic", "partition",   "offset",
                                             "source_epoch", "relay", "ingested_at", "lossy"};

// The members that tell where a document comes from, `prefix` before their names.
std::string Origin(std::string_view prefix, const Route& route, Offset offset,
                   const std::string& relay, WallTime now, bool is_lossy) {
  return fmt::format(R"("{0}cluster":"{1:016x}","{0}topic":{2},"{0}partition":{3},"{0}offset":{4},)"
                     R"("{0}source_epoch":{5},"{0}relay":{6},"{0}ingested_at":"{7}"{8})",
                     prefix, route.source_cluster, JsonString(route.source_topic), route.partition,
                     offset.value, route.source_epoch, JsonString(relay), ToRfc3339(now),
                     is_lossy ? fmt::format(R"(,"{}lossy":true)", prefix) : "");
}

std::string Base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

// "key" or "key_base64"; null is left out.
void Put(json& object, const std::string& name, const std::optional<std::string_view>& bytes) {
  if (!bytes) return;
  if (simdjson::validate_utf8(bytes->data(), bytes->size())) {
    object[name] = std::string(*bytes);
  } else {
    object[name + "_base64"] = Base64(*bytes);
  }
}

std::optional<std::string> FromBase64(const std::string& text) {
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  // OpenSSL counts what fills up the last group.
  size_t filling = 0;
  while (filling < 2 && text.size() > filling && text[text.size() - 1 - filling] == '=') ++filling;
  bytes.resize(static_cast<size_t>(size) - filling);
  return bytes;
}

// What Put wrote; null if it is missing.
std::optional<std::string> Get(const json& object, const std::string& name) {
  if (const auto text = object.find(name); text != object.end()) return text->get<std::string>();
  const auto packed = object.find(name + "_base64");
  if (packed == object.end()) return std::nullopt;
  std::optional<std::string> bytes = FromBase64(packed->get<std::string>());
  if (!bytes) throw std::invalid_argument(name + " is no base64");
  return bytes;
}

// Whether a member of a record's own "drawbridge" would be one of ours, or in its place: an engine
// takes dots for a path, and the first record of an index tells how its fields are mapped, which
// must not keep out all others.
bool IsOrigin(std::string_view member) {
  return std::ranges::find(kOriginNames, member.substr(0, member.find('.'))) !=
         std::end(kOriginNames);
}

// The same of a member at the top: "drawbridge.offset".
bool IsOriginPath(std::string_view name) {
  return name.starts_with(kOursDotted) && IsOrigin(name.substr(kOursDotted.size()));
}

// Whether a record's "drawbridge" is an object with nothing of ours.
bool IsOwn(simdjson::dom::element value) {
  simdjson::dom::object own;
  if (value.get(own) != simdjson::SUCCESS) return false;
  return std::none_of(own.begin(), own.end(),
                      [](const auto& member) { return IsOrigin(member.key); });
}

// So many names one in another are in this one: engines make an object of each dot.
size_t PartsOf(std::string_view name) {
  return 1 + static_cast<size_t>(std::ranges::count(name, '.'));
}

// Whether a path of names and arrays in the value is longer than this.
bool IsDeeperThan(size_t depth_max, simdjson::dom::element value) {
  simdjson::dom::object object;
  if (value.get(object) == simdjson::SUCCESS) {
    for (const auto& member : object) {
      const size_t parts = PartsOf(member.key);
      if (parts > depth_max || IsDeeperThan(depth_max - parts, member.value)) return true;
    }
    return false;
  }
  simdjson::dom::array array;
  if (value.get(array) != simdjson::SUCCESS) return false;
  if (depth_max == 0) return true;
  for (const simdjson::dom::element element : array) {
    if (IsDeeperThan(depth_max - 1, element)) return true;
  }
  return false;
}

// Whether there may be enough dots in the text for its names to be too deep: as they are, or by
// their number.
bool HasManyDots(std::string_view text) {
  if (text.size() <= 2 * kDotsFree) return false;
  return static_cast<size_t>(std::ranges::count(text, '.')) > kDotsFree ||
         text.find("\\u002") != text.npos;
}

// What simdjson does not take as an object and is one all the same: numbers beyond 64 bits.
class ObjectReader : public nlohmann::json_sax<json> {
 public:
  // With `counts_dots` those of names count into the depth.
  ObjectReader(size_t depth_max, bool counts_dots)
      : depth_max_(depth_max), counts_dots_(counts_dots) {}

  bool null() override { return TakeValue(); }
  bool boolean(bool) override { return TakeValue(); }
  bool number_integer(number_integer_t) override { return TakeValue(); }
  bool number_unsigned(number_unsigned_t) override { return TakeValue(); }
  bool number_float(number_float_t, const string_t&) override { return TakeValue(); }
  bool string(string_t&) override { return TakeValue(); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override {
    has_own = has_own || IsInOurs();
    return Enter(false);
  }
  bool start_array(size_t) override { return TakeValue() && Enter(true); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }
  bool key(string_t& name) override {
    name_parts_ = counts_dots_ ? PartsOf(name) : 1;
    is_too_deep = is_too_deep || parts_ + name_parts_ > depth_max_;
    if (is_too_deep) return false;
    if (levels_.size() == 2 && is_ours_ && IsOrigin(name)) has_ours = true;
    if (levels_.size() != 1) return true;
    if (name == "@timestamp") has_timestamp = true;
    if (IsOriginPath(name)) has_ours = true;
    is_ours_ = name == kOurs;
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

  bool has_timestamp = false;
  bool has_own = false;   // a "drawbridge" that is an object
  bool has_ours = false;  // with a member that is ours, or something else in its place
  bool is_too_deep = false;

 private:
  // Whether what begins here is the value of "drawbridge".
  bool IsInOurs() const { return levels_.size() == 1 && is_ours_; }
  bool TakeValue() {
    has_ours = has_ours || IsInOurs();
    return !levels_.empty();
  }
  bool Enter(bool is_array) {
    size_t parts = 0;
    if (!levels_.empty()) parts = levels_.back().is_array ? 1 : name_parts_;
    levels_.push_back({.parts = parts, .is_array = is_array});
    parts_ += parts;
    is_too_deep = is_too_deep || levels_.size() > depth_max_ || parts_ > depth_max_;
    return !is_too_deep;
  }
  bool Leave() {
    parts_ -= levels_.back().parts;
    levels_.pop_back();
    return true;
  }

  struct Level {
    size_t parts = 0;  // of the path that leads here from the level above
    bool is_array = false;
  };

  const size_t depth_max_;
  const bool counts_dots_;
  std::vector<Level> levels_;
  size_t parts_ = 0;
  size_t name_parts_ = 0;  // of the last name
  bool is_ours_ = false;   // the last member at the top
};

}  // namespace

struct DocumentShaper::Parser {
  simdjson::dom::parser dom;
  std::string padded;
  std::vector<char> minified;
};

std::string JsonString(std::string_view text) {
  return json(std::string(text)).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string ToEngineTime(int64_t timestamp_ms) {
  const WallTime time = FromMicros(InEngineTime(timestamp_ms) * 1000);
  std::string text = ToRfc3339(time);  // ...53.589793Z
  text.erase(text.size() - 4, 3);
  return text;
}

DocumentShaper::DocumentShaper(std::string relay)
    : relay_(std::move(relay)), parser_(std::make_unique<Parser>()) {}

DocumentShaper::~DocumentShaper() = default;

DocumentShaper::Shape DocumentShaper::Look(std::string_view value, Found& found) {
  if (value.empty() || value.front() != '{') return Shape::kOther;
  simdjson::dom::parser& dom = parser_->dom;
  std::string& padded = parser_->padded;
  padded.assign(value);
  padded.append(simdjson::SIMDJSON_PADDING, '\0');
  if (dom.capacity() < value.size() || dom.max_depth() != kDepthMax) {
    if (dom.allocate(std::max<size_t>(value.size(), 4096), kDepthMax) != simdjson::SUCCESS) {
      return Shape::kOther;
    }
  }
  simdjson::dom::element parsed;
  const simdjson::error_code error = dom.parse(padded.data(), value.size(), false).get(parsed);
  if (error == simdjson::DEPTH_ERROR) return Shape::kTooDeep;
  if (error == simdjson::NUMBER_ERROR) return LookSlowly(value, found);
  simdjson::dom::object object;
  if (error != simdjson::SUCCESS || parsed.get(object) != simdjson::SUCCESS) return Shape::kOther;
  if (HasManyDots(value) && IsDeeperThan(kDepthMax, parsed)) return Shape::kTooDeep;
  for (const auto& member : object) {
    if (member.key == "@timestamp") found.has_timestamp = true;
    if (IsOriginPath(member.key)) return Shape::kOther;
    if (member.key != kOurs) continue;
    if (!IsOwn(member.value)) return Shape::kOther;
    found.has_own = true;
  }
  return Shape::kObject;
}

DocumentShaper::Shape DocumentShaper::LookSlowly(std::string_view value, Found& found) {
  ObjectReader reader(kDepthMax, HasManyDots(value));
  const bool is_object = json::sax_parse(value.begin(), value.end(), &reader);
  if (reader.is_too_deep) return Shape::kTooDeep;
  if (!is_object || reader.has_ours) return Shape::kOther;
  found = {.has_timestamp = reader.has_timestamp, .has_own = reader.has_own};
  return Shape::kObject;
}

Status DocumentShaper::Append(const Route& route, const Record& record, WallTime now,
                              std::string& out) {
  std::string_view value = record.value.value_or("");
  value.remove_prefix(std::min(value.find_first_not_of(kBlank), value.size()));
  value.remove_suffix(value.size() - (value.find_last_not_of(kBlank) + 1));
  // What a large one has taken is given back.
  if (parser_->padded.capacity() > kKeptBytesMax) *parser_ = Parser();
  Found found;
  switch (record.value ? Look(value, found) : Shape::kOther) {
    case Shape::kTooDeep:
      return {StatusCode::kInvalidArgument, Reason::kRecordRefused,
              fmt::format("nested deeper than {}, with the dots of its names", kDepthMax)};
    case Shape::kObject:
      AppendObject(value, found, route, record, now, out);
      return {};
    case Shape::kOther:
      break;
  }
  const std::string_view text = record.value.value_or("");
  const bool is_lossy = !simdjson::validate_utf8(text.data(), text.size());
  out += fmt::format(R"({{"message":{},"@timestamp":"{}","drawbridge":{{{}}}}})",
                     record.value ? JsonString(text) : "null", ToEngineTime(record.timestamp_ms),
                     Origin("", route, record.offset, relay_, now, is_lossy));
  return {};
}

void DocumentShaper::AppendObject(std::string_view value, const Found& found, const Route& route,
                                  const Record& record, WallTime now, std::string& out) {
  // A line end between two parts of an object is no part of it, and would end the document.
  if (value.find_first_of("\r\n") != value.npos) {
    std::vector<char>& minified = parser_->minified;
    minified.resize(value.size());
    size_t size = 0;
    if (simdjson::minify(value.data(), value.size(), minified.data(), size) == simdjson::SUCCESS) {
      value = {minified.data(), size};
    }
  }
  value.remove_suffix(1);  // its brace
  out += value;
  const bool is_empty = value.find_first_not_of(kBlank, 1) == value.npos;
  if (!is_empty) out += ',';
  if (!found.has_timestamp) {
    out += fmt::format(R"("@timestamp":"{}",)", ToEngineTime(record.timestamp_ms));
  }
  if (found.has_own) {
    out += Origin(kOursDotted, route, record.offset, relay_, now, false) + '}';
  } else {
    out += fmt::format(R"("drawbridge":{{{}}}}})",
                       Origin("", route, record.offset, relay_, now, false));
  }
}

std::string DeadLetterDocument(const Route& route, const Record& record, const Refusal& refusal,
                               const RefusedAt& at, const std::string& relay) {
  json document;
  Put(document, "key", record.key);
  Put(document, "value", record.value);
  for (const Header& header : record.headers) {
    json one;
    Put(one, "name", header.name);
    Put(one, "value", header.value);
    document["headers"].push_back(std::move(one));
  }
  document["timestamp_ms"] = record.timestamp_ms;
  document["@timestamp"] = ToRfc3339(at.last_seen);
  document["drawbridge"] = json::parse(
      fmt::format("{{{}}}", Origin("", route, record.offset, relay, at.last_seen, false)));
  document["drawbridge-error-topic"] = route.source_topic;
  document["drawbridge-error-bytes"] = record.bytes();
  document["drawbridge-error-status"] = refusal.status;
  document["drawbridge-error-type"] = refusal.type;
  document["drawbridge-error-caused-by"] = refusal.caused_by;
  document["drawbridge-error-reason"] = refusal.reason;
  document["drawbridge-error-group"] = refusal.group;
  document["drawbridge-error-bridge"] = at.bridge;
  document["drawbridge-error-index"] = at.index;
  document["drawbridge-error-attempts"] = at.attempts;
  document["drawbridge-error-first-seen"] = ToRfc3339(at.first_seen);
  document["drawbridge-error-last-seen"] = ToRfc3339(at.last_seen);
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

StatusOr<KeptRecord> ReadDeadLetter(const json& document) {
  KeptRecord kept;
  try {
    const json& origin = document.at("drawbridge");
    kept.route.source_topic = origin.at("topic");
    kept.route.partition = origin.at("partition");
    kept.route.source_epoch = origin.at("source_epoch");
    kept.route.source_cluster = std::stoull(origin.at("cluster").get<std::string>(), nullptr, 16);
    kept.offset = {origin.at("offset").get<int64_t>()};
    kept.timestamp_ms = document.at("timestamp_ms");
    kept.key = Get(document, "key");
    kept.value = Get(document, "value");
    for (const json& header : document.value("headers", json::array())) {
      kept.headers.emplace_back(Get(header, "name").value_or(""), Get(header, "value"));
    }
    kept.refusal = {.status = document.at("drawbridge-error-status"),
                    .type = document.at("drawbridge-error-type"),
                    .caused_by = document.at("drawbridge-error-caused-by"),
                    .reason = document.at("drawbridge-error-reason"),
                    .group = document.at("drawbridge-error-group")};
    kept.index = document.at("drawbridge-error-index");
    kept.attempts = document.at("drawbridge-error-attempts");
  } catch (const std::exception& error) {
    return Status(StatusCode::kDataLoss, Reason::kInternal,
                  fmt::format("this is no dead letter of ours: {}", error.what()));
  }
  return kept;
}

std::string RefusedAgain(const Refusal& refusal, const RefusedAt& at, const std::string& turn) {
  return json{{"doc",
               {{"drawbridge-error-status", refusal.status},
                {"drawbridge-error-type", refusal.type},
                {"drawbridge-error-caused-by", refusal.caused_by},
                {"drawbridge-error-reason", refusal.reason},
                {"drawbridge-error-index", at.index},
                {"drawbridge-error-attempts", at.attempts},
                {"drawbridge-error-last-seen", ToRfc3339(at.last_seen)},
                {"drawbridge-error-turn", turn}}}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string DeadLetterIndex(bool knows_final_pipelines) {
  json properties;
  for (const char* name :
       {"drawbridge-error-type", "drawbridge-error-caused-by", "drawbridge-error-group",
        "drawbridge-error-bridge", "drawbridge-error-topic", "drawbridge-error-index",
        "drawbridge-error-turn"}) {
    properties[name] = {{"type", "keyword"}, {"ignore_above", 1024}};
  }
  properties["drawbridge-error-reason"] = {{"type", "text"}};
  properties["drawbridge-error-bytes"] = {{"type", "long"}};
  properties["drawbridge-error-status"] = {{"type", "integer"}};
  properties["drawbridge-error-attempts"] = {{"type", "integer"}};
  for (const char* name :
       {"@timestamp", "drawbridge-error-first-seen", "drawbridge-error-last-seen"}) {
    properties[name] = {{"type", "date"}};
  }
  json settings{{"index.default_pipeline", "_none"}};
  if (knows_final_pipelines) settings["index.final_pipeline"] = "_none";
  return json{{"settings", settings},
              {"mappings", {{"dynamic", false}, {"properties", properties}}}}
      .dump();
}

}  // namespace drawbridge
