#include "relay/letters/topic_letter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr int64_t kTime = 1'773'480'413'589;

class TopicLetterTest : public testing::Test {
 protected:
  TopicLetterTest() {
    route_.source_topic = "audit";
    route_.partition = 3;
    route_.source_epoch = 2;
    route_.source_cluster = 0xfedcba9876543210;
    record_.offset = {42};
    record_.timestamp_ms = kTime;
  }

  // The record as a topic gives it back.
  Record Written(LetterHeaders& headers) const {
    Record written;
    written.offset = {7};
    written.timestamp_ms = record_.timestamp_ms;
    written.key = record_.key;
    written.value = record_.value;
    written.headers = headers.headers();
    return written;
  }

  Route route_;
  Record record_;
  const Refusal refusal_{.status = 400,
                         .type = "mapper_parsing_exception",
                         .caused_by = "number_format_exception",
                         .reason = "failed to parse [n]",
                         .group = "failed to parse [?]"};
  const RefusedAt at_{.bridge = "logs",
                      .index = "logs-audit",
                      .attempts = 3,
                      .first_seen = FromMicros(kTime * 1000 + 1),
                      .last_seen = FromMicros(kTime * 1000 + 2)};
};

TEST_F(TopicLetterTest, IsReadAsItWasWritten) {
  LetterHeaders headers(record_, route_, refusal_, at_, "turn-1");

  const auto read = ReadTopicLetter(Written(headers));

  ASSERT_TRUE(read.ok()) << read.status().ToString();
  const auto& told = std::get<TopicLetter>(*read);
  EXPECT_EQ(told.bridge, "logs");
  EXPECT_EQ(told.turn, "turn-1");
  EXPECT_EQ(told.letter.id, "logs:fedcba9876543210:2:audit:3:42");
  EXPECT_EQ(told.letter.first_refused, at_.first_seen);
  EXPECT_EQ(told.letter.last_refused, at_.last_seen);
  const KeptRecord& kept = told.letter.kept;
  EXPECT_EQ(kept.offset, Offset{42});
  EXPECT_EQ(kept.timestamp_ms, kTime);
  EXPECT_EQ(kept.refusal.status, 400);
  EXPECT_EQ(kept.refusal.type, refusal_.type);
  EXPECT_EQ(kept.refusal.caused_by, refusal_.caused_by);
  EXPECT_EQ(kept.refusal.reason, refusal_.reason);
  EXPECT_EQ(kept.refusal.group, refusal_.group);
  EXPECT_EQ(kept.index, "logs-audit");
  EXPECT_EQ(kept.attempts, 3);
}

TEST_F(TopicLetterTest, LeavesTheRecordAsItCame) {
  const std::vector<Header> own = {{.name = "a", .value = std::nullopt},
                                   {.name = "a", .value = ""},
                                   {.name = "b", .value = std::string_view("\0\xff", 2)}};
  record_.headers = own;
  record_.key = "";
  record_.value = std::nullopt;
  LetterHeaders headers(record_, route_, refusal_, at_, {});

  const auto read = ReadTopicLetter(Written(headers));

  ASSERT_TRUE(read.ok()) << read.status().ToString();
  const KeptRecord& kept = std::get<TopicLetter>(*read).letter.kept;
  EXPECT_EQ(kept.key, "");
  EXPECT_EQ(kept.value, std::nullopt);
  EXPECT_THAT(kept.headers, ElementsAre(Pair("a", std::nullopt), Pair("a", ""),
                                        Pair("b", std::string("\0\xff", 2))));
}

TEST_F(TopicLetterTest, OfARecordThatWasALetterBeforeIsTheNewOne) {
  LetterHeaders before(record_, route_, refusal_, {.bridge = "other"}, {});
  const Record carried = Written(before);
  route_.source_topic = "letters-of-other";
  LetterHeaders headers(carried, route_, refusal_, at_, {});

  const auto read = ReadTopicLetter(Written(headers));

  ASSERT_TRUE(read.ok()) << read.status().ToString();
  const auto& told = std::get<TopicLetter>(*read);
  EXPECT_EQ(told.bridge, "logs");
  EXPECT_EQ(told.letter.kept.route.source_topic, "letters-of-other");
  EXPECT_EQ(told.letter.kept.headers.size(), before.headers().size());
}

TEST_F(TopicLetterTest, NamesItsOriginForWhoeverRemovesDuplicates) {
  LetterHeaders headers(record_, route_, refusal_, at_, {});

  const auto found = std::ranges::find(headers.headers(), kProvenanceHeader, &Header::name);
  ASSERT_NE(found, headers.headers().end());
  const auto origin = Provenance::Decode(found->value.value_or(""));
  ASSERT_TRUE(origin);
  EXPECT_EQ(origin->partition, 3U);
  EXPECT_EQ(origin->offset, Offset{42});
}

TEST_F(TopicLetterTest, IsNoForeignRecord) {
  record_.headers = {};
  EXPECT_EQ(ReadTopicLetter(record_).status().code(), StatusCode::kDataLoss);

  LetterHeaders headers(record_, route_, refusal_, at_, {});
  for (Header& header : headers.headers()) {
    if (header.name == "drawbridge-error-offset") header.value = "4x";
  }
  EXPECT_THAT(ReadTopicLetter(Written(headers)).status().message(),
              HasSubstr("drawbridge-error-offset"));
}

}  // namespace
}  // namespace drawbridge
