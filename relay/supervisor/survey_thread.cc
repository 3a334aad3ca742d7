#include "relay/supervisor/survey_thread.h"

#include <pthread.h>

#include "base/log.h"
#include "base/mutex.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.supervisor");

constexpr auto kEvery = 10s;
constexpr auto kEveryUntilComplete = 2s;

}  // namespace

SurveyThread::SurveyThread(std::function<StatusOr<std::unique_ptr<Survey>>()> make,
                           SurveyResult blank, OnResult on_result)
    : make_(std::move(make)),
      blank_(std::move(blank)),
      on_result_(std::move(on_result)),
      thread_([this](const std::stop_token& stop) { Loop(stop); }) {}

SurveyResult SurveyThread::Look(const std::stop_token& stop) {
  if (!survey_) {
    StatusOr<std::unique_ptr<Survey>> made = make_();
    if (!made.ok()) {
      SurveyResult result = blank_;
      result.conditions.push_back({.side = Side::kRelay,
                                   .reason = made.status().reason(),
                                   .text = made.status().message(),
                                   .bridge = blank_.bridge,
                                   .stream = std::nullopt,
                                   .partition = std::nullopt,
                                   .topic = {},
                                   .age = std::nullopt,
                                   .blocks = true});
      return result;
    }
    survey_ = *std::move(made);
  }
  return survey_->Look(stop);
}

void SurveyThread::Loop(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "survey");
  Mutex mutex;
  ConditionVariable stopped;
  while (!stop.stop_requested()) {
    bool is_complete = false;
    try {
      SurveyResult result = Look(stop);
      is_complete = result.is_complete;
      if (!stop.stop_requested()) on_result_(std::move(result));
    } catch (const std::exception& error) {
      kLog.Error("survey failed", {{"bridge", blank_.bridge}, {"text", error.what()}});
      survey_.reset();
    }
    std::unique_lock<Mutex> lock(mutex);
    stopped.wait_for(lock, stop, is_complete ? kEvery : kEveryUntilComplete, [] { return false; });
  }
}

}  // namespace drawbridge
