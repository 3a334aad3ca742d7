#include "relay/pipeline/echo_filter.h"

namespace drawbridge {

std::optional<Provenance> ProvenanceOf(const Record& record) {
  // A reversed view would be shorter, but clang 14 refuses those of libstdc++ 12.
  for (auto header = record.headers.rbegin(); header != record.headers.rend(); ++header) {
    if (header->name != kProvenanceHeader || !header->value) continue;
    if (auto provenance = Provenance::Decode(*header->value)) return provenance;
  }
  return std::nullopt;
}

std::vector<FilteredRange> EchoFilter::Apply(Batch& batch) const {
  std::vector<FilteredRange> runs;
  if (!target_) return runs;
  std::erase_if(batch.records, [&](const Record& record) {
    if (record.headers.empty()) return false;
    const std::optional<Provenance> provenance = ProvenanceOf(record);
    if (!provenance || !provenance->Names(*target_)) return false;
    if (runs.empty() || runs.back().range.end != record.offset) {
      runs.push_back({.range = {record.offset, record.offset}, .records = 0});
    }
    runs.back().range.end = Next(record.offset);
    ++runs.back().records;
    return true;
  });
  return runs;
}

}  // namespace drawbridge
