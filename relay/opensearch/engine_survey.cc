#include "relay/opensearch/engine_survey.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 4s;
// What templates and pipelines do to an index: where something is wrong, somebody may be mending
// it.
constexpr Duration kCheckEvery = 60s;
constexpr Duration kCheckTroubledEvery = 10s;
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
        return MakeLetterIndex(patience);
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
  // Another cluster than the one that is meant, which the server tells: nothing is made there.
  const std::string& meant = bridge_.target_cluster_id;
  const bool is_told = !meant.empty() && !identity->cluster_id.empty();
  if (is_told && identity->cluster_id != meant) return false;
  const Status made = make_letters_(kPatience);
  if (!made.ok()) Note(result, made, true);
  CheckDisks();
  if (!disks_.ok()) Note(result, disks_, false);
  return made.ok();
}

Status EngineSurvey::MakeLetterIndex(Duration patience) {
  const std::string& name = bridge_.spec.target.letters();
  if (Status made = engine_->MakeDeadLetterIndex(name, patience); !made.ok()) return made;
  const StatusOr<IndexTemplate> index = IndexTemplate::Create(name);
  if (!index.ok()) return index.status();
  const BootTime now = clock_.Now();
  if (letters_at_ && now - *letters_at_ < (letters_.ok() ? kCheckEvery : kCheckTroubledEvery)) {
    return letters_;
  }
  letters_at_ = now;
  const IndexView::PipelineVerdict pipelines =
      IndexView(*engine_, clock_).CheckPipelines(*index, {}, patience);
  // What was found against it holds until it is seen to be mended.
  if (!pipelines.keeps_ids.ok()) {
    letters_ = pipelines.keeps_ids;
  } else if (!pipelines.keeps_all.ok() || pipelines.is_seen.ok()) {
    letters_ = pipelines.keeps_all;
  }
  return letters_;
}

// Not every engine says how full its disks are, nor to everybody.
void EngineSurvey::CheckDisks() {
  const BootTime now = clock_.Now();
  if (disks_at_ && now - *disks_at_ < (disks_.ok() ? kCheckEvery : kCheckTroubledEvery)) return;
  disks_at_ = now;
  const StatusOr<std::string> disks = engine_->CheckDisks(kPatience);
  disks_ = disks.status().code() == StatusCode::kFailedPrecondition ? disks.status() : Status();
}

bool EngineSurvey::Checked::blocks() const {
  return std::ranges::any_of(problems, &IndexView::Problem::blocks);
}

EngineSurvey::Checked EngineSurvey::ProblemsOf(const std::string& topic, bool& is_seen) {
  Checked found{.problems = {}, .at = clock_.Now()};
  const std::string name = index_.Apply(topic, ToMicros(clock_.WallNow()) / 1000);
  if (name.size() > IndexTemplate::kNameBytesMax) {
    found.problems.push_back(
        {.status = {StatusCode::kInvalidArgument, Reason::kFieldInvalid,
                    fmt::format("the index {} has more than {} letters: shorten target.index, or "
                                "give the topic a bridge of its own",
                                name, IndexTemplate::kNameBytesMax)},
         .blocks = true});
    return found;
  }
  const Status rights = engine_->CheckRights(name, kPatience);
  if (rights.code() == StatusCode::kPermissionDenied) {
    found.problems.push_back({.status = rights, .blocks = true});
  }
  IndexView::Findings its = IndexView(*engine_, clock_).Check(index_, topic, kPatience);
  is_seen = its.is_seen;
  std::ranges::move(its.problems, std::back_inserter(found.problems));
  return found;
}

void EngineSurvey::CheckIndex(const std::string& topic) {
  bool is_seen = true;
  Checked found = ProblemsOf(topic, is_seen);
  Checked& checked = checked_[topic];
  // What was found against it holds until it is seen to be mended.
  if (!is_seen && checked.blocks() && !found.blocks()) found.problems = checked.problems;
  checked = std::move(found);
}

void EngineSurvey::CheckIndexes(const std::vector<SurveyedTopic>& topics,
                                const std::stop_token& stop) {
  const BootTime now = clock_.Now();
  std::vector<std::pair<BootTime, std::string>> due;  // when it was looked at last, and the topic
  for (const SurveyedTopic& topic : topics) {
    const auto known = checked_.find(topic.topic);
    if (known == checked_.end()) {
      due.emplace_back(BootTime::min(), topic.topic);
      continue;
    }
    const Checked& checked = known->second;
    const Duration every = checked.problems.empty() ? kCheckEvery : kCheckTroubledEvery;
    if (now - checked.at >= every) due.emplace_back(checked.at, topic.topic);
  }
  std::ranges::sort(due);
  for (const auto& [at, topic] : due) {
    if (stop.stop_requested() || clock_.Now() - now >= kChecksPatience) return;
    CheckIndex(topic);
  }
}

bool EngineSurvey::MayRun(const std::string& topic) const {
  const auto known = checked_.find(topic);
  return known != checked_.end() && !known->second.blocks();  // else the next look does it
}

void EngineSurvey::NoteProblems(SurveyResult& result, const std::string& topic) const {
  const auto known = checked_.find(topic);
  if (known == checked_.end()) return;
  for (const IndexView::Problem& problem : known->second.problems) {
    Note(result, problem.status, problem.blocks, topic);
  }
}

SurveyResult EngineSurvey::Look(const std::stop_token& stop) {
  SurveyResult result = source_->Look(stop);
  if (stop.stop_requested()) return result;
  const bool is_reached = Reach(result);
  result.is_complete = result.is_complete && is_reached;
  if (is_reached) CheckIndexes(result.topics, stop);
  for (SurveyedTopic& topic : result.topics) {
    topic.target_topic = index_.ForTopic(topic.topic);
    const bool is_ready = MayRun(topic.topic);
    if (is_reached) NoteProblems(result, topic.topic);
    topic.target_partitions = is_ready ? static_cast<int>(topic.partitions.size()) : 0;
    for (SurveyedPartition& one : topic.partitions) one.is_target_ready = is_ready;
  }
  return result;
}

}  // namespace drawbridge
