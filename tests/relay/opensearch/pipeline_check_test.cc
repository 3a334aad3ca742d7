#include "relay/opensearch/pipeline_check.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

PipelineTraits Read(const std::string& processors) {
  return ReadPipeline(fmt::format(R"({{"own":{{"processors":[{}]}}}})", processors));
}

TEST(PipelineCheckTest, FindsNothingInWhatOnlyAddsFields) {
  const PipelineTraits traits =
      Read(R"({"set":{"field":"event.id","value":"{{_id}}"}},{"remove":{"field":"own._id"}},)"
           R"({"set":{"field":"event.index","copy_from":"_index"}},)"
           R"({"script":{"source":"ctx.user_id = ctx.my_index_id"}})");
  EXPECT_THAT(traits.changes, IsEmpty());
  EXPECT_FALSE(traits.drops);
  EXPECT_THAT(traits.calls, IsEmpty());
}

TEST(PipelineCheckTest, FindsWhatNamesTheDocumentOrItsIndex) {
  EXPECT_EQ(Read(R"({"set":{"field":"_id","value":"1"}})").changes, "_id");
  EXPECT_EQ(Read(R"({"fingerprint":{"fields":["a"],"target_field":"_id"}})").changes, "_id");
  EXPECT_EQ(Read(R"({"script":{"source":"ctx['_index'] = ctx.tenant"}})").changes, "_index");
  EXPECT_EQ(Read(R"({"script":{"lang":"painless","source":"ctx._id = null"}})").changes, "_id");
  EXPECT_EQ(Read(R"({"remove":{"field":["a","_id"]}})").changes, "_id");
  EXPECT_EQ(Read(R"({"csv":{"field":"a","target_fields":["_id","host"]}})").changes, "_id");
  EXPECT_EQ(Read(R"({"script":{"source":"ctx[params.f] = 1","params":{"f":"_id"}}})").changes,
            "_id");
  EXPECT_EQ(Read(R"({"grok":{"field":"a","patterns":["%{WORD:_index} %{WORD:b}"]}})").changes,
            "_index");
  EXPECT_EQ(Read(R"({"date_index_name":{"field":"at"}})").changes, "date_index_name");
  EXPECT_EQ(Read(R"({"reroute":{"dataset":"x"}})").changes, "reroute");
}

TEST(PipelineCheckTest, FindsWhatSendsARecordToAnotherShardTheNextTime) {
  EXPECT_EQ(Read(R"({"set":{"field":"_routing","value":"{{_ingest.timestamp}}"}})").changes,
            "_routing");
  EXPECT_EQ(Read(R"({"set":{"field":"_routing","copy_from":"drawbridge.relay"}})").changes,
            "_routing");
  EXPECT_EQ(Read(R"({"script":{"source":"ctx._routing = params.now"}})").changes, "_routing");
  EXPECT_THAT(Read(R"({"set":{"field":"_routing","value":"{{tenant}}"}})").changes, IsEmpty());
}

TEST(PipelineCheckTest, LooksIntoProcessorsInsideOthers) {
  EXPECT_EQ(Read(R"({"foreach":{"field":"a","processor":{"set":{"field":"_index","value":"x"}}}})")
                .changes,
            "_index");
  EXPECT_EQ(Read(R"({"grok":{"field":"a","on_failure":[{"set":{"field":"_index","value":"x"}}]}})")
                .changes,
            "_index");
  EXPECT_EQ(ReadPipeline(
                R"({"own":{"processors":[],"on_failure":[{"set":{"field":"_id","value":"x"}}]}})")
                .changes,
            "_id");
}

TEST(PipelineCheckTest, TellsThatDocumentsAreThrownAway) {
  EXPECT_TRUE(Read(R"({"drop":{"if":"ctx.level == 'debug'"}})").drops);
}

TEST(PipelineCheckTest, TellsWhichOthersAreCalled) {
  EXPECT_THAT(Read(R"({"pipeline":{"name":"a"}},{"pipeline":{"name":"b"}})").calls,
              ElementsAre("a", "b"));
}

TEST(PipelineCheckTest, FindsNothingInAnAnswerThatIsNoPipeline) {
  for (const char* answer : {"", "[]", "{\"own\":7}", "{\"own\":{\"processors\":{}}}", "<html>"}) {
    EXPECT_THAT(ReadPipeline(answer).changes, IsEmpty()) << answer;
  }
}

}  // namespace
}  // namespace drawbridge
