#include "cli/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drawbridge::cli {
namespace {

using testing::ElementsAre;

class TableTest : public testing::Test {
 protected:
  Table table_{{{"NAME"}, {"LAG", Align::kRight}, {"STATE"}}};
};

TEST_F(TableTest, AlignsTextLeftAndNumbersRight) {
  table_.Add({"audit", "7", "ok"});
  table_.Add({"a", "1,234", "blocked"});

  EXPECT_THAT(table_.Lines({}), ElementsAre("NAME     LAG  STATE",  //
                                            "audit      7  ok",     //
                                            "a      1,234  blocked"));
}

TEST_F(TableTest, CountsCharactersNotBytes) {
  table_.Add({"grün", "7", "ok"});
  table_.Add({"grau", "7", "ok"});

  EXPECT_THAT(table_.Lines({}), ElementsAre("NAME  LAG  STATE",  //
                                            "grün    7  ok",     //
                                            "grau    7  ok"));
}

TEST_F(TableTest, LeavesNoBlanksAtTheEndOfALine) {
  table_.Add({"audit", "7", ""});

  EXPECT_EQ(table_.Lines({}).back(), "audit    7");
}

TEST_F(TableTest, CutsLinesToTheWidth) {
  table_.Add({"audit", "7", "TLS_UNTRUSTED"});

  EXPECT_THAT(table_.Lines({false, 12}), ElementsAre("NAME   LAG", "audit    7"));
  EXPECT_THAT(table_.Lines({false, 16}), ElementsAre("NAME   LAG  STA…", "audit    7  TLS…"));
}

TEST_F(TableTest, ColoursCellsWithoutMovingThem) {
  table_.Add({"audit", "7", Cell("ok", Tone::kGood)});

  EXPECT_EQ(table_.Lines({true, std::nullopt}).back(), "audit    7  \x1b[32mok\x1b[0m");
}

TEST_F(TableTest, MakesTextOfOthersHarmless) {
  table_.Add({"a\nb", "7", "\x1b[2J"});

  EXPECT_EQ(table_.Lines({}).back(), "a b     7  \\x1b[2J");
}

}  // namespace
}  // namespace drawbridge::cli
