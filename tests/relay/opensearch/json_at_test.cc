#include "relay/opensearch/json_at.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace drawbridge {
namespace {

using nlohmann::json;

TEST(JsonAtTest, FindsWhatIsThere) {
  const json answer = {{"a", {{"text", "x"}, {"number", 3.5}, {"list", {1, 2}}}}};

  EXPECT_EQ(TextAt(answer, {"a", "text"}), "x");
  EXPECT_EQ(NumberAt(answer, {"a", "number"}), 3.5);
  EXPECT_EQ(At(answer, {"a", "list"}).size(), 2U);
}

TEST(JsonAtTest, FindsNothingInAnythingElse) {
  const json odd[] = {nullptr,
                      7,
                      "text",
                      json::array({1}),
                      {{"a", 1}},
                      {{"a", {{"b", nullptr}}}},
                      json::parse("no JSON", nullptr, false)};
  for (const json& answer : odd) {
    EXPECT_TRUE(At(answer, {"a", "b"}).is_null()) << answer.type_name();
    EXPECT_EQ(TextAt(answer, {"a", "b"}), "");
    EXPECT_EQ(NumberAt(answer, {"a", "b"}), 0);
  }
  EXPECT_TRUE(At(json::parse("no JSON", nullptr, false), {}).is_null());
}

}  // namespace
}  // namespace drawbridge
