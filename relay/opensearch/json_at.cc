#include "relay/opensearch/json_at.h"

#include <nlohmann/json.hpp>

namespace drawbridge {

using nlohmann::json;

const json& At(const json& answer, std::initializer_list<const char*> path) {
  static const json kNothing;
  const json* at = &answer;
  for (const char* name : path) {
    const auto found = at->find(name);
    if (found == at->end()) return kNothing;
    at = &*found;
  }
  return at->is_discarded() ? kNothing : *at;
}

std::string TextAt(const json& answer, std::initializer_list<const char*> path) {
  const json& at = At(answer, path);
  return at.is_string() ? at.get<std::string>() : "";
}

double NumberAt(const json& answer, std::initializer_list<const char*> path) {
  const json& at = At(answer, path);
  return at.is_number() ? at.get<double>() : 0;
}

}  // namespace drawbridge
