#include "relay/opensearch/pipeline_check.h"

#include <algorithm>
#include <iterator>

#include <nlohmann/json.hpp>

namespace drawbridge {
namespace {

using nlohmann::json;

constexpr const char* kNames[] = {"_id", "_index"};
// Two shards can each have a document with the same id.
constexpr const char* kRouting = "_routing";
// Their work is to name the index.
constexpr std::string_view kNamers[] = {"date_index_name", "reroute"};
// No engine nests pipelines deeper, and they are read recursively.
constexpr int kDepthMax = 200;

bool IsWordPart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool HasWord(std::string_view text, std::string_view word) {
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    const bool is_start = at == 0 || !IsWordPart(text[at - 1]);
    if (is_start && (end == text.size() || !IsWordPart(text[end]))) return true;
  }
  return false;
}

// Texts in which names are parts.
bool IsText(std::string_view kind) {
  return kind == "script" || kind == "grok" || kind == "dissect" || kind == "gsub";
}

// Options whose values are read, or are for people.
bool IsRead(std::string_view option) {
  constexpr std::string_view kRead[] = {"value", "copy_from", "if", "tag", "description"};
  return std::ranges::find(kRead, option) != std::end(kRead);
}

// Whether the name is among the options of a processor, other than to be read.
bool Names(const json& options, std::string_view name, bool is_text) {
  if (options.is_string()) {
    const auto& text = options.get_ref<const std::string&>();
    return is_text ? HasWord(text, name) : text == name;
  }
  if (options.is_object()) {
    return std::ranges::any_of(options.items(), [&](const auto& item) {
      // Processors inside are looked at by themselves.
      const bool is_apart = item.key() == "processor" || item.key() == "on_failure";
      return !is_apart && !IsRead(item.key()) && Names(item.value(), name, is_text);
    });
  }
  return options.is_array() &&
         std::ranges::any_of(options, [&](const json& one) { return Names(one, name, is_text); });
}

// Whether a processor sets a field from nothing but the record, which is the same each time.
bool IsSteady(const std::string& kind, const json& options) {
  if (kind != "set") return false;
  for (const char* source : {"value", "copy_from"}) {
    const auto text = options.find(source);
    if (text == options.end() || !text->is_string()) continue;
    for (const char* moving : {"_ingest", "drawbridge"}) {
      if (HasWord(text->get_ref<const std::string&>(), moving)) return false;
    }
  }
  return true;
}

class Reader {
 public:
  void ReadAll(const json& processors) {
    if (!processors.is_array()) return;
    for (const json& processor : processors) Read(processor);
  }
  PipelineTraits&& traits() && { return std::move(traits_); }

 private:
  // {"set": {"field": …, "on_failure": […]}}
  void Read(const json& processor) {
    if (!processor.is_object()) return;
    for (const auto& [kind, options] : processor.items()) {
      if (!options.is_object()) continue;
      ReadOne(kind, options);
      if (const auto failure = options.find("on_failure"); failure != options.end()) {
        ReadAll(*failure);
      }
      // A foreach has one inside.
      if (const auto inner = options.find("processor"); inner != options.end()) Read(*inner);
    }
  }
  void ReadOne(const std::string& kind, const json& options) {
    if (kind == "drop") traits_.drops = true;
    if (kind == "pipeline") {
      const auto called = options.find("name");
      if (called != options.end() && called->is_string()) {
        traits_.calls.insert(called->get<std::string>());
      }
    }
    for (const std::string_view namer : kNamers) {
      if (kind == namer) traits_.changes = namer;
    }
    for (const char* name : kNames) {
      if (Names(options, name, IsText(kind))) traits_.changes = name;
    }
    if (Names(options, kRouting, IsText(kind)) && !IsSteady(kind, options)) {
      traits_.changes = kRouting;
    }
  }

  PipelineTraits traits_;
};

}  // namespace

PipelineTraits ReadPipeline(std::string_view answer) {
  Reader reader;
  const auto is_shallow = [](int depth, json::parse_event_t, const json&) {
    return depth < kDepthMax;
  };
  const json pipelines = json::parse(answer, is_shallow, false);
  if (!pipelines.is_object()) return {};
  for (const auto& [name, pipeline] : pipelines.items()) {
    if (!pipeline.is_object()) continue;
    reader.ReadAll(pipeline.value("processors", json::array()));
    reader.ReadAll(pipeline.value("on_failure", json::array()));
  }
  return std::move(reader).traits();
}

}  // namespace drawbridge
