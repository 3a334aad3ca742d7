#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "cli/failure.h"
#include "drawbridge/v1/bridge.pb.h"

namespace drawbridge::cli {

// What a file of definitions says, and where it says it.
struct Definitions {
  // Only the endpoints and bridges are set.
  v1::ApplyRequest request;
  // By path as the file spells it: "bridges.oci-logs.target.topic".
  std::map<std::string, FilePosition> positions;
};

// Turns a YAML file into definitions. It judges the form: names of fields, types, names that stand
// twice, certificates that cannot be read; what the values mean is the server's to judge. All
// problems are reported, each with its line.
//
// `file_name` is what messages call it; certificates are looked for from `folder`.
Result<Definitions> ReadDefinitions(const std::string& text, const std::string& file_name,
                                    const std::filesystem::path& folder);

// Says where in the file the value stands that the server refused, by the path in `field`
// ("bridges[oci-logs].target.topic"). Leaves the problem alone when the file has no such value.
void Locate(const Definitions& definitions, Problem& problem);

}  // namespace drawbridge::cli
