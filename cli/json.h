#pragma once

#include <string>

#include <google/protobuf/message.h>
#include <nlohmann/json.hpp>

#include "cli/failure.h"

namespace drawbridge::cli {

using Json = nlohmann::ordered_json;

// A message as scripts read it: fields under their proto names, every one of them there. Numbers
// are numbers (64-bit ones too), what is unknown is null, times are RFC 3339, durations are seconds
// under a name that says so ("lag_seconds"), enum values are the words without their prefix
// ("CATCHING_UP"), hashes are hexadecimal text.
Json ToJson(const google::protobuf::Message& message);

// {"errors": [{"reason", "message", "field", "file", "line", "column"}]}, null where not known.
Json ToJson(const Failure& failure);

// With line breaks, for people and for jq alike.
std::string Pretty(const Json& json);

// In one line.
std::string Compact(const Json& json);

}  // namespace drawbridge::cli
