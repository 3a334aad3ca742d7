#include "model/topic.h"

#include <gmock/gmock.h>

namespace drawbridge {
namespace {

TopicSelection Select(const std::vector<std::string>& selectors) {
  StatusOr<TopicSelection> selection = TopicSelection::Create(selectors);
  EXPECT_TRUE(selection.ok()) << selection.status().ToString();
  return *std::move(selection);
}

TopicTemplate Template(std::string_view text) {
  StatusOr<TopicTemplate> made = TopicTemplate::Create(text);
  EXPECT_TRUE(made.ok()) << made.status().ToString();
  return *std::move(made);
}

TEST(TopicNameTest, IsWhatKafkaTakes) {
  for (const std::string& name : {std::string("audit"), std::string("a.b_c-9"), std::string("__x"),
                                  std::string("..."), std::string(249, 'a')}) {
    EXPECT_TRUE(IsTopicName(name)) << name;
  }
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a b"), std::string("a/b"),
        std::string("a\n"), std::string("\xC3\xA4"), std::string("a\0b", 3),
        std::string(250, 'a')}) {
    EXPECT_FALSE(IsTopicName(name)) << name;
  }
}

TEST(TopicSelectionTest, CarriesTheTopicsThatAreNamed) {
  const TopicSelection selection = Select({"audit", "waf"});

  EXPECT_TRUE(selection.Matches("audit"));
  EXPECT_TRUE(selection.Matches("waf"));
  EXPECT_FALSE(selection.Matches("audit2"));
  EXPECT_FALSE(selection.has_patterns());
  EXPECT_THAT(selection.literals(), testing::ElementsAre("audit", "waf"));
}

TEST(TopicSelectionTest, MatchesAPatternWithTheWholeName) {
  const TopicSelection selection = Select({"/vcn-.*/"});

  EXPECT_TRUE(selection.Matches("vcn-flow"));
  EXPECT_TRUE(selection.Matches("vcn-"));
  EXPECT_FALSE(selection.Matches("my-vcn-flow"));
  EXPECT_FALSE(selection.Matches("vcn"));
}

TEST(TopicSelectionTest, KeepsADotInANameLiteral) { EXPECT_FALSE(Select({"a.b"}).Matches("axb")); }

TEST(TopicSelectionTest, CarriesInternalTopicsOnlyWhenNamed) {
  const TopicSelection everything = Select({"/.*/"});
  const TopicSelection named = Select({"__audit", "_schemas", "/.*/"});

  EXPECT_FALSE(everything.Matches("__consumer_offsets"));
  EXPECT_FALSE(everything.Matches("_schemas"));
  EXPECT_TRUE(everything.Matches("_own"));
  EXPECT_TRUE(named.Matches("__audit"));
  EXPECT_TRUE(named.Matches("_schemas"));
  EXPECT_FALSE(named.Matches("__consumer_offsets"));
}

TEST(TopicSelectionTest, SaysWhichPatternDoesNotCompile) {
  const StatusOr<TopicSelection> selection = TopicSelection::Create({"audit", "/(/"});

  ASSERT_FALSE(selection.ok());
  EXPECT_EQ(selection.status().reason(), Reason::kPatternInvalid);
  EXPECT_EQ(selection.status().field(), "[1]");
}

TEST(TopicSelectionTest, SaysWhichNameKafkaWouldRefuse) {
  for (const char* const name : {"", "a b", "/", "/open", "caf\xC3\xA9"}) {
    const StatusOr<TopicSelection> selection = TopicSelection::Create({"audit", "waf", name});

    ASSERT_FALSE(selection.ok()) << name;
    EXPECT_EQ(selection.status().reason(), Reason::kFieldInvalid);
    EXPECT_EQ(selection.status().field(), "[2]");
  }
}

TEST(TopicSelectionTest, WantsAtLeastOneTopic) {
  EXPECT_EQ(TopicSelection::Create({}).status().reason(), Reason::kFieldInvalid);
}

// RE2 runs in linear time, so a pattern that would stall another engine is only a pattern.
TEST(TopicSelectionTest, IsNotStalledByAPattern) {
  const TopicSelection selection = Select({"/(a*)*b/"});

  EXPECT_FALSE(selection.Matches(std::string(249, 'a')));
}

TEST(TopicTemplateTest, PutsTheTopicIntoItsPlace) {
  EXPECT_EQ(Template("oci.{topic}.v1").Apply("audit"), "oci.audit.v1");
  EXPECT_EQ(Template("{topic}").Apply("audit"), "audit");
  EXPECT_EQ(Template("all").Apply("audit"), "all");
}

TEST(TopicTemplateTest, FindsTheTopicThatANameCameFrom) {
  EXPECT_EQ(Template("oci.{topic}.v1").Inverse("oci.audit.v1"), "audit");
  EXPECT_EQ(Template("{topic}").Inverse("audit"), "audit");
}

TEST(TopicTemplateTest, FindsNoneForANameThatItDoesNotMake) {
  for (const char* const name : {"audit", "oci.v1", "oci..v1", "oci.audit", "xoci.audit.v1"}) {
    EXPECT_FALSE(Template("oci.{topic}.v1").Inverse(name).has_value()) << name;
  }
  EXPECT_FALSE(Template("all").Inverse("all").has_value());
}

TEST(TopicTemplateTest, KnowsWhetherItChangesNames) {
  EXPECT_TRUE(Template("{topic}").is_identity());
  EXPECT_FALSE(Template("x{topic}").is_identity());
  EXPECT_FALSE(Template("topic").is_identity());
}

TEST(TopicTemplateTest, RefusesWhatMakesNoName) {
  for (const char* const text : {"", "{topic}{topic}", "{Topic}", "{bridge}.{topic}", "a b", "..",
                                 "oci/{topic}", "{topic"}) {
    const StatusOr<TopicTemplate> made = TopicTemplate::Create(text);

    ASSERT_FALSE(made.ok()) << text;
    EXPECT_EQ(made.status().reason(), Reason::kFieldInvalid);
  }
}

class EchoTest : public testing::Test {
 protected:
  // What comes back from the target: its "audit", as "oci.audit".
  std::vector<TopicFlow> back_ = {{Select({"audit"}), Template("oci.{topic}")}};
};

TEST_F(EchoTest, IsATopicThatAReverseFlowMade) {
  EXPECT_TRUE(IsEcho("oci.audit", Template("aws.{topic}"), back_));
}

TEST_F(EchoTest, IsNoTopicOfThisSideItself) {
  EXPECT_FALSE(IsEcho("audit", Template("aws.{topic}"), back_));
  EXPECT_FALSE(IsEcho("oci.waf", Template("aws.{topic}"), back_));
  EXPECT_FALSE(IsEcho("oci.audit", Template("aws.{topic}"), {}));
}

TEST_F(EchoTest, IsNoTopicThatBothSidesShareOnPurpose) {
  const std::vector<TopicFlow> same = {{Select({"audit"}), Template("{topic}")}};

  EXPECT_FALSE(IsEcho("audit", Template("{topic}"), same));
}

}  // namespace
}  // namespace drawbridge
