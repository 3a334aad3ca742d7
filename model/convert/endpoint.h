#pragma once

#include "base/status.h"
#include "drawbridge/v1/endpoint.pb.h"
#include "model/definition.h"
#include "model/profile.h"

namespace drawbridge {

// What people write; the output-only fields stay empty.
v1::Endpoint ToProto(const EndpointSpec& endpoint);

// With the defaults filled in. Whether it makes sense is for Validate to say.
StatusOr<EndpointSpec> FromProto(const v1::Endpoint& message);

v1::Profile ToProto(Profile profile);

// PROFILE_UNSPECIFIED is the default, kKafka.
StatusOr<Profile> FromProto(v1::Profile message);

}  // namespace drawbridge
