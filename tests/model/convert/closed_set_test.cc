#include <array>
#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/descriptor.h>

#include "tests/model/convert/messages.h"

// The closed sets of the model and of the wire are the same. An enumerator that is added to one of
// them only is found by its name.

namespace drawbridge {
namespace {

// "... [with auto kValue = drawbridge::Motion::kIdle; ...]", or "...(drawbridge::Motion)77..." for
// a number that has no name.
template <auto kValue>
constexpr std::string_view Spelling() {
  return __PRETTY_FUNCTION__;
}

// "IDLE" for Motion::kIdle; empty for a number that has no name. Without underscores, since a digit
// may or may not have one before it.
std::string WordOf(std::string_view spelling) {
  const std::string_view value = spelling.substr(spelling.find("kValue = "));
  const size_t end = value.find_first_of(";]");
  const size_t colon = value.substr(0, end).rfind("::k");
  std::string word;
  if (colon == std::string_view::npos || value.substr(0, end).find(')') < end) return word;
  for (const char c : value.substr(colon + 3, end - colon - 3)) {
    word += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return word;
}

// The words of a set of the model. No set has 100.
template <typename Enum>
std::set<std::string> WordsOfModel() {
  return []<int... kNumbers>(std::integer_sequence<int, kNumbers...>) {
    std::set<std::string> words = {WordOf(Spelling<static_cast<Enum>(kNumbers)>())...};
    words.erase("");
    return words;
  }
  (std::make_integer_sequence<int, 100>());
}

// The words of a set of the wire: its names without the set's own, without underscores.
std::set<std::string> WordsOfWire(const google::protobuf::EnumDescriptor& set) {
  const size_t prefix = std::string_view(set.value(0)->name()).rfind("UNSPECIFIED");
  std::set<std::string> words;
  for (int i = 0; i < set.value_count(); ++i) {
    std::string word = set.value(i)->name().substr(prefix);
    std::erase(word, '_');
    words.insert(word);
  }
  return words;
}

template <typename Value>
Value Unwrap(Value value) {
  return value;
}
template <typename Value>
Value Unwrap(StatusOr<Value> value) {
  EXPECT_TRUE(value.ok()) << value.status().ToString();
  return *std::move(value);
}

// One closed set in both tongues. `unspecified` is the model's word for the wire's UNSPECIFIED;
// empty if it has none.
template <typename Value, typename Wire>
void ExpectSame(const google::protobuf::EnumDescriptor& set, const std::string& unspecified) {
  std::set<std::string> words = WordsOfModel<Value>();
  if (!unspecified.empty()) {
    EXPECT_EQ(words.erase(unspecified), 1U);
  }
  words.insert("UNSPECIFIED");
  EXPECT_EQ(words, WordsOfWire(set));

  std::set<Value> values;
  for (int i = unspecified.empty() ? 1 : 0; i < set.value_count(); ++i) {
    const auto wire = static_cast<Wire>(set.value(i)->number());
    const Value value = Unwrap(FromProto(wire));
    EXPECT_EQ(ToProto(value), wire) << set.value(i)->name();
    values.insert(value);
  }
  EXPECT_EQ(values.size(), words.size() - (unspecified.empty() ? 1 : 0));
}

enum class Fruit { kApple, kBlackCurrant = 7 };

TEST(ClosedSetTest, FindsTheWordsOfAnEnum) {
  EXPECT_EQ(WordsOfModel<Fruit>(), (std::set<std::string>{"APPLE", "BLACKCURRANT"}));
}

TEST(ClosedSetTest, ReasonsAreTheSame) {
  ExpectSame<Reason, v1::Reason>(*v1::Reason_descriptor(), "UNSPECIFIED");
}

TEST(ClosedSetTest, ReasonsHaveTheSameWordsInLogs) {
  const google::protobuf::EnumDescriptor& set = *v1::Reason_descriptor();
  for (int i = 0; i < set.value_count(); ++i) {
    const Reason reason = FromProto(static_cast<v1::Reason>(set.value(i)->number()));

    EXPECT_EQ("REASON_" + std::string(Name(reason)), set.value(i)->name());
  }
}

TEST(ClosedSetTest, MotionsAreTheSame) {
  ExpectSame<Motion, v1::Motion>(*v1::Motion_descriptor(), "UNKNOWN");
}

TEST(ClosedSetTest, ProfilesAreTheSame) {
  ExpectSame<Profile, v1::Profile>(*v1::Profile_descriptor(), "");
}

TEST(ClosedSetTest, ProfilesHaveTheSameWordsInDefinitions) {
  const google::protobuf::EnumDescriptor& set = *v1::Profile_descriptor();
  for (int i = 1; i < set.value_count(); ++i) {
    const Profile profile = *FromProto(static_cast<v1::Profile>(set.value(i)->number()));

    std::string name = "PROFILE_" + std::string(CapabilitiesOf(profile).name);
    for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
    EXPECT_EQ(name, set.value(i)->name());
  }
}

TEST(ClosedSetTest, CompressionsAreTheSame) {
  ExpectSame<Compression, v1::Compression>(*v1::Compression_descriptor(), "DEFAULT");
}

TEST(ClosedSetTest, CredentialKindsAreTheSame) {
  ExpectSame<CredentialKind, v1::CredentialKind>(*v1::CredentialKind_descriptor(), "");
}

TEST(ClosedSetTest, GapCausesAreTheSame) {
  ExpectSame<GapCause, v1::GapCause>(*v1::GapCause_descriptor(), "");
}

TEST(ClosedSetTest, CommitOutcomesAreTheSame) {
  ExpectSame<CommitOutcome, v1::CommitOutcome>(*v1::CommitOutcome_descriptor(), "");
}

TEST(ClosedSetTest, PartitionStatesAreTheSame) {
  ExpectSame<PartitionState, v1::PartitionState>(*v1::PartitionState_descriptor(), "UNKNOWN");
}

TEST(ClosedSetTest, UnknownNumbersAreRefused) {
  for (const int number : {-1, 99, 2'000'000'000}) {
    EXPECT_FALSE(FromProto(static_cast<v1::Profile>(number)).ok());
    EXPECT_FALSE(FromProto(static_cast<v1::Compression>(number)).ok());
    EXPECT_FALSE(FromProto(static_cast<v1::CredentialKind>(number)).ok());
    EXPECT_FALSE(FromProto(static_cast<v1::GapCause>(number)).ok());
    EXPECT_FALSE(FromProto(static_cast<v1::CommitOutcome>(number)).ok());
    EXPECT_FALSE(FromProto(static_cast<v1::PartitionState>(number)).ok());
  }
}

TEST(ClosedSetTest, WhatANewerVersionSaysOfHealthIsUnknown) {
  for (const int number : {-1, 99, 2'000'000'000}) {
    EXPECT_EQ(FromProto(static_cast<v1::Motion>(number)), Motion::kUnknown);
    EXPECT_EQ(FromProto(static_cast<v1::Reason>(number)), Reason::kUnspecified);
  }
}

TEST(ClosedSetTest, OnlyADefaultMayBeLeftOut) {
  EXPECT_EQ(*FromProto(v1::PROFILE_UNSPECIFIED), Profile::kKafka);
  EXPECT_FALSE(FromProto(v1::CREDENTIAL_KIND_UNSPECIFIED).ok());
  EXPECT_FALSE(FromProto(v1::GAP_CAUSE_UNSPECIFIED).ok());
  EXPECT_FALSE(FromProto(v1::COMMIT_OUTCOME_UNSPECIFIED).ok());
}

}  // namespace
}  // namespace drawbridge
