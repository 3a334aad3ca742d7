#pragma once

#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "model/assignment.h"
#include "model/observation.h"

namespace drawbridge {

// A bridge's two clusters, looked at from outside its lanes: topics, partitions, positions; and the
// one who makes what is missing at the target. Each look is a full one. Waits for the clusters, so
// it has a thread of its own; runs on that thread only.
class Survey {
 public:
  virtual ~Survey() = default;

  // Looks once. Never fails: what cannot be seen is a condition of the result. Returns soon after
  // `stop` is requested.
  virtual SurveyResult Look(const std::stop_token& stop) = 0;
};

}  // namespace drawbridge
