#include "relay/opensearch/document.h"

#include <array>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace drawbridge {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kTime = 1'773'480'413'589;  // 2026-03-14T09:26:53.589Z

class DocumentTest : public testing::Test {
 protected:
  DocumentTest() {
    route_.source_topic = "audit";
    route_.partition = 3;
    route_.source_epoch = 2;
    route_.source_cluster = 0xab;
  }
  // The document of a value, one line; "" and the status for what no engine must get.
  std::string Shape(std::optional<std::string_view> value) {
    Record record;
    record.offset = Offset{42};
    record.timestamp_ms = kTime;
    record.value = value;
    std::string out;
    status_ = shaper_.Append(route_, record, WallTime{}, out);
    EXPECT_THAT(out, Not(HasSubstr("\n")));
    return out;
  }
  json Parsed(std::optional<std::string_view> value) {
    json document = json::parse(Shape(value), nullptr, false);
    EXPECT_TRUE(document.is_object());
    return document;
  }

  Route route_;
  Status status_;
  DocumentShaper shaper_{"relay-1"};
};

TEST_F(DocumentTest, HasAnIdOfItsOwn) {
  EXPECT_EQ(DocumentId(route_, Offset{42}), "00000000000000ab:2:audit:3:42");
}

TEST_F(DocumentTest, IsAnObjectAsItCameWithItsTimeAndItsOrigin) {
  const std::string text = Shape(R"({"a": 1, "b":{"c":"\u00e4"},"d":[1.50]})");

  EXPECT_THAT(text, testing::StartsWith(R"({"a": 1, "b":{"c":"\u00e4"},"d":[1.50],)"));
  const json document = json::parse(text);
  EXPECT_EQ(document["@timestamp"], "2026-03-14T09:26:53.589Z");
  EXPECT_EQ(document["drawbridge"]["topic"], "audit");
  EXPECT_EQ(document["drawbridge"]["partition"], 3);
  EXPECT_EQ(document["drawbridge"]["offset"], 42);
  EXPECT_EQ(document["drawbridge"]["source_epoch"], 2);
  EXPECT_EQ(document["drawbridge"]["relay"], "relay-1");
}

TEST_F(DocumentTest, KeepsATimeThatTheRecordHas) {
  const json document = Parsed(R"({"@timestamp":"2020-01-01"})");

  EXPECT_EQ(document["@timestamp"], "2020-01-01");
  EXPECT_EQ(document["drawbridge"]["offset"], 42);
}

TEST_F(DocumentTest, LetsNoRecordSayWhereItComesFrom) {
  for (const char* value :
       {R"({"drawbridge":7})", R"({"drawbridge":{"offset":7}})", R"({"drawbridge.offset":"x"})",
        R"({"a":1,"drawbridge.topic.name":"x"})", R"({"drawbridge":{"relay.name":"x"}})",
        R"({"drawbridge":{"offset":7},"a":123456789012345678901234567890})"}) {
    const json document = Parsed(value);

    EXPECT_EQ(document["message"], value);
    EXPECT_EQ(document["drawbridge"]["offset"], 42) << value;
  }
}

TEST_F(DocumentTest, LooksAtNamesOfOursBesideLargeNumbersAsWell) {
  constexpr const char* kLarge = R"("a":123456789012345678901234567890})";
  const auto with = [&](const std::string& member) { return Parsed("{" + member + "," + kLarge); };

  EXPECT_TRUE(with(R"("drawbridges":7)").contains("drawbridges"));
  const json own = with(R"("drawbridge":{"mood":{"offset":1}})");
  EXPECT_EQ(own["drawbridge"], json::parse(R"({"mood":{"offset":1}})"));
  EXPECT_EQ(own["drawbridge.offset"], 42);
  for (const char* member : {R"("drawbridge":[])", R"("drawbridge":"x")",
                             R"("drawbridge":{"relay":{}})", R"("drawbridge.topic":1)"}) {
    EXPECT_TRUE(with(member).contains("message")) << member;
  }
}

