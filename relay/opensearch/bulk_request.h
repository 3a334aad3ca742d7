#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "relay/opensearch/document.h"

namespace drawbridge {

// What a `_bulk` is asked for: the status of every item, so that items and documents stay side by
// side, and of errors what tells them apart.
inline constexpr std::string_view kBulkPath =
    "/_bulk?timeout=20s&filter_path=took,errors,items.*._id,items.*.status,items.*.error.type,"
    "items.*.error.reason,items.*.error.caused_by.type,items.*.error.caused_by.reason,"
    "items.*.failure_store,items.*.result";

// What the names of a bridge's requests begin with, in the engine's logs and its list of tasks.
std::string TaskPrefix(std::string_view bridge);

// Appends the line that stands before a document: it is made, or is there already.
void AppendCreate(std::string_view index, std::string_view id, std::string& body);

// Appends a record and the line before it: under its id in the index. Nothing is appended for one
// that no engine must get: the status says why.
Status AppendRecord(std::string_view index, const Route& route, const Record& record, WallTime now,
                    DocumentShaper& shaper, std::string& body);

// Compressed for Content-Encoding: gzip; kInternal if there is no memory for it.
StatusOr<std::string> Gzip(std::string_view body);

}  // namespace drawbridge
