#include "model/index_template.h"

#include <string>

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

constexpr int64_t kTime = 1'773'480'413'589;  // 2026-03-14T09:26:53.589Z

std::string Named(std::string_view text, std::string_view topic = "audit", int64_t time = kTime) {
  const StatusOr<IndexTemplate> made = IndexTemplate::Create(text);
  return made.ok() ? made->Apply(topic, time) : made.status().message();
}

TEST(IndexTemplateTest, PutsTopicAndTimeIntoTheName) {
  EXPECT_EQ(Named("logs-{topic}-{+yyyy.MM.dd}"), "logs-audit-2026.03.14");
  EXPECT_EQ(Named("logs-{+yyyy-MM}_{+dd-HH}"), "logs-2026-03_14-09");
  EXPECT_EQ(Named("logs"), "logs");
}

TEST(IndexTemplateTest, WritesATopicInLowerCase) {
  EXPECT_EQ(Named("l-{topic}", "Oci_VCN.Flow-1"), "l-oci_vcn.flow-1");
}

TEST(IndexTemplateTest, CountsDaysInUtcAndARecordWithoutTimeAsTheFirst) {
  EXPECT_EQ(Named("l-{+yyyy.MM.dd.HH}", "", 1'773'446'400'000 - 1), "l-2026.03.13.23");
  EXPECT_EQ(Named("l-{+yyyy.MM.dd.HH}", "", 1'773'446'400'000), "l-2026.03.14.00");
  EXPECT_EQ(Named("l-{+yyyy.MM.dd.HH}", "", -1), "l-1970.01.01.00");
}

TEST(IndexTemplateTest, IsTheSameForOneTopicWithTheTimeLeftOpen) {
  const auto made = IndexTemplate::Create("logs-{topic}-{+yyyy.MM.dd}");
  ASSERT_TRUE(made.ok());
  const std::string of_topic = made->ForTopic("Audit");

  EXPECT_EQ(of_topic, "logs-audit-{+yyyy.MM.dd}");
  EXPECT_EQ(Named(of_topic, "another"), made->Apply("Audit", kTime));
  EXPECT_TRUE(made->has_topic());
  EXPECT_TRUE(made->has_time());
  EXPECT_FALSE(IndexTemplate::Create("logs")->has_topic());
  EXPECT_FALSE(IndexTemplate::Create("logs")->has_time());
}

TEST(IndexTemplateTest, RefusesWhatIsNoNameOfAnIndex) {
  for (const std::string_view text : {"",
                                      "{topic}",
                                      "{+yyyy}",
                                      "-logs",
                                      "_logs",
                                      ".logs",
                                      "Logs",
                                      "lo gs",
                                      "lo*gs",
                                      "logs/x",
                                      "logs,x",
                                      "logs#",
                                      "lo\"gs",
                                      "lo\ngs",
                                      "l\xc3\xb6gs",
                                      "logs-{",
                                      "logs-{topic",
                                      "logs-}",
                                      "logs-{field}",
                                      "logs-{+}",
                                      "logs-{+.}",
                                      "logs-{+ww}",
                                      "logs-{+yyyy/MM}",
                                      "logs-{+yyyyM}",
                                      "logs-{ topic}",
                                      "<logs-{now}>"}) {
    EXPECT_FALSE(IndexTemplate::Create(text).ok()) << text;
  }
  EXPECT_FALSE(IndexTemplate::Create(std::string(256, 'l')).ok());
  EXPECT_TRUE(IndexTemplate::Create(std::string(255, 'l')).ok());
}

TEST(IndexTemplateTest, TellsWhichNamesItMayGive) {
  EXPECT_TRUE(IndexTemplate::Create("logs")->MayName("logs"));
  EXPECT_FALSE(IndexTemplate::Create("logs")->MayName("logs-dead"));
  EXPECT_TRUE(IndexTemplate::Create("logs-{topic}")->MayName("logs-dead"));
  EXPECT_FALSE(IndexTemplate::Create("logs-{topic}")->MayName("dead"));
}

TEST(IndexTemplateTest, TellsTheIndexesOfATopicFromThoseOfOthers) {
  const auto made = IndexTemplate::Create("logs-{topic}-{+yyyy.MM.dd}");
  ASSERT_TRUE(made.ok());

  EXPECT_EQ(made->Wildcard("Audit"), "logs-audit-*");
  EXPECT_TRUE(made->MayName("logs-audit-2019.12.31", "Audit"));
  EXPECT_FALSE(made->MayName("logs-audit-vcn-2019.12.31", "Audit"));
  EXPECT_FALSE(made->MayName("logs-audit-2019.12.31", "vcn"));
  EXPECT_FALSE(made->MayName("logs-audit-2019.12.3x", "Audit"));
  EXPECT_FALSE(made->MayName("logs-audit-2019.12.31-000001", "Audit"));
}

}  // namespace
}  // namespace drawbridge