TEST_F(DocumentTest, IsBesideWhatARecordHasUnderTheSameName) {
  const json nested = Parsed(R"({"drawbridge":{"mood":"good"}})");
  EXPECT_EQ(nested["drawbridge"], json::parse(R"({"mood":"good"})"));
  EXPECT_EQ(nested["drawbridge.offset"], 42);
  EXPECT_EQ(nested["drawbridge.topic"], "audit");

  const json dotted = Parsed(R"({"drawbridge.mood":"good","drawbridges":7})");
  EXPECT_EQ(dotted["drawbridge.mood"], "good");
  EXPECT_EQ(dotted["drawbridge"]["offset"], 42);
  EXPECT_EQ(Parsed(R"({"a":{"drawbridge":7}})")["a"]["drawbridge"], 7);
}

TEST_F(DocumentTest, TakesAnEmptyObject) {
  for (const char* value : {"{}", " { } ", "{\n}"}) {
    EXPECT_EQ(Parsed(value).size(), 2U) << value;
  }
}

TEST_F(DocumentTest, IsOneLineHoweverTheObjectWasWritten) {
  const json document = Parsed("{\r\n  \"a\": \"x\\ny\",\n  \"b\": 1\n}\n");

  EXPECT_EQ(document["a"], "x\ny");
  EXPECT_EQ(document["b"], 1);
}

TEST_F(DocumentTest, TakesNumbersThatNoComputerCounts) {
  const std::string text = Shape(R"({"a":123456789012345678901234567890})");

  EXPECT_THAT(text, testing::StartsWith(R"({"a":123456789012345678901234567890,)"));
}

TEST_F(DocumentTest, HasWhatIsNoObjectAsText) {
  for (const std::string_view value :
       {"plain text", "[1,2]", "7", "\"text\"", "{\"a\":", "{\"a\":1}{\"b\":2}", "{'a':1}",
        "{\"a\":1,}", "", " ", "{\"a\":\"\x01\"}", "line\nline"}) {
    EXPECT_EQ(Parsed(value)["message"], value);
  }
}

TEST_F(DocumentTest, TellsNullFromEmpty) {
  EXPECT_TRUE(Parsed(std::nullopt)["message"].is_null());
  EXPECT_EQ(Parsed("")["message"], "");
}

TEST_F(DocumentTest, ReplacesBytesThatAreNoUtf8AndSaysSo) {
  const json document = Parsed("caf\xe9 {");

  EXPECT_EQ(document["message"], "caf\xef\xbf\xbd {");
  EXPECT_EQ(document["drawbridge"]["lossy"], true);
  EXPECT_FALSE(Parsed("plain")["drawbridge"].contains("lossy"));
  EXPECT_EQ(Parsed("{\"a\":\"\xff\"}")["drawbridge"]["lossy"], true);
}

