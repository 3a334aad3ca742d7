#include "relay/opensearch/letter_post.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/relay/letters/log_sink.h"

namespace drawbridge {
namespace {

using testing::SizeIs;

class LetterPostTest : public testing::Test {
 protected:
  LetterPostTest() {
    auto sink = std::make_unique<LogSink>(log_);
    sink_ = sink.get();
    post_ =
        std::make_unique<LetterPost>(*TopicLetterSink::Open(std::move(sink), "letters"), "logs");
  }

  void Add(int64_t offset, Slot slot = 0) {
    Route route;
    route.source_topic = "audit";
    Pending entry;
    entry.slot = slot;
    entry.to =
        std::make_shared<const Destination>(Destination{route, *IndexTemplate::Create("logs")});
    entry.record.offset = Offset{offset};
    entry.record.value = "bad";
    entry.record.weight = 3;
    entry.refusal.emplace().group = "bad date";
    post_->Add(std::move(entry));
  }

  FakeLog log_;
  LogSink* sink_ = nullptr;
  std::unique_ptr<LetterPost> post_;
};

TEST_F(LetterPostTest, ReturnsARecordOnceItsLetterIsInTheTopic) {
  Add(7);
  post_->Post({});
  EXPECT_FALSE(post_->is_idle());

  const std::vector<LetterPost::Posted> posted = post_->Poll();

  ASSERT_THAT(posted, SizeIs(1));
  EXPECT_EQ(posted[0].failure, std::nullopt);
  EXPECT_EQ(posted[0].entry.record.offset, Offset{7});
  EXPECT_EQ(posted[0].entry.record.weight, 3U) << "as Submit counted it";
  EXPECT_TRUE(post_->is_idle());
}

TEST_F(LetterPostTest, KeepsWhatTheTopicDoesNotTakeYet) {
  sink_->SetCapacity(1);
  Add(1);
  Add(2);
  post_->Post({});
  EXPECT_THAT(post_->Poll(), SizeIs(1));

  post_->Post({});

  EXPECT_THAT(post_->Poll(), SizeIs(1));
}

TEST_F(LetterPostTest, SaysWhyALetterIsNotThere) {
  sink_->Refuse(Disposition::kRetry, {StatusCode::kUnavailable, Reason::kThrottled, "busy"});
  Add(1);
  post_->Post({});

  const std::vector<LetterPost::Posted> posted = post_->Poll();

  ASSERT_THAT(posted, SizeIs(1));
  EXPECT_EQ(posted[0].failure, Disposition::kRetry);
  EXPECT_EQ(posted[0].status.message(), "busy");
}

TEST_F(LetterPostTest, GivesOutOnlyWhatIsNotOnItsWay) {
  sink_->SetCapacity(1);
  Add(1, 0);
  Add(2, 0);
  Add(3, 1);
  post_->Post({});

  const auto of_slot_0 = post_->Extract([](const Pending& entry) { return entry.slot == 0; });

  ASSERT_THAT(of_slot_0, SizeIs(1));
  EXPECT_EQ(of_slot_0[0].record.offset, Offset{2});
  EXPECT_FALSE(post_->is_idle());
}

}  // namespace
}  // namespace drawbridge
