#include "relay/opensearch/bulk_answer.h"

#include <gtest/gtest.h>

#include "model/checkpoint.h"

namespace drawbridge {
namespace {

BulkItem Item(int status, std::string type = {}, std::string reason = {},
              std::string caused_by = {}) {
  return {.error = {.status = status,
                    .type = std::move(type),
                    .reason = std::move(reason),
                    .caused_by = std::move(caused_by),
                    .caused_by_reason = {}}};
}

// --- Outcomes -----------------------------------------------------------------------------------

TEST(OutcomeTest, CountsWhatIsMadeOrThereAsDelivered) {
  EXPECT_EQ(OutcomeOf(Item(201)), ItemOutcome::kDelivered);
  EXPECT_EQ(OutcomeOf(Item(200)), ItemOutcome::kDelivered);
  EXPECT_EQ(OutcomeOf(Item(409, "version_conflict_engine_exception")), ItemOutcome::kThere);
}

TEST(OutcomeTest, TakesBackPressureForPassing) {
  EXPECT_EQ(OutcomeOf(Item(429, "es_rejected_execution_exception")), ItemOutcome::kBackPressure);
  EXPECT_EQ(OutcomeOf(Item(429, "circuit_breaking_exception")), ItemOutcome::kBackPressure);
  EXPECT_EQ(OutcomeOf(Item(503, "unavailable_shards_exception")), ItemOutcome::kPassing);
  EXPECT_EQ(OutcomeOf(Item(500, "whatever")), ItemOutcome::kPassing);
}

TEST(OutcomeTest, DoesNotBlameTheRecordForTheEngine) {
  for (const BulkItem& item :
       {Item(404, "index_not_found_exception"), Item(403, "security_exception"),
        Item(403, "cluster_block_exception", "FORBIDDEN/8/index write (api)"),
        Item(429, "cluster_block_exception",
             "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark"),
        Item(400, "validation_exception",
             "this action would add [2] total shards, but this cluster currently has "
             "[1000]/[1000] maximum shards open"),
        Item(400, "illegal_argument_exception",
             "Validation Failed: 1: this action would add [2] shards, maximum normal shards open"),
        Item(400, "illegal_argument_exception",
             "Document ID is not supported in create/index operation request"),
        Item(400, "illegal_argument_exception", "pipeline with id [geo] does not exist"),
        Item(400, "illegal_argument_exception",
             "no write index is defined for alias [logs]. The write index may be explicitly "
             "disabled using is_write_index=false or the alias points to multiple indices"),
        Item(400, "index_closed_exception"), Item(400, "invalid_index_name_exception"),
        Item(400, "wrapper", "", "index_closed_exception"), Item(400, "never_heard_of_exception"),
        Item(418)}) {
    EXPECT_EQ(OutcomeOf(item), ItemOutcome::kSystemic) << item.error.Text();
  }
}

TEST(OutcomeTest, BlamesTheRecordForWhatIsInIt) {
  for (const char* type : {"mapper_parsing_exception", "document_parsing_exception",
                           "script_exception", "strict_dynamic_mapping_exception",
                           "illegal_argument_exception", "action_request_validation_exception"}) {
    EXPECT_EQ(OutcomeOf(Item(400, type, "no")), ItemOutcome::kBadRecord) << type;
  }
}

TEST(OutcomeTest, BlamesTheRecordWhateverIsQuotedOfIt) {
  const std::string quoted =
      "this action would add [2] total shards, but this cluster currently has [1000]/[1000] "
      "maximum shards open";
  BulkItem item = Item(400, "mapper_parsing_exception",
                       "failed to parse field [n]. Preview of field's value: '" + quoted + "'",
                       "illegal_argument_exception");
  item.error.caused_by_reason = "For input string: \"" + quoted + "\"";
  EXPECT_EQ(OutcomeOf(item), ItemOutcome::kBadRecord);
  EXPECT_EQ(OutcomeOf(Item(400, "mapper_parsing_exception", quoted)), ItemOutcome::kBadRecord);
  EXPECT_EQ(OutcomeOf(Item(400, "illegal_argument_exception", "mapper [pipeline with id [x]] no")),
            ItemOutcome::kBadRecord);
}

TEST(OutcomeTest, KnowsAFullDisk) {
  EXPECT_TRUE(IsFloodStage(
      Item(429, "cluster_block_exception",
           "index [l] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]")
          .error));
  EXPECT_TRUE(IsFloodStage(Item(403, "cluster_block_exception",
                                "blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];")
                               .error));
  EXPECT_FALSE(IsFloodStage(
      Item(403, "cluster_block_exception", "blocked by: [FORBIDDEN/8/index write (api)]").error));
}

// --- Answers ------------------------------------------------------------------------------------

TEST(ReadItemsTest, ReadsTheStatusOfEach) {
  const auto items = ReadItems(R"({"took":1,"errors":true,"items":[{"create":{"status":201}},)"
                               R"({"index":{"status":400,"error":{"type":"a","reason":"b",)"
                               R"("caused_by":{"type":"c","reason":"d"}}}},)"
                               R"({"create":{"status":201,"failure_store":"used"}}]})",
                               {"a", "b", "c"});

  ASSERT_TRUE(items.ok()) << items.status().ToString();
  EXPECT_EQ((*items)[0].error.status, 201);
  EXPECT_EQ((*items)[1].error.Text(), "a: b (c: d)");
  EXPECT_EQ((*items)[2].error.status, 201) << "into the failure store: as durable";
}

TEST(ReadItemsTest, SaysNothingOfAnAnswerThatIsNotWhole) {
  for (const char* answer :
       {"", "{}", "[]", "null", "<html>Sign in</html>", R"({"errors":false})",
        R"({"errors":false,"items":{}})", R"({"errors":false,"items":[]})",
        R"({"items":[{"create":{"status":201}}]})",
        R"({"items":[{"create":{"status":201}},{"create":{"status":201}},)"
        R"({"create":{"status":201}}]})",
        R"({"items":[{"create":{"status":201}},{"create":{}}]})",
        R"({"items":[{"create":{"status":201}},{"create":{"status":"201"}}]})",
        R"({"items":[{"create":{"status":201}},7]})", R"({"items":[{"create":{"status":201}},{}]})",
        R"({"items":[{"create":{"status":201}},{"create":{"status":20)"}) {
    EXPECT_FALSE(ReadItems(answer, {"a", "b"}).ok()) << answer;
  }
}

TEST(ReadItemsTest, SaysNothingOfAnAnswerInAnotherOrder) {
  constexpr const char* kAnswer =
      R"({"items":[{"create":{"_id":"c:1","status":201}},{"create":{"_id":"c:2","status":429}}]})";

  EXPECT_TRUE(ReadItems(kAnswer, {"c:1", "c:2"}).ok());
  EXPECT_FALSE(ReadItems(kAnswer, {"c:2", "c:1"}).ok());
}

TEST(ReadItemsTest, SaysNothingOfAnAnswerToAnotherRequest) {
  constexpr const char* kAnswer = R"({"items":[{"create":{"_id":"c:1","status":201}}]})";

  EXPECT_FALSE(ReadItems(kAnswer, {"c:2"}).ok());
  EXPECT_TRUE(ReadItems(kAnswer, {"d:1"}).ok()) << "a pipeline has named it";
}

TEST(ReadErrorTest, TakesTheEnginesWordsOrQuotesAPage) {
  EXPECT_EQ(ReadError(403, R"({"error":{"type":"security_exception","reason":"no"},"status":403})")
                .Text(),
            "security_exception: no");
  EXPECT_EQ(ReadError(403, R"({"error":"no"})").Text(), "no");
  EXPECT_EQ(ReadError(502, "<html>Bad gateway").Text(),
            "status 502, with the answer <html>Bad gateway");
  EXPECT_EQ(ReadError(500, "").Text(), "status 500");
}

TEST(ReadErrorTest, CutsWhatAnEngineQuotesOfALargeRecord) {
  const std::string answer =
      R"({"error":{"type":"t","reason":"x)" + std::string(10'000, '\'') + R"(\u00e4"}})";

  const std::string text = ReadError(400, answer).Text();

  EXPECT_LT(text.size(), 5000U);
  EXPECT_NE(text.find("10003 bytes"), text.npos);
}

TEST(ReadErrorTest, CutsAReasonBetweenTwoCharacters) {
  std::string reason = "x";
  std::string kept = "t: x";
  for (int i = 0; i < 5000; ++i) reason += "\u00e4";
  for (int i = 0; i < 1999; ++i) kept += "\u00e4";  // the next has its first byte before 4000 only

  const EngineError error =
      ReadError(400, R"({"error":{"type":"t","reason":")" + reason + R"("}})");

  EXPECT_EQ(error.Text(), kept + "... (10001 bytes)");
}

TEST(ReadErrorTest, CutsTheReasonOfACauseAsWell) {
  const std::string cause = R"({"type":"c","reason":")" + std::string(10'000, 'y') + R"("})";

  const std::string text =
      ReadError(400, R"({"error":{"type":"t","reason":"x","caused_by":)" + cause + "}}").Text();

  EXPECT_EQ(text, "t: x (c: " + std::string(4000, 'y') + "... (10000 bytes))");
}

TEST(ReadErrorTest, CutsWhateverElseIsLong) {
  const std::string text(100'000, 'x');
  EXPECT_LT(ReadError(400, R"({"error":")" + text + R"("})").Text().size(), 4100U);
  EXPECT_LT(ReadError(400, R"({"error":{"type":")" + text + R"("}})").Text().size(), 300U);
}

// --- Groups -------------------------------------------------------------------------------------

TEST(ErrorGroupTest, IsTheSameForRecordsWithTheSameFault) {
  const auto group = [](const std::string& field, const std::string& id, const std::string& value) {
    return ErrorGroup(Item(400, "mapper_parsing_exception",
                           "failed to parse field [" + field +
                               "] of type [long] in document with "
                               "id '" +
                               id + "'. Preview of field's value: '" + value + "'",
                           "illegal_argument_exception")
                          .error);
  };

  EXPECT_EQ(group("a", "1", "x"), group("a", "2", "y"));
  EXPECT_EQ(group("field_1", "1", "x"), group("field_22", "2", "y"));
  EXPECT_NE(group("a", "1", "x"), group("b", "1", "x"));
  EXPECT_EQ(group("a", "1", "x"),
            "mapper_parsing_exception: failed to parse field [a] of type [long] "
            "(illegal_argument_exception)");
}

TEST(ErrorGroupTest, IsTheSameWhateverOfTheRecordIsQuoted) {
  const auto group = [](const std::string& reason) {
    return ErrorGroup(Item(400, "illegal_argument_exception", reason).error);
  };

  EXPECT_EQ(group("Provided Grok expressions do not match field value: [a [b] c]"),
            group("Provided Grok expressions do not match field value: [d]"));
  EXPECT_EQ(group("unable to parse date [x y]"), group("unable to parse date [z]"));
  EXPECT_EQ(group("field value: [cut off"), group("field value: [cut elsewhere"));
  EXPECT_EQ(group("dynamic introduction of [a1] within [_doc] is not allowed"),
            group("dynamic introduction of [b] within [_doc] is not allowed"));
  EXPECT_EQ(group("mapper [a] cannot be changed from type [long] to [text]"),
            "illegal_argument_exception: mapper [a] cannot be changed from type [long] to [text]");
  EXPECT_EQ(group("in []"), "illegal_argument_exception: in [*]");
}

TEST(CauseTest, DoesNotDependOnTheWords) {
  const auto cause = [](const std::string& reason, const std::string& caused_by) {
    return CauseOf(Item(400, "mapper_parsing_exception", reason, caused_by).error);
  };

  EXPECT_EQ(cause("a", "x"), cause("b", "x"));
  EXPECT_NE(cause("a", "x"), cause("a", "y"));
}

TEST(ErrorGroupTest, FitsIntoACommitWhateverTheEngineSays) {
  EXPECT_LE(ErrorGroup(Item(400, "t", std::string(10'000, 'x')).error).size(), kDeadLetterErrorMax);
  for (const std::string before : {"", "x", "xx"}) {
    std::string reason = before;
    for (int i = 0; i < 1000; ++i) reason += "\u20ac";
    const std::string group = ErrorGroup(Item(400, "t", reason).error);
    const std::string ends = "t: " + before + "...";
    EXPECT_EQ((group.size() - ends.size()) % std::string("\u20ac").size(), 0U)
        << "cut within a character";
  }
  EXPECT_EQ(ErrorGroup(Item(413).error), "status 413");
  EXPECT_EQ(ErrorGroup(Item(400, "t", "a\nb 'c").error), "t: a b 'c");
}

}  // namespace
}  // namespace drawbridge
