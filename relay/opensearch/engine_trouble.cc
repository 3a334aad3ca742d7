#include "relay/opensearch/engine_trouble.h"

#include <utility>

#include <fmt/format.h>

#include "base/log.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

const Log kLog("relay.opensearch");

constexpr Duration kShownAfter = 2s;  // what passes sooner is nobody's trouble
constexpr Duration kBlindFor = 10min;

}  // namespace

void EngineTrouble::Note(Reason reason, const std::string& text, bool blocks, BootTime now) {
  if (!trouble_) since_ = now;
  if (trouble_ && trouble_->reason == reason) {
    kLog.Debug("engine still does not take records", {{"endpoint", endpoint_}, {"text", text}});
  } else {
    kLog.Warn("engine does not take records",
              {{"endpoint", endpoint_}, {"reason", Name(reason)}, {"text", text}});
  }
  trouble_ = ConditionOf(reason, text);
  trouble_->blocks = blocks;
}

void EngineTrouble::Looked(const Status& status, BootTime now) {
  if (status.ok()) {
    blindness_.reset();
    return;
  }
  const std::string text = fmt::format(
      "what is sent again after a rollover may be there twice, since not all that is there can be "
      "found out: {}",
      status.message());
  if (!BlindnessAt(now)) {
    blind_since_ = now;
    kLog.Warn("records may be there twice", {{"endpoint", endpoint_}, {"text", text}});
  }
  blindness_ = ConditionOf(Reason::kAuthorizationFailed, text);
  blind_until_ = now + kBlindFor;
}

std::optional<Condition> EngineTrouble::At(BootTime now) const {
  if (!trouble_) return std::nullopt;
  const Duration age = now - since_;
  if (!trouble_->blocks && age < kShownAfter) return std::nullopt;
  Condition trouble = *trouble_;
  trouble.age = age;
  return trouble;
}

std::optional<Condition> EngineTrouble::OfAddress(const Status& why, BootTime since,
                                                  BootTime now) const {
  if (now - since < kShownAfter) return std::nullopt;
  Condition trouble = ConditionOf(why.reason(), why.message());
  trouble.age = now - since;
  return trouble;
}

std::optional<Condition> EngineTrouble::BlindnessAt(BootTime now) const {
  if (!blindness_ || now >= blind_until_) return std::nullopt;
  Condition blindness = *blindness_;
  blindness.age = now - blind_since_;
  return blindness;
}

Condition EngineTrouble::ConditionOf(Reason reason, const std::string& text) const {
  return {.side = Side::kTarget,
          .reason = reason,
          .text = fmt::format("{}: {}", endpoint_, text),
          .bridge = {},
          .stream = std::nullopt,
          .partition = std::nullopt,
          .topic = {},
          .age = std::nullopt,
          .blocks = false};
}

}  // namespace drawbridge
