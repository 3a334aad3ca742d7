#pragma once

#include <string>

#include "base/status.h"
#include "drawbridge/v1/bridge.pb.h"
#include "model/definition.h"
#include "model/profile.h"

namespace drawbridge {

// What people write; the output-only fields stay empty.
v1::Bridge ToProto(const BridgeSpec& bridge);

// With the defaults filled in. Whether it makes sense is for Validate to say.
StatusOr<BridgeSpec> FromProto(const v1::Bridge& message);

// The same where the name stands apart. The field of an error is relative to `message`.
StatusOr<BridgeSpec> FromProto(const std::string& name, const v1::BridgeSpec& message);

v1::Compression ToProto(Compression compression);

// COMPRESSION_UNSPECIFIED is kDefault.
StatusOr<Compression> FromProto(v1::Compression message);

}  // namespace drawbridge
