#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/ids.h"
#include "model/offset.h"

namespace drawbridge {

// The name of the one header that Drawbridge adds.
inline constexpr std::string_view kProvenanceHeader = "drawbridge";

// 8 bytes that stand for a cluster: the first of SHA-256 of its id.
using ClusterKey = uint64_t;
ClusterKey ClusterKeyOf(std::string_view cluster_id);

// 8 bytes that stand for a topic: XXH3-64 of its name.
uint64_t TopicKeyOf(std::string_view topic);

// Where a record was first read and which clusters it has passed since: it names the record for
// de-duplication and audit, and keeps it from going round. 32 bytes big-endian, and 8 for each
// further cluster: version u8, flags u8, cluster u64, source epoch u16, partition u32, offset u64,
// topic u64, passed u64... A value.
struct Provenance {
  static constexpr uint8_t kVersion = 1;
  static constexpr uint8_t kHadNoTimestamp = 1;  // flag: the time is the time of sending
  static constexpr size_t kBytes = 32;

  uint8_t flags = 0;
  ClusterKey cluster = 0;
  uint16_t source_epoch = 0;
  uint32_t partition = 0;
  Offset offset;
  uint64_t topic = 0;
  std::vector<ClusterKey> passed;

  std::string Encode() const;

  // nullopt for a value of another version or length: it is not ours, and stays as it came.
  static std::optional<Provenance> Decode(std::string_view value);

  // Whether the record has been in this cluster.
  bool Names(ClusterKey key) const;

  friend bool operator==(const Provenance&, const Provenance&) = default;
};

// Writes the 32 bytes of a record that has passed no further cluster, without an allocation: this
// runs for every record.
class ProvenanceStamp {
 public:
  ProvenanceStamp(ClusterKey cluster, uint16_t source_epoch, PartitionNumber partition,
                  uint64_t topic);

  // Valid until the next call.
  std::string_view For(Offset offset, bool had_no_timestamp);

 private:
  std::array<char, Provenance::kBytes> bytes_{};
};

}  // namespace drawbridge
