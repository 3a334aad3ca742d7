#pragma once

#include "server/store/database.h"
#include "server/store/rows.h"

namespace drawbridge {

// Reads rows into values; within a transaction of the caller's.
StatusOr<StoredPartition> ReadPartition(Database& database, PartitionKey key);
StatusOr<DesiredState> ReadDesiredState(Database& database);

}  // namespace drawbridge