TEST_F(DocumentTest, GivesNoEngineWhatKillsOne) {
  const auto nested = [](size_t depth) {
    std::string value;
    for (size_t i = 0; i < depth; ++i) value += "{\"a\":";
    value += "1";
    value.append(depth, '}');
    return value;
  };
  EXPECT_NE(Shape(nested(100)), "");
  EXPECT_TRUE(status_.ok());

  for (const size_t depth : {size_t{600}, size_t{2000}, size_t{100'000}}) {
    EXPECT_EQ(Shape(nested(depth)), "") << depth;
    EXPECT_EQ(status_.reason(), Reason::kRecordRefused);
  }
  EXPECT_NE(Shape("{}"), "") << "and goes on";
}

TEST_F(DocumentTest, CountsTheDotsOfNamesIntoTheDepth) {
  const auto dotted = [](size_t parts) {
    std::string name = "a";
    for (size_t i = 1; i < parts; ++i) name += ".a";
    return name;
  };
  const auto levels = [&](size_t depth, size_t parts, const std::string& inmost) {
    std::string object = inmost;
    for (size_t i = 0; i < depth; ++i)
      object = fmt::format(R"({{"{}":{}}})", dotted(parts), object);
    return object;
  };
  for (const char* inmost : {"1", "123456789012345678901234567890", "[]", "{}"}) {
    EXPECT_NE(Shape(levels(1, 490, inmost)), "") << inmost;
    EXPECT_EQ(Shape(levels(1, 2'000, inmost)), "") << inmost;
    EXPECT_NE(Shape(levels(9, 50, inmost)), "") << inmost;
    EXPECT_EQ(Shape(levels(40, 50, inmost)), "") << inmost;
    EXPECT_EQ(Shape(levels(400, 5, inmost)), "") << inmost;
    EXPECT_EQ(Shape(fmt::format(R"({{"list":[{}]}})", levels(40, 50, inmost))), "") << inmost;
  }
  EXPECT_NE(Shape(fmt::format(R"({{"message":"{}"}})", dotted(9'000))), "") << "in a text";
  std::string escaped = "a";
  for (int i = 0; i < 2'000; ++i) escaped += i % 2 == 0 ? R"(\u002ea)" : R"(\u002Ea)";
  EXPECT_EQ(Shape(fmt::format(R"({{"{}":1}})", escaped)), "");
}

TEST_F(DocumentTest, CannotBeMadeToForgeARequest) {
  route_.source_topic = "a\",\"x\":\"\n{\"create\":{}}";
  const json document = Parsed("x\n{\"create\":{\"_index\":\"other\"}}\n{}");

  EXPECT_EQ(document["message"], "x\n{\"create\":{\"_index\":\"other\"}}\n{}");
  EXPECT_EQ(document["drawbridge"]["topic"], route_.source_topic);
}

TEST_F(DocumentTest, KeepsEveryByteOfARefusedRecord) {
  const Header headers[] = {{.name = "h", .value = "v"}, {.name = "h", .value = std::nullopt}};
  Record record;
  record.offset = Offset{42};
  record.timestamp_ms = kTime;
  record.key = "\xff";
  record.value = R"({"a": "text"})";
  record.headers = headers;

  const std::string text = DeadLetterDocument(
      route_, record,
      {.status = 400,
       .type = "mapper_parsing_exception",
       .caused_by = {},
       .reason = "no",
       .group = "g"},
      {.bridge = "logs", .index = "logs-1", .attempts = 2, .first_seen = {}, .last_seen = {}},
      "relay-1");

  EXPECT_THAT(text, Not(HasSubstr("\n")));
  const json letter = json::parse(text);
  EXPECT_EQ(letter["key_base64"], "/w==");
  EXPECT_EQ(letter["value"], R"({"a": "text"})");
  EXPECT_EQ(letter["headers"], json::parse(R"([{"name":"h","value":"v"},{"name":"h"}])"));
  EXPECT_EQ(letter["timestamp_ms"], kTime);
  EXPECT_EQ(letter["drawbridge"]["offset"], 42);
  EXPECT_EQ(letter["drawbridge-error-status"], 400);
  EXPECT_EQ(letter["drawbridge-error-group"], "g");
  EXPECT_EQ(letter["drawbridge-error-index"], "logs-1");
  EXPECT_EQ(json::parse(DeadLetterIndex(true))["mappings"]["dynamic"], false);
}

TEST_F(DocumentTest, ReadsADeadLetterBackByteForByte) {
  // With 0, 1 and 2 bytes that fill up the last group of base64.
  for (const std::string& bytes : {std::string("\xff\0\xfe", 3), std::string("\xff\0", 2),
                                   std::string("\xff", 1), std::string()}) {
    const std::array<Header, 3> headers{
        {{"h", bytes}, {"h", std::nullopt}, {bytes, std::string_view("v")}}};
    Record record;
    record.offset = {42};
    record.timestamp_ms = -1;
    record.key = bytes;
    record.headers = headers;

    const auto kept = ReadDeadLetter(json::parse(DeadLetterDocument(
        route_, record, {},
        {.bridge = {}, .index = {}, .attempts = 2, .first_seen = {}, .last_seen = {}}, "relay-1")));

    ASSERT_TRUE(kept.ok()) << kept.status().ToString();
    EXPECT_EQ(kept->key, bytes);
    EXPECT_EQ(kept->value, std::nullopt);
    EXPECT_EQ(kept->timestamp_ms, -1);
    EXPECT_EQ(DocumentId(kept->route, kept->offset), DocumentId(route_, record.offset));
    ASSERT_EQ(kept->headers.size(), 3U);
    EXPECT_EQ(kept->headers[0].second, bytes);
    EXPECT_EQ(kept->headers[1].second, std::nullopt);
    EXPECT_EQ(kept->headers[2].first, bytes);
  }
}

}  // namespace
}  // namespace drawbridge
