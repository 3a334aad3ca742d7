#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "relay/pipeline/survey.h"

namespace drawbridge {

// Looks at a bridge's clusters again and again: every ten seconds once all of it could be seen,
// every two before. Ends with its destructor.
class SurveyThread {
 public:
  using OnResult = std::function<void(SurveyResult)>;

  // `make` is called on the thread, and again while it fails; `on_result` is called there too.
  SurveyThread(std::function<StatusOr<std::unique_ptr<Survey>>()> make, SurveyResult blank,
               OnResult on_result);

 private:
  void Loop(const std::stop_token& stop);
  SurveyResult Look(const std::stop_token& stop);

  const std::function<StatusOr<std::unique_ptr<Survey>>()> make_;
  const SurveyResult blank_;  // names the bridge and its generation
  const OnResult on_result_;
  std::unique_ptr<Survey> survey_;
  std::jthread thread_;
};

}  // namespace drawbridge
