#include "model/profile.h"

#include <gmock/gmock.h>

namespace drawbridge {
namespace {

using testing::Contains;
using testing::Each;
using testing::Ne;

std::vector<Profile> AllProfiles() {
  std::vector<Profile> all;
  for (int i = 0; i <= static_cast<int>(Profile::kAiven); ++i) all.push_back(Profile{i});
  return all;
}

TEST(ProfileTest, EveryProfileIsFoundByItsName) {
  for (const Profile profile : AllProfiles()) {
    EXPECT_EQ(ProfileFromName(CapabilitiesOf(profile).name), profile);
  }
}

TEST(ProfileTest, KnowsTheNamesOfTheDefinitions) {
  EXPECT_EQ(ProfileFromName("kafka"), Profile::kKafka);
  EXPECT_EQ(ProfileFromName("oci-streaming"), Profile::kOciStreaming);
  EXPECT_EQ(ProfileFromName("azure-event-hubs"), Profile::kAzureEventHubs);
  EXPECT_EQ(ProfileFromName("aiven"), Profile::kAiven);
}

TEST(ProfileTest, KnowsNoOtherNames) {
  for (const std::string_view name : {"", "Kafka", "kafka ", "oci_streaming", "pulsar"}) {
    EXPECT_FALSE(ProfileFromName(name).has_value()) << name;
  }
}

TEST(ProfileTest, EveryProfileTakesUncompressedRecords) {
  for (const Profile profile : AllProfiles()) {
    const Capabilities& capabilities = CapabilitiesOf(profile);

    EXPECT_THAT(capabilities.codecs, Contains(Compression::kNone)) << capabilities.name;
    EXPECT_THAT(capabilities.codecs, Each(Ne(Compression::kDefault)));
  }
}

TEST(ProfileTest, OciStreamingPromisesNoIdempotence) {
  const Capabilities& oci = CapabilitiesOf(Profile::kOciStreaming);

  EXPECT_FALSE(oci.idempotence);
  EXPECT_FALSE(oci.create_partitions);
  EXPECT_EQ(oci.request_bytes_max, 1'000'000);
}

TEST(ProfileTest, CompressionsHaveTheNamesOfTheCodecs) {
  EXPECT_EQ(Name(Compression::kZstd), "zstd");
  EXPECT_EQ(Name(Compression::kLz4), "lz4");
  EXPECT_EQ(Name(Compression::kNone), "none");
  EXPECT_EQ(Name(Compression::kDefault), "default");
}

}  // namespace
}  // namespace drawbridge
