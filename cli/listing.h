#pragma once

#include "cli/session.h"
#include "cli/values.h"
#include "drawbridge/v1/stream.pb.h"

// Lists that come in pages, read to their end.
namespace drawbridge::cli {

Result<v1::ListPartitionsResponse> AllPartitions(Session& session, const StreamName& stream);
Result<v1::ListGapsResponse> AllGaps(Session& session, const StreamName& stream);
Result<v1::ListDeadLettersResponse> AllDeadLetters(Session& session, const StreamName& stream);

}  // namespace drawbridge::cli
