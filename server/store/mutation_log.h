#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "server/store/database.h"
#include "server/store/rows.h"
#include "server/store/writer.h"

namespace drawbridge {

// Runs a change of desired state as one transaction with all that belongs to every such change: the
// record of the request (so that a repeated one changes nothing), the audit row and the new
// revision. Not a store by itself; the stores use it.
StatusOr<Receipt> Mutate(Writer& writer, const Clock& clock, const Mutation& mutation,
                         std::string_view action, std::string_view object,
                         const std::function<Status(Database&)>& change);

// The first call's answer, if a request of this id was recorded. REQUEST_ID_REUSED if it was
// another.
StatusOr<std::optional<Receipt>> FindReceipt(Database& database, const Mutation& mutation);

// A change that the server makes by itself: a new revision, without a request.
Status BumpRevision(Database& database);

// The revision that readers see.
StatusOr<int64_t> Revision(Database& database);

}  // namespace drawbridge
