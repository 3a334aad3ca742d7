#include "model/profile.h"

#include <array>
#include <cstddef>

namespace drawbridge {
namespace {

using enum Compression;

const std::array<Capabilities, 9>& Table() {
  static const std::array<Capabilities, 9> table = {{
      {.name = "kafka", .codecs = {kZstd, kLz4, kSnappy, kGzip, kNone}},
      // Compression is not documented; uncompressed always works.
      {.name = "oci-streaming",
       .idempotence = false,
       .codecs = {kNone, kZstd, kLz4, kSnappy, kGzip},
       .record_bytes_max = 1 << 20,
       .request_bytes_max = 1'000'000,
       .create_partitions = false,
       .fetch_bytes = 1 << 20,
       .fetch_wait_ms = 1000},
      {.name = "aws-msk", .codecs = {kZstd, kLz4, kSnappy, kGzip, kNone}},
      {.name = "msk-serverless",
       .codecs = {kZstd, kLz4, kSnappy, kGzip, kNone},
       .record_bytes_max = 8'000'000},
      {.name = "azure-event-hubs",
       .codecs = {kNone, kGzip},
       .record_bytes_max = 1'000'000,
       .request_bytes_max = 1'046'528,
       .request_timeout_ms = 60'000},
      {.name = "google-managed-kafka", .codecs = {kZstd, kLz4, kSnappy, kGzip, kNone}},
      {.name = "confluent-cloud", .codecs = {kZstd, kLz4, kSnappy, kGzip, kNone}},
      {.name = "redpanda", .codecs = {kZstd, kLz4, kSnappy, kGzip, kNone}},
      {.name = "aiven", .codecs = {kZstd, kLz4, kSnappy, kGzip, kNone}},
  }};
  return table;
}

}  // namespace

const Capabilities& CapabilitiesOf(Profile profile) {
  return Table().at(static_cast<size_t>(profile));
}

std::optional<Profile> ProfileFromName(std::string_view name) {
  for (size_t i = 0; i < Table().size(); ++i) {
    if (Table().at(i).name == name) return static_cast<Profile>(i);
  }
  return std::nullopt;
}

std::string_view Name(Compression compression) {
  switch (compression) {
    case kDefault:
      return "default";
    case kNone:
      return "none";
    case kGzip:
      return "gzip";
    case kSnappy:
      return "snappy";
    case kLz4:
      return "lz4";
    case kZstd:
      return "zstd";
  }
  return "default";
}

}  // namespace drawbridge
