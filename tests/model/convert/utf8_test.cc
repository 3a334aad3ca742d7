#include "model/convert/utf8.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

TEST(Utf8Test, KeepsWhatIsUtf8) {
  for (const std::string& text :
       {std::string(), std::string("plain"), std::string("a\0b", 3), std::string("caf\xC3\xA9"),
        std::string("\xE2\x82\xAC"), std::string("\xF0\x9F\x98\x80"), std::string("\xEF\xBF\xBF"),
        std::string("\xF4\x8F\xBF\xBF")}) {
    EXPECT_EQ(ToUtf8(text), text);
  }
}

TEST(Utf8Test, ReplacesWhatIsNone) {
  const std::string mark = "\xEF\xBF\xBD";

  EXPECT_EQ(ToUtf8("\xFF"), mark);
  EXPECT_EQ(ToUtf8("caf\xE9!"), "caf" + mark + "!") << "Latin-1";
  EXPECT_EQ(ToUtf8("\xC3"), mark) << "cut off";
  EXPECT_EQ(ToUtf8("\xC0\x80"), mark + mark) << "an overlong zero";
  EXPECT_EQ(ToUtf8("\xE0\x80\x80"), mark + mark + mark) << "an overlong zero";
  EXPECT_EQ(ToUtf8("\xED\xA0\x80"), mark + mark + mark) << "a surrogate";
  EXPECT_EQ(ToUtf8("\xF4\x90\x80\x80"), mark + mark + mark + mark) << "beyond Unicode";
  EXPECT_EQ(ToUtf8("\xF0\x9F\x98"), mark + mark + mark) << "cut off";
}

TEST(Utf8Test, CutsALongTextAtACharacter) {
  EXPECT_EQ(ToUtf8("abcdef", 6), "abcdef");
  EXPECT_EQ(ToUtf8("abcdefg", 6), "abc\xE2\x80\xA6");
  EXPECT_EQ(ToUtf8("ab\xC3\xA9"
                   "defg",
                   6),
            "ab\xE2\x80\xA6");
}

TEST(Utf8Test, NeverExceedsTheLimit) {
  const std::string long_text = std::string(50, '\xFF') + std::string(50, 'a');

  for (size_t bytes = 0; bytes < 12; ++bytes) EXPECT_LE(ToUtf8(long_text, bytes).size(), bytes);
}

}  // namespace
}  // namespace drawbridge
