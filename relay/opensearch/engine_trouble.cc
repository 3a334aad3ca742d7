#include "relay/opensearch/engine_trouble.h"

#include <utility>

#include <fmt/format.h>

#include "base/log.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.opensearch");

constexpr Duration kShownAfter = 2s;  // what passes sooner is nobody's trouble

}  // namespace

void EngineTrouble::Note(Reason reason, const std::string& text, bool blocks, BootTime now) {
  if (!trouble_) since_ = now;
  if (trouble_ && trouble_->reason == reason) {
    kLog.Debug("engine still does not take records", {{"endpoint", endpoint_}, {"text", text}});
  } else {
    kLog.Warn("engine does not take records",
              {{"endpoint", endpoint_}, {"reason", Name(reason)}, {"text", text}});
  }
  trouble_ = Condition{.side = Side::kTarget,
                       .reason = reason,
                       .text = fmt::format("{}: {}", endpoint_, text),
                       .bridge = {},
                       .stream = std::nullopt,
                       .partition = std::nullopt,
                       .topic = {},
                       .age = std::nullopt,
                       .blocks = blocks};
}

std::optional<Condition> EngineTrouble::At(BootTime now) const {
  if (!trouble_) return std::nullopt;
  const Duration age = now - since_;
  if (!trouble_->blocks && age < kShownAfter) return std::nullopt;
  Condition trouble = *trouble_;
  trouble.age = age;
  return trouble;
}

}  // namespace drawbridge
