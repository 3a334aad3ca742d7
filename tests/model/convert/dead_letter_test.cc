#include "model/convert/dead_letter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/convert/messages.h"

namespace drawbridge {
namespace {

TEST(DeadLetterTest, KeepsAll) {
  const auto message = FromText<v1::DeadLetterPage>(R"(
      letters {
        topic: "audit" partition: 3 offset: 41 source_epoch: 2 timestamp_ms: 1773480413589
        key: "\377" value: "" value_bytes: 5
        headers { name: "h" value: "\000" }
        error: "group" status: 400 reason: "why" index: "logs" attempts: 2
        first_refused_at { seconds: 1773480413 nanos: 1000 }
        last_refused_at { seconds: 1773480414 nanos: 2000 }
      }
      total: 7)");
  EXPECT_THAT(UnsetFields(message), testing::IsEmpty());

  const auto page = FromProto(message);

  ASSERT_TRUE(page.ok()) << page.status().ToString();
  EXPECT_THAT(ToProto(*page), EqualsMessage(message));
}

TEST(DeadLetterTest, TellsNullFromEmpty) {
  v1::DeadLetter message;
  message.mutable_first_refused_at();
  message.mutable_last_refused_at();
  message.add_headers()->set_name("h");

  const auto letter = FromProto(message);

  ASSERT_TRUE(letter.ok()) << letter.status().ToString();
  EXPECT_EQ(letter->value, std::nullopt);
  EXPECT_EQ(letter->headers.at(0).second, std::nullopt);
  EXPECT_FALSE(ToProto(*letter).has_value());
}

TEST(DeadLetterTest, IsRefusedWithNumbersThatCannotBe) {
  v1::DeadLetter message;
  message.set_offset(-1);

  EXPECT_EQ(FromProto(message).status().field(), "offset");
}

TEST(RetriedDeadLettersTest, KeepAll) {
  const auto message = FromText<v1::RetriedDeadLetters>(R"(
      groups { topic: "audit" partition: 3 error: "group" records: 2 }
      refused: 1 left: 4 turn: "ab")");
  EXPECT_THAT(UnsetFields(message), testing::IsEmpty());

  const auto retried = FromProto(message);

  ASSERT_TRUE(retried.ok()) << retried.status().ToString();
  EXPECT_THAT(ToProto(*retried), EqualsMessage(message));
}

TEST(RetriedDeadLettersTest, AreRefusedWithoutATurnOrWithGroupsOfNothing) {
  v1::RetriedDeadLetters message;
  EXPECT_EQ(FromProto(message).status().field(), "turn");

  message.set_turn("t");
  message.add_groups()->set_topic("audit");

  EXPECT_EQ(FromProto(message).status().field(), "groups[0].records");
}

}  // namespace
}  // namespace drawbridge
