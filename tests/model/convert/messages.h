#pragma once

#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include "base/status.h"
#include "model/convert/assignment.h"
#include "model/convert/bridge.h"
#include "model/convert/checkpoint.h"
#include "model/convert/credential.h"
#include "model/convert/endpoint.h"
#include "model/convert/observation.h"
#include "model/convert/status.h"
#include "model/convert/time.h"

// What the tests of conversions do to messages: write them as text, send them to the model and
// back, spoil them.

namespace drawbridge {

// A message in protobuf's text format.
template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

// The message that a value becomes which was made of this message.
template <typename Message>
StatusOr<Message> ThereAndBack(const Message& message) {
  const auto value = FromProto(message);
  if (!value.ok()) return value.status();
  return ToProto(*value);
}

MATCHER_P(EqualsMessage, expected, expected.ShortDebugString()) {
  google::protobuf::util::MessageDifferencer differencer;
  std::string difference;
  differencer.ReportDifferencesToString(&difference);
  const bool is_equal = differencer.Compare(expected, arg);
  *result_listener << difference;
  return is_equal;
}

// The paths of all fields that are not set, at any depth; of a oneof, one member is enough.
std::vector<std::string> UnsetFields(const google::protobuf::Message& message);

// Expects that a value holds every field of the message. The message must set them all, so that one
// which is added to the proto later is not forgotten here; `left_out` names those that no value
// holds.
template <typename Message>
void ExpectKeepsAll(const Message& message, const std::vector<std::string>& left_out = {}) {
  EXPECT_THAT(UnsetFields(message), testing::UnorderedElementsAreArray(left_out));

  const StatusOr<Message> kept = ThereAndBack(message);

  ASSERT_TRUE(kept.ok()) << kept.status().ToString();
  EXPECT_THAT(*kept, EqualsMessage(message));
}

using Visit =
    std::function<void(const google::protobuf::Message& spoiled, const std::string& path)>;

// Visits the message with one field spoiled, for every field at any depth: numbers at their limits,
// values of enums that do not exist, texts that are empty, messages and elements that are missing,
// elements that are there twice.
void ForEachSpoiled(const google::protobuf::Message& message, const Visit& visit);

// Expects that a spoiled message is either refused for a field, or kept as it is. `mean` turns a
// message into what it means, where fields have defaults.
template <typename Message>
void ExpectRefusesOrKeeps(
    const Message& message, const std::function<void(Message&)>& mean = [](Message&) {}) {
  ForEachSpoiled(message, [&](const google::protobuf::Message& spoiled, const std::string& path) {
    SCOPED_TRACE(path + " in " + spoiled.ShortDebugString());
    Message meant = dynamic_cast<const Message&>(spoiled);
    const StatusOr<Message> kept = ThereAndBack(meant);
    if (kept.ok()) {
      mean(meant);
      EXPECT_THAT(*kept, EqualsMessage(meant));
    } else {
      EXPECT_EQ(kept.status().reason(), Reason::kFieldInvalid);
      EXPECT_THAT(kept.status().field(), testing::Not(testing::IsEmpty()));
    }
  });
}

// Expects that `field` is blamed when a copy of the message is spoiled so.
template <typename Message, typename Spoil>
void ExpectBlamed(Message message, const std::string& field, Spoil spoil) {
  spoil(message);

  const StatusOr<Message> kept = ThereAndBack(message);

  ASSERT_FALSE(kept.ok()) << message.ShortDebugString();
  EXPECT_EQ(kept.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(kept.status().reason(), Reason::kFieldInvalid);
  EXPECT_EQ(kept.status().field(), field) << kept.status().ToString();
}

}  // namespace drawbridge
