#include "cli/text.h"

#include <gtest/gtest.h>

namespace drawbridge::cli {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

TEST(TextTest, EscapesWhatWouldSteerTheTerminal) {
  EXPECT_EQ(Printable("a\x1b[2Jb"), "a\\x1b[2Jb");
  EXPECT_EQ(Printable("a\xC2\x9B"
                      "b"),
            "a\\x9bb");
  EXPECT_EQ(Printable("two\nlines\r"), "two lines\\x0d");
  EXPECT_EQ(Printable("grün 東"), "grün 東");
  EXPECT_EQ(Printable("broken \xFF"), "broken \xEF\xBF\xBD");
}

TEST(TextTest, FindsWhereATextStopsBeingUtf8) {
  EXPECT_EQ(FindInvalidUtf8("grün"), std::nullopt);
  EXPECT_EQ(FindInvalidUtf8("ab\xC3"), 2U);
  EXPECT_EQ(FindInvalidUtf8("\xED\xA0\x80"), 0U);  // a surrogate
}

TEST(TextTest, CutsBetweenCharacters) {
  EXPECT_EQ(CutToWidth("grün", 4), "grün");
  EXPECT_EQ(CutToWidth("grüner", 4), "grü…");
  EXPECT_EQ(CutToWidth("abc", 0), "");
}

TEST(TextTest, FindsTheWordThatWasMeant) {
  EXPECT_EQ(Nearest("topik", {"endpoint", "topic", "topics"}), "topic");
  EXPECT_EQ(Nearest("tpoic", {"endpoint", "topic"}), "topic");
  EXPECT_EQ(Nearest("zebra", {"endpoint", "topic"}), "");
  EXPECT_EQ(Nearest("", {"topic"}), "");
  EXPECT_EQ(Nearest(std::string(100'000, 'x'), {"topic"}), "");
}

TEST(TextTest, ReadsDurationsWithUnits) {
  EXPECT_EQ(ParseDuration("24h"), Duration{24h});
  EXPECT_EQ(ParseDuration("1d12h"), Duration{36h});
  EXPECT_EQ(ParseDuration("1m500ms"), Duration{60500ms});
}

TEST(TextTest, RefusesWhatIsNoDuration) {
  for (const char* text :
       {"", "5", "h", "5 h", "-5h", "1.5h", "5x", "h5", "99999999999d", "9223372036854775808s"}) {
    EXPECT_EQ(ParseDuration(text), std::nullopt) << text;
  }
}

TEST(TextTest, ShowsDurationsShortly) {
  EXPECT_EQ(ToText(Duration{0}), "0s");
  EXPECT_EQ(ToText(Duration{850ms}), "850ms");
  EXPECT_EQ(ToText(Duration{42s}), "42s");
  EXPECT_EQ(ToText(Duration{200s}), "3m20s");
  EXPECT_EQ(ToText(Duration{125min}), "2h05m");
  EXPECT_EQ(ToText(Duration{27h}), "1d03h");
  EXPECT_EQ(ToText(Duration{-3s}), "-3s");
}

TEST(TextTest, SeparatesThousands) {
  EXPECT_EQ(WithSeparators(0), "0");
  EXPECT_EQ(WithSeparators(999), "999");
  EXPECT_EQ(WithSeparators(1000), "1,000");
  EXPECT_EQ(WithSeparators(-1234567), "-1,234,567");
}

}  // namespace
}  // namespace drawbridge::cli
