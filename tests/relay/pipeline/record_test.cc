#include "relay/pipeline/record.h"

#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "tests/relay/pipeline/batches.h"

namespace drawbridge {
namespace {

using Text = std::optional<std::string_view>;

uint64_t HashOf(Text key, Text value, std::vector<Header> headers = {}) {
  Record record = RecordAt(7, key, value);
  record.headers = headers;
  return RecordHash(record);
}

TEST(RecordTest, HashesTheSameRecordToTheSameWhereverItLies) {
  const std::string key = "key";
  const std::string value = "value";

  EXPECT_EQ(HashOf("key", "value", {{"a", "1"}}), HashOf(key, value, {{"a", "1"}}));
}

TEST(RecordTest, TellsNullFromEmpty) {
  EXPECT_NE(HashOf(std::nullopt, "v"), HashOf("", "v"));
  EXPECT_NE(HashOf("k", std::nullopt), HashOf("k", ""));
  EXPECT_NE(HashOf("k", "v", {{"a", std::nullopt}}), HashOf("k", "v", {{"a", ""}}));
}

TEST(RecordTest, TellsKeyFromValue) {
  EXPECT_NE(HashOf("a", "b"), HashOf("b", "a"));
  EXPECT_NE(HashOf("a", std::nullopt), HashOf(std::nullopt, "a"));
}

TEST(RecordTest, TellsWhereOneTextEndsAndTheNextBegins) {
  EXPECT_NE(HashOf("ab", "c"), HashOf("a", "bc"));
  EXPECT_NE(HashOf("k", "v", {{"ab", "c"}}), HashOf("k", "v", {{"a", "bc"}}));
}

TEST(RecordTest, TellsTheOrderOfHeaders) {
  EXPECT_NE(HashOf("k", "v", {{"a", "1"}, {"b", "2"}}), HashOf("k", "v", {{"b", "2"}, {"a", "1"}}));
}

TEST(RecordTest, TellsARepeatedHeaderFromOne) {
  EXPECT_NE(HashOf("k", "v", {{"a", "1"}, {"a", "1"}}), HashOf("k", "v", {{"a", "1"}}));
  EXPECT_NE(HashOf("k", "v", {{"", ""}}), HashOf("k", "v"));
}

TEST(RecordTest, TellsZeroBytesApart) {
  using namespace std::string_view_literals;

  EXPECT_NE(HashOf("k", "\0"sv), HashOf("k", "\0\0"sv));
  EXPECT_NE(HashOf("k", "\0"sv), HashOf("k", ""sv));
}

TEST(RecordTest, CountsTheBytesOfKeyValueAndHeaders) {
  const std::vector<Header> headers{{"name", "12"}, {"null", std::nullopt}};
  Record record = RecordAt(7, "key", std::nullopt);
  record.headers = headers;

  EXPECT_EQ(record.bytes(), 3U + 4U + 2U + 4U);
}

TEST(RecordTest, AnchorsARecordByItsPlaceTimeAndContent) {
  const Record record = RecordAt(7, "key", "value");

  EXPECT_EQ(
      AnchorOf(record),
      (Anchor{.offset = {7}, .timestamp_ms = record.timestamp_ms, .hash = HashOf("key", "value")}));
}

TEST(RecordTest, GivesItsBytesBackOnce) {
  int given_back = 0;
  {
    Record record = RecordAt(7);
    record.owner = RecordOwner(&given_back, [](void* count) { ++*static_cast<int*>(count); });
    const Record moved = std::move(record);
  }

  EXPECT_EQ(given_back, 1);
}

}  // namespace
}  // namespace drawbridge
