#pragma once

#include <set>
#include <string>
#include <string_view>

namespace drawbridge {

// What an ingest pipeline does to documents that matters to whoever promises each record once. An
// engine runs it on every document of an index, before it looks for one with the same id.
struct PipelineTraits {
  // What makes a record that is sent again another document: "_id", "_index", or the processor that
  // names the index. Empty: nothing does, as far as can be seen.
  std::string changes;
  // It throws documents away, which the engine reports as done.
  bool drops = false;
  // Other pipelines that it calls, which may do the same.
  std::set<std::string> calls;
};

// Reads the answer to GET _ingest/pipeline/NAME, with all processors inside others. A script is
// taken to change what its text names; one that is stored in the engine is not looked at.
PipelineTraits ReadPipeline(std::string_view answer);

}  // namespace drawbridge
