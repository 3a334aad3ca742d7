#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "model/observation.h"

namespace drawbridge {

// What is wrong with an engine at present: said once in the log, and shown when it does not pass in
// a moment. Not thread-safe.
class EngineTrouble {
 public:
  // `endpoint` is named in the text.
  explicit EngineTrouble(std::string endpoint) : endpoint_(std::move(endpoint)) {}

  // `blocks`: nobody gets through, so that it is shown at once, and no partition waits for it.
  void Note(Reason reason, const std::string& text, bool blocks, BootTime now);
  void Passed() { trouble_.reset(); }

  // What was there before was looked for where it may be in several indexes. Unless `status` is OK
  // not all of it could be seen, so that a record may be there twice: known until a look sees all,
  // or for ten minutes after the last one that did not.
  void Looked(const Status& status, BootTime now);

  // One of several addresses that keeps nobody out, as others answer.
  std::optional<Condition> OfAddress(const Status& why, BootTime since, BootTime now) const;
  // What keeps records out.
  std::optional<Condition> At(BootTime now) const;
  // What may put them there twice.
  std::optional<Condition> BlindnessAt(BootTime now) const;

 private:
  Condition ConditionOf(Reason reason, const std::string& text) const;

  const std::string endpoint_;
  std::optional<Condition> trouble_;
  BootTime since_{};
  std::optional<Condition> blindness_;
  BootTime blind_since_{};
  BootTime blind_until_{};
};

}  // namespace drawbridge
