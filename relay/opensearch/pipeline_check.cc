#include "relay/opensearch/pipeline_check.h"

#include <nlohmann/json.hpp>

namespace drawbridge {
namespace {

using nlohmann::json;

constexpr const char* kNames[] = {"_id", "_index"};
// Their work is to name the index.
constexpr std::string_view kNamers[] = {"date_index_name", "reroute"};

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

std::string TextOf(const json& options, const char* name) {
  const auto found = options.find(name);
  return found != options.end() && found->is_string() ? found->get<std::string>() : std::string();
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
    if (kind == "pipeline") traits_.calls.insert(TextOf(options, "name"));
    for (const std::string_view namer : kNamers) {
      if (kind == namer) traits_.changes = namer;
    }
    for (const char* name : kNames) {
      const bool is_written = TextOf(options, "field") == name ||
                              TextOf(options, "target_field") == name ||
                              (kind == "script" && HasWord(TextOf(options, "source"), name));
      if (is_written) traits_.changes = name;
    }
  }

  PipelineTraits traits_;
};

}  // namespace

PipelineTraits ReadPipeline(std::string_view answer) {
  Reader reader;
  const json pipelines = json::parse(answer, nullptr, false);
  if (!pipelines.is_object()) return {};
  for (const auto& [name, pipeline] : pipelines.items()) {
    if (!pipeline.is_object()) continue;
    reader.ReadAll(pipeline.value("processors", json::array()));
    reader.ReadAll(pipeline.value("on_failure", json::array()));
  }
  return std::move(reader).traits();
}

}  // namespace drawbridge
