#include "relay/kafka/topic_creation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Key;
using testing::Not;
using testing::Pair;

const Capabilities& kKafka = CapabilitiesOf(Profile::kKafka);
const Capabilities& kOci = CapabilitiesOf(Profile::kOciStreaming);

TEST(SettingsForCopyTest, TakesOverHowLongRecordsLast) {
  const TopicSettings copy = SettingsForCopy({{"cleanup.policy", "compact,delete"},
                                              {"retention.ms", "86400000"},
                                              {"retention.bytes", "-1"},
                                              {"delete.retention.ms", "3600000"},
                                              {"min.insync.replicas", "2"}},
                                             kKafka);

  EXPECT_THAT(copy, Contains(Pair("cleanup.policy", "compact,delete")));
  EXPECT_THAT(copy, Contains(Pair("retention.ms", "86400000")));
  EXPECT_THAT(copy, Contains(Pair("retention.bytes", "-1")));
  EXPECT_THAT(copy, Contains(Pair("delete.retention.ms", "3600000")));
  EXPECT_THAT(copy, Not(Contains(Key("min.insync.replicas"))));
}

TEST(SettingsForCopyTest, HasRoomForTheHeaderThatIsAdded) {
  EXPECT_THAT(SettingsForCopy({{"max.message.bytes", "1048588"}}, kKafka),
              Contains(Pair("max.message.bytes", "1114124")));
  EXPECT_THAT(SettingsForCopy({{"max.message.bytes", "2147483647"}}, kKafka),
              Contains(Pair("max.message.bytes", "2147483647")));
  EXPECT_THAT(SettingsForCopy({}, kOci), Contains(Pair("max.message.bytes", "1114112")));
  EXPECT_THAT(SettingsForCopy({}, kKafka), Not(Contains(Key("max.message.bytes"))));
}

TEST(SettingsForCopyTest, KeepsTheRecordsTimesWhateverTheyAre) {
  const TopicSettings copy = SettingsForCopy({{"message.timestamp.type", "LogAppendTime"}}, kKafka);

  EXPECT_THAT(copy, Contains(Pair("message.timestamp.type", "CreateTime")));
  EXPECT_THAT(copy, Contains(Pair("message.timestamp.after.max.ms", "9223372036854775807")));
  EXPECT_THAT(copy, Contains(Pair("message.timestamp.before.max.ms", "9223372036854775807")));
}

class ReduceTest : public testing::Test {
 protected:
  TopicSettings settings_{{"cleanup.policy", "compact"},
                          {"delete.retention.ms", "1"},
                          {"message.timestamp.after.max.ms", "2"},
                          {"message.timestamp.type", "CreateTime"},
                          {"retention.ms", "3"}};
};

TEST_F(ReduceTest, TakesOutWhatTheClusterNames) {
  EXPECT_TRUE(Reduce(settings_, "Unknown topic config name: message.timestamp.after.max.ms"));

  EXPECT_THAT(settings_, ElementsAre(Key("cleanup.policy"), Key("delete.retention.ms"),
                                     Key("message.timestamp.type"), Key("retention.ms")));
}

TEST_F(ReduceTest, DoesNotTakeOneNameForAnother) {
  EXPECT_TRUE(Reduce(settings_, "Invalid value 1 for configuration delete.retention.ms: no"));

  EXPECT_THAT(settings_, Not(Contains(Key("delete.retention.ms"))));
  EXPECT_THAT(settings_, Contains(Key("retention.ms")));
}

TEST_F(ReduceTest, FindsANameAtTheEndOfASentence) {
  EXPECT_TRUE(Reduce(settings_, "You may not set retention.ms. Ask the owner."));

  EXPECT_THAT(settings_, Not(Contains(Key("retention.ms"))));
}

TEST_F(ReduceTest, EndsWithAPlainTopicWhereNothingIsNamed) {
  EXPECT_TRUE(Reduce(settings_, "policy"));
  EXPECT_THAT(settings_, Not(Contains(Key("message.timestamp.after.max.ms"))));

  EXPECT_TRUE(Reduce(settings_, "policy"));
  EXPECT_THAT(settings_, ElementsAre(Key("cleanup.policy"), Key("message.timestamp.type")));

  EXPECT_TRUE(Reduce(settings_, "policy"));
  EXPECT_TRUE(settings_.empty());
  EXPECT_FALSE(Reduce(settings_, "policy"));
}

}  // namespace
}  // namespace drawbridge
