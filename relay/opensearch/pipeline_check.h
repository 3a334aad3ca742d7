#pragma once

#include <set>
#include <string>
#include <string_view>

namespace drawbridge {

// What an ingest pipeline does to documents that matters to whoever promises each record once. An
// engine runs it on every document of an index, before it looks for one with the same id.
struct PipelineTraits {
  // What may make a record that is sent again another document: "_id" or "_index", where a
  // processor names it other than to read it, or the processor whose work is to name the index; and
  // "_routing", unless it is set from the record alone. Empty: nothing does, as far as can be seen.
  std::string changes;
  // It throws documents away, which the engine reports as done.
  bool drops = false;
  // Other pipelines that it calls, which may do the same.
  std::set<std::string> calls;
};

// Reads the answer to GET _ingest/pipeline/NAME, with all processors inside others. A script or
// pattern is taken to change what its text names. Not seen: a script that is stored in the engine,
// and members of a record that a processor spreads into the document (json with add_to_root, kv).
PipelineTraits ReadPipeline(std::string_view answer);

}  // namespace drawbridge
