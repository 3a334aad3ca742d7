#include "server/api/stream_service.h"

#include <gtest/gtest.h>

#include "drawbridge/v1/stream.grpc.pb.h"
#include "tests/server/api/api_fixture.h"

namespace drawbridge {
namespace {

// A stream whose relay has passed over something, looked at over the API port.
class StreamServiceTest : public ApiTest {
 protected:
  StreamServiceTest() {
    const PartitionKey key{.stream = LearnStream(DefineBridge(), "audit", {100}), .partition = 0};
    Enrol("fra-1");
    const Grant grant = GrantTo("fra-1", key);
    const CommitItem item{
        .key = key,
        .token = grant.token,
        .base = grant.start,
        .to = {.next = {200}, .anchor = std::nullopt},
        .gaps = {{.range = {{100}, {107}}, .cause = GapCause::kRetention}},
        .filtered = {{.range = {{110}, {120}}, .records = 5}},
        .dead_letters = {{.range = {{150}, {160}}, .records = 3, .error = "mapping"}}};
    EXPECT_EQ(Name(Commit("fra-1", {item}).front().outcome), "STORED");
  }

  // What the stream has passed over, as a call's answer says it.
  static std::string Passed(const grpc::Status& status, const v1::Stream& stream) {
    if (!status.ok()) return Outcome(status);
    return std::to_string(stream.status().gap_offsets()) + " offsets in gaps, " +
           std::to_string(stream.status().records_filtered()) + " filtered, " +
           std::to_string(stream.status().dead_letters()) + " dead";
  }
  template <typename Request>
  static Request Named(const std::string& request_id = "") {
    Request request;
    request.set_bridge("logs");
    request.set_topic("audit");
    if constexpr (requires { request.set_request_id(request_id); }) {
      request.set_request_id(request_id);
    }
    return request;
  }

  const std::string token_ = TokenOf("admin");
  const std::unique_ptr<v1::StreamService::Stub> stub_ = v1::StreamService::NewStub(ApiChannel());
};

TEST_F(StreamServiceTest, SaysWhatAStreamHasPassedOverInEveryAnswer) {
  const std::string passed = "7 offsets in gaps, 5 filtered, 3 dead";
  v1::Stream stream;

  const auto got =
      stub_->GetStream(CallContext(token_).get(), Named<v1::GetStreamRequest>(), &stream);
  EXPECT_EQ(Passed(got, stream), passed);

  const auto paused =
      stub_->PauseStream(CallContext(token_).get(), Named<v1::PauseStreamRequest>("1"), &stream);
  EXPECT_EQ(Passed(paused, stream), passed);
  EXPECT_TRUE(stream.paused());

  const auto resumed =
      stub_->ResumeStream(CallContext(token_).get(), Named<v1::ResumeStreamRequest>("2"), &stream);
  EXPECT_EQ(Passed(resumed, stream), passed);
  EXPECT_FALSE(stream.paused());

  v1::ListStreamsResponse all;
  const auto listed = stub_->ListStreams(CallContext(token_).get(), {}, &all);
  ASSERT_EQ(all.streams_size(), 1) << Outcome(listed);
  EXPECT_EQ(Passed(listed, all.streams(0)), passed);
}

TEST_F(StreamServiceTest, SaysWhichOfBridgeAndTopicIsNotThere) {
  v1::Stream stream;
  v1::GetStreamRequest request = Named<v1::GetStreamRequest>();
  request.set_topic("another");
  EXPECT_EQ(Outcome(stub_->GetStream(CallContext(token_).get(), request, &stream)),
            "NOT_FOUND NOT_FOUND topic");

  request.set_bridge("another");
  EXPECT_EQ(Outcome(stub_->GetStream(CallContext(token_).get(), request, &stream)),
            "NOT_FOUND NOT_FOUND bridge");
}

TEST_F(StreamServiceTest, ListsNothingOfWhatNeverWasWithoutSayingSo) {
  const auto outcomes = [&](auto request) {
    v1::ListDeadLettersRequest letters;
    letters.set_bridge(request.bridge());
    letters.set_topic(request.topic());
    v1::ListDeadLettersResponse groups;
    v1::ListPartitionsResponse partitions;
    return Outcome(stub_->ListDeadLetters(CallContext(token_).get(), letters, &groups)) + ", " +
           Outcome(stub_->ListPartitions(CallContext(token_).get(), request, &partitions));
  };
  v1::ListPartitionsRequest request = Named<v1::ListPartitionsRequest>();
  EXPECT_EQ(outcomes(request), "OK, OK");

  request.set_topic("another");
  EXPECT_EQ(outcomes(request), "NOT_FOUND NOT_FOUND topic, NOT_FOUND NOT_FOUND topic");
  request.set_bridge("another");
  EXPECT_EQ(outcomes(request), "NOT_FOUND NOT_FOUND bridge, NOT_FOUND NOT_FOUND bridge");
}

TEST_F(StreamServiceTest, ShowsAndRetriesNoDeadLettersOfATopicThatNeverWas) {
  int calls = 0;
  const auto outcomes = [&](const std::string& bridge, const std::string& topic) {
    v1::ReadDeadLettersRequest read;
    read.set_bridge(bridge);
    read.set_topic(topic);
    v1::RetryDeadLettersRequest retry;
    retry.set_bridge(bridge);
    retry.set_topic(topic);
    retry.set_request_id(std::to_string(++calls));
    v1::ReadDeadLettersResponse page;
    v1::RetryDeadLettersResponse retried;
    return Outcome(stub_->ReadDeadLetters(CallContext(token_).get(), read, &page)) + ", " +
           Outcome(stub_->RetryDeadLetters(CallContext(token_).get(), retry, &retried));
  };
  const std::string asked = outcomes("logs", "audit");
  EXPECT_EQ(asked.find("NOT_FOUND"), std::string::npos) << asked;
  EXPECT_EQ(outcomes("logs", ""), asked);
  EXPECT_EQ(outcomes("logs", "typo"), "NOT_FOUND NOT_FOUND topic, NOT_FOUND NOT_FOUND topic");
  EXPECT_EQ(outcomes("typo", "audit"), "NOT_FOUND NOT_FOUND bridge, NOT_FOUND NOT_FOUND bridge");

  BridgeSpec made = BridgeNamed("logs").spec;
  ASSERT_EQ(WhyNot(Apply({DeleteBridge{"logs"}, PutBridge{made}})), "OK");
  EXPECT_EQ(outcomes("logs", "audit"), asked) << "letters outlive their stream";
}

}  // namespace
}  // namespace drawbridge
