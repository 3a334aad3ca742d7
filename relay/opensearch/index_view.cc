#include "relay/opensearch/index_view.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fnmatch.h>
#include <nlohmann/json.hpp>

#include "relay/opensearch/bulk_answer.h"
#include "relay/opensearch/json_at.h"
#include "relay/opensearch/pipeline_check.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// That are looked at for one topic.
constexpr size_t kPipelinesMax = 20;

}  // namespace

StatusOr<IndexView::Settings> IndexView::SettingOf(const IndexTemplate& index,
                                                   const std::string& topic,
                                                   const std::string& name, Duration patience) {
  const std::string today = index.Apply(topic, ToMicros(clock_.WallNow()) / 1000);
  StatusOr<std::string> current = Setting(today, name, patience);
  if (!current.ok()) return current.status();
  Settings settings;
  if (!current->empty()) settings.emplace(today, *std::move(current));
  if (!index.has_time()) return settings;
  const std::string key = "index." + name;
  const StatusOr<HttpAnswer> said =
      engine_.Ask({.method = "GET",
                   .path = fmt::format("/{}/_settings/{}?flat_settings=true&expand_wildcards=open",
                                       index.Wildcard(topic), key)},
                  patience / 3);
  if (!said.ok()) return said.status();
  if (IsPassing(said->status)) return engine_.Refused(*said);
  if (said->status != 200) return settings;
  const json others = json::parse(said->body, nullptr, false);
  if (!others.is_object()) return settings;
  for (const auto& [other, its] : others.items()) {
    std::string text = TextAt(its, {"settings", key.c_str()});
    if (text.empty() || !index.MayName(other, topic)) continue;
    settings.emplace(other, std::move(text));
  }
  return settings;
}

StatusOr<std::string> IndexView::Setting(const std::string& index, const std::string& name,
                                         Duration patience) {
  patience /= 3;
  const StatusOr<HttpAnswer> has = engine_.Ask(
      {.method = "GET", .path = fmt::format("/{}/_settings?flat_settings=true", index)}, patience);
  if (!has.ok()) return has.status();
  const std::string key = "index." + name;
  if (IsPassing(has->status)) return engine_.Refused(*has);
  if (has->status == 200) {
    const json settings = json::parse(has->body, nullptr, false);
    if (!settings.is_object() || settings.empty()) return std::string();
    std::string written = settings.items().begin().key();
    if (settings.size() > 1) {
      StatusOr<std::string> found = WriteIndex(settings, index, patience);
      if (!found.ok()) return found.status();
      written = *std::move(found);
    }
    return TextAt(settings, {written.c_str(), "settings", key.c_str()});
  }
  // Without a body: an empty object would be a template without patterns, and is refused.
  const StatusOr<HttpAnswer> would = engine_.Ask(
      {.method = "POST", .path = fmt::format("/_index_template/_simulate_index/{}", index)},
      patience);
  if (!would.ok()) return would.status();
  if (IsPassing(would->status)) return engine_.Refused(*would);
  const json simulated = json::parse(would->body, nullptr, false);
  // Where no template of the newer kind fits, or is known, the older ones count.
  if (would->status != 200 || !At(simulated, {"template"}).is_object()) {
    return LegacySetting(index, key, patience);
  }
  const size_t dot = name.find('.');
  const std::string first = name.substr(0, dot);
  if (dot == name.npos) {
    return TextAt(simulated, {"template", "settings", "index", first.c_str()});
  }
  return TextAt(simulated,
                {"template", "settings", "index", first.c_str(), name.substr(dot + 1).c_str()});
}

StatusOr<std::string> IndexView::WriteIndex(const json& indexes, const std::string& name,
                                            Duration patience) {
  const StatusOr<HttpAnswer> has =
      engine_.Ask({.method = "GET", .path = "/_alias/" + name}, patience);
  if (!has.ok()) return has.status();
  if (IsPassing(has->status)) return engine_.Refused(*has);
  const json aliases = json::parse(has->body, nullptr, false);
  for (const auto& [index, its] : indexes.items()) {
    if (At(aliases, {index.c_str(), "aliases", name.c_str(), "is_write_index"}) == true) {
      return index;
    }
  }
  // A data stream writes the last one that it made, and numbers them.
  return std::prev(indexes.end()).key();
}

