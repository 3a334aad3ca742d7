#pragma once

#include <string>

#include "base/status.h"
#include "model/definition.h"

namespace drawbridge {

// How definitions lie in the `spec` columns: JSON with the field names of the API. Unknown fields
// of a newer version are ignored; migrations take care of renamed ones.
std::string ToJson(const EndpointSpec& endpoint);
std::string ToJson(const BridgeSpec& bridge);
std::string ToJson(const Labels& labels);
StatusOr<EndpointSpec> EndpointFromJson(const std::string& text);
StatusOr<BridgeSpec> BridgeFromJson(const std::string& text);
StatusOr<Labels> LabelsFromJson(const std::string& text);

}  // namespace drawbridge
