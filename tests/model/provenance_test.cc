#include "model/provenance.h"

#include <limits>

#include <gmock/gmock.h>

namespace drawbridge {
namespace {

using namespace std::string_literals;

const Provenance kOrigin{.flags = Provenance::kHadNoTimestamp,
                         .cluster = 0x0102030405060708,
                         .source_epoch = 0x1112,
                         .partition = 0x21222324,
                         .offset = {0x3132333435363738},
                         .topic = 0x4142434445464748,
                         .passed = {}};
// Version, flags, cluster, source epoch, partition, offset, topic.
const std::string kOriginBytes =
    "\x01\x01"
    "\x01\x02\x03\x04\x05\x06\x07\x08"
    "\x11\x12"
    "\x21\x22\x23\x24"
    "\x31\x32\x33\x34\x35\x36\x37\x38"
    "\x41\x42\x43\x44\x45\x46\x47\x48"s;

TEST(ProvenanceTest, Has32BytesBigEndian) { EXPECT_EQ(kOrigin.Encode(), kOriginBytes); }

TEST(ProvenanceTest, Has8BytesMoreForEachClusterPassed) {
  Provenance passed = kOrigin;
  passed.passed = {0x5152535455565758, 0xFFFEFDFCFBFAF9F8};

  EXPECT_EQ(passed.Encode(), kOriginBytes +
                                 "\x51\x52\x53\x54\x55\x56\x57\x58"
                                 "\xFF\xFE\xFD\xFC\xFB\xFA\xF9\xF8"s);
}

TEST(ProvenanceTest, ReadsBackWhatItWrote) {
  Provenance passed = kOrigin;
  passed.passed = {1, std::numeric_limits<ClusterKey>::max()};

  EXPECT_EQ(Provenance::Decode(kOrigin.Encode()), kOrigin);
  EXPECT_EQ(Provenance::Decode(passed.Encode()), passed);
}

TEST(ProvenanceTest, IsNotOursInAnotherVersion) {
  for (const char version : {'\x00', '\x02', '1', '\xFF'}) {
    std::string bytes = kOriginBytes;
    bytes.front() = version;

    EXPECT_FALSE(Provenance::Decode(bytes).has_value());
  }
}

TEST(ProvenanceTest, IsNotOursInAnotherLength) {
  for (size_t bytes = 0; bytes < 80; ++bytes) {
    std::string value = kOriginBytes;
    value.resize(bytes);

    const bool is_ours =
        bytes == 32 || bytes == 40 || bytes == 48 || bytes == 56 || bytes == 64 || bytes == 72;
    EXPECT_EQ(Provenance::Decode(value).has_value(), is_ours) << bytes;
  }
}

TEST(ProvenanceTest, KeepsFlagsOfANewerWriter) {
  std::string bytes = kOriginBytes;
  bytes[1] = '\x83';

  const std::optional<Provenance> provenance = Provenance::Decode(bytes);

  ASSERT_TRUE(provenance.has_value());
  EXPECT_EQ(provenance->Encode(), bytes);
}

TEST(ProvenanceTest, NamesEveryClusterThatTheRecordHasBeenIn) {
  Provenance passed = kOrigin;
  passed.passed = {7, 8};

  EXPECT_TRUE(passed.Names(kOrigin.cluster));
  EXPECT_TRUE(passed.Names(7));
  EXPECT_TRUE(passed.Names(8));
  EXPECT_FALSE(passed.Names(9));
}

TEST(ProvenanceStampTest, WritesTheSameBytesForEachRecord) {
  ProvenanceStamp stamp(kOrigin.cluster, kOrigin.source_epoch,
                        static_cast<PartitionNumber>(kOrigin.partition), kOrigin.topic);
  Provenance next = kOrigin;
  next.flags = 0;
  next.offset = {5};

  EXPECT_EQ(stamp.For(kOrigin.offset, true), kOriginBytes);
  EXPECT_EQ(stamp.For(Offset{5}, false), next.Encode());
}

// Another program must come to the same keys: these are the published values of both hashes.
TEST(ClusterKeyTest, IsTheBeginningOfSha256) {
  EXPECT_EQ(ClusterKeyOf("abc"), 0xba7816bf8f01cfea);
  EXPECT_EQ(ClusterKeyOf(""), 0xe3b0c44298fc1c14);
}

TEST(TopicKeyTest, IsXxh3) { EXPECT_EQ(TopicKeyOf(""), 0x2d06800538d394c2); }

TEST(TopicKeyTest, TellsTopicsApart) { EXPECT_NE(TopicKeyOf("audit"), TopicKeyOf("audit-2")); }

}  // namespace
}  // namespace drawbridge