StatusOr<std::string> IndexView::LegacySetting(const std::string& index, const std::string& key,
                                               Duration patience) {
  const StatusOr<HttpAnswer> said = engine_.Ask(
      {.method = "GET",
       .path = "/_template?flat_settings=true&filter_path=*.order,*.index_patterns,*.settings"},
      patience);
  if (!said.ok()) return said.status();
  if (IsPassing(said->status)) return engine_.Refused(*said);
  // Not every user may ask; then nothing is known against it.
  if (said->status != 200) return std::string();
  const json templates = json::parse(said->body, nullptr, false);
  std::string setting;
  std::optional<double> order;
  for (const json& one : At(templates, {})) {
    const std::string text = TextAt(one, {"settings", key.c_str()});
    const double its_order = NumberAt(one, {"order"});
    // All that fit are applied, and of those that say something the last one counts.
    if (text.empty() || (order && its_order < *order)) continue;
    const json& patterns = At(one, {"index_patterns"});
    const bool fits = std::ranges::any_of(patterns, [&](const json& pattern) {
      return pattern.is_string() &&
             fnmatch(pattern.get_ref<const std::string&>().c_str(), index.c_str(), 0) == 0;
    });
    if (!fits) continue;
    setting = text;
    order = its_order;
  }
  return setting;
}

IndexView::Findings IndexView::Check(const IndexTemplate& index, const std::string& topic,
                                     Duration patience) {
  Findings found;
  const auto add = [&](const Status& status, bool blocks) {
    if (!status.ok()) found.problems.push_back({.status = status, .blocks = blocks});
  };
  const PipelineVerdict pipelines = CheckPipelines(index, topic, patience);
  const Status durable = CheckDurability(index, topic, patience);
  const bool is_async = durable.code() == StatusCode::kFailedPrecondition;
  const Status& unseen = pipelines.is_seen.ok() && !is_async ? durable : pipelines.is_seen;
  add(pipelines.keeps_ids, true);
  add(pipelines.keeps_all, false);
  add(is_async ? durable : Status(), false);
  add(unseen, false);
  found.is_seen = unseen.ok();
  return found;
}

IndexView::PipelineVerdict IndexView::CheckPipelines(const IndexTemplate& index,
                                                     const std::string& topic, Duration patience) {
  const BootTime end = clock_.Now() + patience;
  const auto left = [&] { return std::max<Duration>(end - clock_.Now(), 1ms); };
  PipelineVerdict verdict;
  std::deque<std::pair<std::string, std::string>> due;  // pipelines, and of which index
  for (const char* setting : {"default_pipeline", "final_pipeline"}) {
    const StatusOr<Settings> pipelines = SettingOf(index, topic, setting, left());
    if (!pipelines.ok()) {
      verdict.is_seen = pipelines.status();
      continue;
    }
    for (const auto& [its_index, pipeline] : *pipelines) {
      if (pipeline != "_none") due.emplace_back(pipeline, its_index);
    }
  }
  for (std::set<std::string> seen; !due.empty(); due.pop_front()) {
    const auto& [name, of] = due.front();
    if (!seen.insert(name).second) continue;
    if (seen.size() > kPipelinesMax) {
      verdict.is_seen = {StatusCode::kFailedPrecondition, Reason::kGuaranteeUnsupported,
                         fmt::format("{}: the pipelines of the index {} call each other, and of "
                                     "more than {} the rest was not looked at",
                                     engine_.endpoint(), of, kPipelinesMax)};
      break;
    }
    const StatusOr<HttpAnswer> answer = engine_.Ask(
        {.method = "GET", .path = "/_ingest/pipeline/" + HttpClient::Escaped(name)}, left());
    if (!answer.ok()) {
      verdict.is_seen = answer.status();
      break;
    }
    if (IsPassing(answer->status)) verdict.is_seen = engine_.Refused(*answer);
    if (answer->status != 200) continue;
    const PipelineTraits traits = ReadPipeline(answer->body);
    if (!traits.changes.empty()) {
      verdict.keeps_ids = {
          StatusCode::kFailedPrecondition, Reason::kGuaranteeUnsupported,
          fmt::format("{}: the pipeline {} of the index {} names {}: where it changes that, a "
                      "record which is sent again is there twice: take it out of the pipeline, "
                      "the pipeline from the index, or name another index",
                      engine_.endpoint(), name, of, traits.changes)};
    }
    if (traits.drops) {
      verdict.keeps_all = {
          StatusCode::kFailedPrecondition, Reason::kGuaranteeUnsupported,
          fmt::format("{}: the pipeline {} of the index {} has a drop processor: what it throws "
                      "away counts as delivered, and no search finds it",
                      engine_.endpoint(), name, of)};
    }
    for (const std::string& called : traits.calls) due.emplace_back(called, of);
  }
  return verdict;
}

Status IndexView::CheckDurability(const IndexTemplate& index, const std::string& topic,
                                  Duration patience) {
  const StatusOr<Settings> found = SettingOf(index, topic, "translog.durability", patience);
  if (!found.ok()) return found.status();
  for (const auto& [its_index, durability] : *found) {
    std::string word = durability;
    std::ranges::transform(word, word.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (word != "async") continue;
    return {StatusCode::kFailedPrecondition, Reason::kGuaranteeUnsupported,
            fmt::format("{}: the index {} has index.translog.durability async, so that it confirms "
                        "what a crash of its node can take: set it to request",
                        engine_.endpoint(), its_index)};
  }
  return {};
}

}  // namespace drawbridge
