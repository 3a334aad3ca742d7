#include "base/status.h"

#include <fmt/format.h>

namespace drawbridge {

Status Status::At(const std::string& path) const& {
  if (ok()) return *this;
  std::string field = path;
  if (!field_.empty()) field += field_.front() == '[' ? field_ : "." + field_;
  return {code_, reason_, message_, std::move(field)};
}

std::string Status::ToString() const {
  if (ok()) return "OK";
  std::string text = fmt::format("{}: {}", Name(reason_), message_);
  if (!field_.empty()) text += fmt::format(" ({})", field_);
  return text;
}

}  // namespace drawbridge
