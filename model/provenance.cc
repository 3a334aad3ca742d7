#include "model/provenance.h"

#include <algorithm>

#include <openssl/sha.h>
#include <xxhash.h>

namespace drawbridge {
namespace {

template <typename Number>
void Put(char* at, Number number) {
  for (size_t i = 0; i < sizeof(Number); ++i) {
    at[i] = static_cast<char>(static_cast<uint64_t>(number) >> (8 * (sizeof(Number) - 1 - i)));
  }
}

template <typename Number>
Number Take(const char* at) {
  uint64_t number = 0;
  for (size_t i = 0; i < sizeof(Number); ++i) number = number << 8 | static_cast<uint8_t>(at[i]);
  return static_cast<Number>(number);
}

// Offsets of the fields.
constexpr size_t kFlags = 1;
constexpr size_t kCluster = 2;
constexpr size_t kSourceEpoch = 10;
constexpr size_t kPartition = 12;
constexpr size_t kOffset = 16;
constexpr size_t kTopic = 24;

}  // namespace

ClusterKey ClusterKeyOf(std::string_view cluster_id) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(cluster_id.data()), cluster_id.size(),
         digest.data());
  uint64_t key = 0;
  for (size_t i = 0; i < 8; ++i) key = key << 8 | digest.at(i);
  return key;
}

uint64_t TopicKeyOf(std::string_view topic) { return XXH3_64bits(topic.data(), topic.size()); }

std::string Provenance::Encode() const {
  std::string bytes(kBytes + 8 * passed.size(), '\0');
  char* const at = bytes.data();
  Put(at, kVersion);
  Put(at + kFlags, flags);
  Put(at + kCluster, cluster);
  Put(at + kSourceEpoch, source_epoch);
  Put(at + kPartition, partition);
  Put(at + kOffset, offset.value);
  Put(at + kTopic, topic);
  for (size_t i = 0; i < passed.size(); ++i) Put(at + kBytes + 8 * i, passed[i]);
  return bytes;
}

std::optional<Provenance> Provenance::Decode(std::string_view value) {
  if (value.size() < kBytes || value.size() % 8 != 0 || Take<uint8_t>(value.data()) != kVersion) {
    return std::nullopt;
  }
  const char* const at = value.data();
  Provenance provenance{.flags = Take<uint8_t>(at + kFlags),
                        .cluster = Take<ClusterKey>(at + kCluster),
                        .source_epoch = Take<uint16_t>(at + kSourceEpoch),
                        .partition = Take<uint32_t>(at + kPartition),
                        .offset = {Take<int64_t>(at + kOffset)},
                        .topic = Take<uint64_t>(at + kTopic),
                        .passed = {}};
  for (size_t i = kBytes; i < value.size(); i += 8) {
    provenance.passed.push_back(Take<ClusterKey>(at + i));
  }
  return provenance;
}

bool Provenance::Names(ClusterKey key) const {
  return cluster == key || std::ranges::find(passed, key) != passed.end();
}

ProvenanceStamp::ProvenanceStamp(ClusterKey cluster, uint16_t source_epoch,
                                 PartitionNumber partition, uint64_t topic) {
  const std::string bytes = Provenance{
      .flags = 0,
      .cluster = cluster,
      .source_epoch = source_epoch,
      .partition = static_cast<uint32_t>(partition),
      .offset = {},
      .topic = topic,
      .passed = {}}.Encode();
  std::ranges::copy(bytes, bytes_.begin());
}

std::string_view ProvenanceStamp::For(Offset offset, bool had_no_timestamp) {
  Put(bytes_.data() + kFlags, had_no_timestamp ? Provenance::kHadNoTimestamp : uint8_t{0});
  Put(bytes_.data() + kOffset, offset.value);
  return {bytes_.data(), bytes_.size()};
}

}  // namespace drawbridge
