#include "relay/opensearch/engine_survey.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 4s;
constexpr Duration kCheckEvery = 60s;  // what templates and pipelines do to an index
// For all of a look's topics: a survey that takes longer is no news.
constexpr Duration kChecksPatience = 5s;

}  // namespace

StatusOr<std::unique_ptr<EngineSurvey>> EngineSurvey::Open(BridgeAssignment bridge,
                                                           SearchEngine engine,
                                                           std::unique_ptr<Survey> source,
                                                           const Clock& clock,
                                                           MakeLetters make_letters) {
  StatusOr<IndexTemplate> index = IndexTemplate::Create(bridge.spec.target.index);
  if (!index.ok()) return index.status().At("target.index");
  StatusOr<std::unique_ptr<EngineView>> view = EngineView::Open(std::move(engine));
  if (!view.ok()) return view.status();
  return std::unique_ptr<EngineSurvey>(new EngineSurvey(std::move(bridge), *std::move(index),
                                                        *std::move(view), std::move(source), clock,
                                                        std::move(make_letters)));
}

EngineSurvey::EngineSurvey(BridgeAssignment bridge, IndexTemplate index,
                           std::unique_ptr<EngineView> engine, std::unique_ptr<Survey> source,
                           const Clock& clock, MakeLetters make_letters)
    : bridge_(std::move(bridge)),
      index_(std::move(index)),
      engine_(std::move(engine)),
      source_(std::move(source)),
      clock_(clock),
      make_letters_(make_letters ? std::move(make_letters) : [this](Duration patience) {
        return engine_->MakeDeadLetterIndex(bridge_.spec.target.letters(), patience);
      }) {}

void EngineSurvey::Note(SurveyResult& result, const Status& status, bool blocks,
                        const std::string& topic) const {
  result.conditions.push_back({.side = Side::kTarget,
                               .reason = status.reason(),
                               .text = status.message(),
                               .bridge = bridge_.bridge,
                               .stream = std::nullopt,
                               .partition = std::nullopt,
                               .topic = topic,
                               .age = std::nullopt,
                               .blocks = blocks});
}

bool EngineSurvey::Reach(SurveyResult& result) {
  const StatusOr<EngineIdentity> identity = engine_->Identify(kPatience);
  if (!identity.ok()) {
    Note(result, identity.status(), true);
    return false;
  }
  result.target_cluster_id = identity->cluster_id;
  const Status made = make_letters_(kPatience);
  if (!made.ok()) Note(result, made, true);
  return made.ok();
}

std::vector<std::pair<Status, bool>> EngineSurvey::ProblemsOf(const std::string& topic) {
  std::vector<std::pair<Status, bool>> problems;
  const std::string name = index_.Apply(topic, ToMicros(clock_.WallNow()) / 1000);
  if (name.size() > IndexTemplate::kNameBytesMax) {
    problems.emplace_back(
        Status(StatusCode::kInvalidArgument, Reason::kFieldInvalid,
               fmt::format("the index {} has more than {} letters: shorten target.index, or give "
                           "the topic a bridge of its own",
                           name, IndexTemplate::kNameBytesMax)),
        true);
    return problems;
  }
  const auto pipelines = engine_->CheckPipelines(name, kPatience);
  if (!pipelines.ok()) {
    problems.emplace_back(pipelines.status(), false);
  } else {
    if (!pipelines->keeps_ids.ok()) problems.emplace_back(pipelines->keeps_ids, true);
    if (!pipelines->keeps_all.ok()) problems.emplace_back(pipelines->keeps_all, false);
  }
  const StatusOr<bool> is_durable = engine_->IsDurable(name, kPatience);
  if (is_durable.ok() && !*is_durable) {
    problems.emplace_back(
        Status(StatusCode::kFailedPrecondition, Reason::kGuaranteeUnsupported,
               fmt::format("{}: the index {} has index.translog.durability async, so that it "
                           "confirms what a power cut can take: set it to request",
                           engine_->endpoint(), name)),
        false);
  }
  return problems;
}

bool EngineSurvey::CheckIndex(SurveyResult& result, const std::string& topic, BootTime until) {
  const BootTime now = clock_.Now();
  const auto [found, is_new] = checked_.try_emplace(topic);
  Checked& checked = found->second;
  if (now < until && (is_new || now - checked.at >= kCheckEvery)) {
    checked = {.problems = ProblemsOf(topic), .at = now};
  } else if (is_new) {
    checked_.erase(found);  // the next look does it
    return false;
  }
  bool may_run = true;
  for (const auto& [status, blocks] : checked.problems) {
    Note(result, status, blocks, topic);
    may_run = may_run && !blocks;
  }
  return may_run;
}

SurveyResult EngineSurvey::Look(const std::stop_token& stop) {
  SurveyResult result = source_->Look(stop);
  if (stop.stop_requested()) return result;
  const bool is_reached = Reach(result);
  was_reached_ = was_reached_ || is_reached;
  result.is_complete = result.is_complete && is_reached;
  const BootTime until = clock_.Now() + kChecksPatience;
  for (SurveyedTopic& topic : result.topics) {
    topic.target_topic = index_.ForTopic(topic.topic);
    const bool is_ready = was_reached_ && (!is_reached || stop.stop_requested() ||
                                           CheckIndex(result, topic.topic, until));
    topic.target_partitions = is_ready ? static_cast<int>(topic.partitions.size()) : 0;
    for (SurveyedPartition& one : topic.partitions) one.is_target_ready = is_ready;
  }
  return result;
}

}  // namespace drawbridge
