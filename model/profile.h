#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace drawbridge {

// The service behind an endpoint.
enum class Profile {
  kKafka,
  kOciStreaming,
  kAwsMsk,
  kMskServerless,
  kAzureEventHubs,
  kGoogleManagedKafka,
  kConfluentCloud,
  kRedpanda,
  kAiven,
};

enum class Compression { kDefault, kNone, kGzip, kSnappy, kLz4, kZstd };

// What a service can and cannot do, as far as its makers document it; what they do not, a relay
// finds out. docs/providers.md has the sources.
struct Capabilities {
  std::string_view name;  // as written in a definition: "oci-streaming"
  bool idempotence = true;
  // Codecs that the service takes; the first one is the default.
  std::vector<Compression> codecs;
  // Largest record and request; nullopt: a setting of the topic.
  std::optional<int64_t> record_bytes_max = std::nullopt;
  std::optional<int64_t> request_bytes_max = std::nullopt;
  bool headers = true;
  bool create_topics = true;
  bool create_partitions = true;
  // How much a source lane asks for per partition and fetch, bytes.
  int64_t fetch_bytes = 4 << 20;
  // How long an empty fetch waits at the broker, milliseconds.
  int fetch_wait_ms = 500;
  // How long a request may take, milliseconds.
  int request_timeout_ms = 30'000;
};

const Capabilities& CapabilitiesOf(Profile profile);

// The profile written so in a definition; nullopt for an unknown word.
std::optional<Profile> ProfileFromName(std::string_view name);

// "zstd" for kZstd; "default" for kDefault.
std::string_view Name(Compression compression);

}  // namespace drawbridge
