#pragma once

#include <initializer_list>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace drawbridge {

// What an engine's answer has at a path of names, whatever came as the answer: null, "" or 0 where
// there is nothing, or another kind of value, there or on the way.
const nlohmann::json& At(const nlohmann::json& answer, std::initializer_list<const char*> path);
std::string TextAt(const nlohmann::json& answer, std::initializer_list<const char*> path);
double NumberAt(const nlohmann::json& answer, std::initializer_list<const char*> path);

}  // namespace drawbridge
