#include "server/api/definition_service.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "drawbridge/v1/bridge.grpc.pb.h"
#include "drawbridge/v1/credential.grpc.pb.h"
#include "drawbridge/v1/endpoint.grpc.pb.h"
#include "drawbridge/v1/relay_admin.grpc.pb.h"
#include "drawbridge/v1/stream.grpc.pb.h"
#include "tests/server/api/api_fixture.h"

namespace drawbridge {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// Two endpoints and a bridge, asked for over the API port as automation would.
class DefinitionServiceTest : public ApiTest {
 protected:
  static v1::ApplyRequest Wanted(const std::string& request_id = "first") {
    v1::ApplyRequest request;
    request.set_request_id(request_id);
    for (const char* name : {"oci", "aws"}) {
      v1::Endpoint* const endpoint = request.add_endpoints();
      endpoint->set_name(name);
      endpoint->mutable_kafka()->add_bootstrap(std::string(name) + ":9092");
    }
    v1::Bridge* const bridge = request.add_bridges();
    bridge->set_name("logs");
    bridge->mutable_spec()->mutable_source()->set_endpoint("oci");
    bridge->mutable_spec()->mutable_source()->add_topics("audit");
    bridge->mutable_spec()->mutable_target()->set_endpoint("aws");
    return request;
  }
  std::string Apply(const v1::ApplyRequest& request) {
    response_.Clear();
    return Outcome(definitions_->Apply(CallContext(token_).get(), request, &response_));
  }
  std::string Pause(const std::string& name, const std::string& request_id) {
    v1::PauseBridgeRequest request;
    request.set_name(name);
    request.set_request_id(request_id);
    v1::Bridge bridge;
    return Outcome(bridges_->PauseBridge(CallContext(token_).get(), request, &bridge));
  }
  int64_t AuditRows() { return Number("SELECT count(*) FROM audit"); }

  const std::string token_ = TokenOf("admin");
  const std::shared_ptr<grpc::Channel> channel_ = ApiChannel();
  const std::unique_ptr<v1::DefinitionService::Stub> definitions_ =
      v1::DefinitionService::NewStub(channel_);
  const std::unique_ptr<v1::BridgeService::Stub> bridges_ = v1::BridgeService::NewStub(channel_);
  v1::ApplyResponse response_;
};

// --- Calls that are repeated --------------------------------------------------------------------

TEST_F(DefinitionServiceTest, ChangesNothingWhenARequestIsRepeated) {
  ASSERT_EQ(Apply(Wanted()), "OK");
  const std::string first = response_.SerializeAsString();
  const int64_t revision = State().revision;
  const int64_t audited = AuditRows();

  EXPECT_EQ(Apply(Wanted()), "OK");

  EXPECT_EQ(response_.SerializeAsString(), first) << "the answer that got lost";
  EXPECT_EQ(State().revision, revision);
  EXPECT_EQ(AuditRows(), audited);
}

TEST_F(DefinitionServiceTest, RefusesOneRequestIdForTwoRequests) {
  ASSERT_EQ(Apply(Wanted()), "OK");
  v1::ApplyRequest other = Wanted();
  other.mutable_bridges(0)->mutable_spec()->set_lanes(4);

  EXPECT_THAT(Apply(other), testing::HasSubstr("REQUEST_ID"));

  EXPECT_EQ(BridgeNamed("logs").generation, 1);
}

TEST_F(DefinitionServiceTest, RefusesAChangeWithoutARequestId) {
  EXPECT_EQ(Apply(Wanted("")), "INVALID_ARGUMENT FIELD_INVALID request_id");
  EXPECT_EQ(Apply(Wanted(std::string(65, 'x'))), "INVALID_ARGUMENT FIELD_INVALID request_id");
  EXPECT_THAT(State().bridges, IsEmpty());
}

TEST_F(DefinitionServiceTest, PausesOnceForARequestThatIsRepeatedAfterAResume) {
  ASSERT_EQ(Apply(Wanted()), "OK");
  ASSERT_EQ(Pause("logs", "pause"), "OK");
  v1::ResumeBridgeRequest resume;
  resume.set_name("logs");
  resume.set_request_id("resume");
  v1::Bridge bridge;
  ASSERT_TRUE(bridges_->ResumeBridge(CallContext(token_).get(), resume, &bridge).ok());

  EXPECT_EQ(Pause("logs", "pause"), "OK");

  EXPECT_FALSE(BridgeNamed("logs").is_paused) << "a late repetition must not stop the flow again";
}

// --- Whole files --------------------------------------------------------------------------------

TEST_F(DefinitionServiceTest, SaysWhatWouldChangeAndChangesNothing) {
  v1::ApplyRequest request = Wanted("");
  request.set_dry_run(true);

  EXPECT_EQ(Apply(request), "OK");

  EXPECT_THAT(response_.changes(), SizeIs(3));
  EXPECT_THAT(State().endpoints, IsEmpty());
}

TEST_F(DefinitionServiceTest, TakesAllOfAFileOrNothing) {
  v1::ApplyRequest request = Wanted();
  *request.add_bridges() = request.bridges(0);
  request.mutable_bridges(1)->set_name("other");
  request.mutable_bridges(1)->mutable_spec()->mutable_target()->set_endpoint("nowhere");

  EXPECT_THAT(Apply(request), testing::HasSubstr("bridges[other].target.endpoint"));

  EXPECT_THAT(State().endpoints, IsEmpty());
}

struct BadField {
  std::string field;
  std::function<void(v1::ApplyRequest&)> change;

  friend void PrintTo(const BadField& bad, std::ostream* out) { *out << bad.field; }
};
class BadFieldTest : public DefinitionServiceTest, public testing::WithParamInterface<BadField> {};

TEST_P(BadFieldTest, IsNamedAndNothingIsStored) {
  v1::ApplyRequest request = Wanted();
  GetParam().change(request);

  EXPECT_THAT(Apply(request), testing::AllOf(testing::StartsWith("INVALID_ARGUMENT "),
                                             testing::EndsWith(" " + GetParam().field)));

  EXPECT_THAT(State().endpoints, IsEmpty());
}

v1::BridgeSpec& SpecIn(v1::ApplyRequest& request) {
  return *request.mutable_bridges(0)->mutable_spec();
}

INSTANTIATE_TEST_SUITE_P(
    All, BadFieldTest,
    testing::Values(
        BadField{"bridges[logs].source.topics",
                 [](auto& request) { SpecIn(request).mutable_source()->clear_topics(); }},
        BadField{"bridges[logs].source.topics[1]",
                 [](auto& request) { SpecIn(request).mutable_source()->add_topics("/(/"); }},
        BadField{"bridges[logs].lanes", [](auto& request) { SpecIn(request).set_lanes(-1); }},
        BadField{"bridges[logs].lanes", [](auto& request) { SpecIn(request).set_lanes(1'000); }},
        BadField{"bridges[logs].target.compression",
                 [](auto& request) {
                   SpecIn(request).mutable_target()->set_compression(
                       static_cast<v1::Compression>(77));
                 }},
        BadField{"endpoints[oci].kafka.bootstrap",
                 [](auto& request) {
                   request.mutable_endpoints(0)->mutable_kafka()->clear_bootstrap();
                 }},
        BadField{"endpoints[oci].kafka.bootstrap[0]", [](auto& request) {
                   request.mutable_endpoints(0)->mutable_kafka()->set_bootstrap(0, "no port");
                 }}));

// --- Single objects -----------------------------------------------------------------------------

TEST_F(DefinitionServiceTest, RefusesASecondBridgeOfAName) {
  ASSERT_EQ(Apply(Wanted()), "OK");
  v1::CreateBridgeRequest request;
  *request.mutable_bridge() = Wanted().bridges(0);
  request.set_request_id("again");
  v1::Bridge bridge;

  EXPECT_EQ(Outcome(bridges_->CreateBridge(CallContext(token_).get(), request, &bridge)),
            "ALREADY_EXISTS NAME_TAKEN name");
}

TEST_F(DefinitionServiceTest, RefusesAnUpdateOfWhatWasChangedMeanwhile) {
  ASSERT_EQ(Apply(Wanted()), "OK");
  v1::UpdateBridgeRequest request;
  *request.mutable_bridge() = Wanted().bridges(0);
  request.mutable_bridge()->set_generation(7);
  request.mutable_bridge()->mutable_spec()->set_lanes(4);
  request.set_request_id("late");
  v1::Bridge bridge;

  EXPECT_EQ(Outcome(bridges_->UpdateBridge(CallContext(token_).get(), request, &bridge)),
            "ABORTED GENERATION_MISMATCH generation");
}

TEST_F(DefinitionServiceTest, SaysThatABridgeIsNotThere) {
  EXPECT_EQ(Pause("nothing", "pause"), "NOT_FOUND NOT_FOUND");
}

// --- Who may ask --------------------------------------------------------------------------------

class WhoMayAskTest : public DefinitionServiceTest {
 protected:
  std::string List(const std::string& token) {
    v1::ListBridgesResponse response;
    return Outcome(bridges_->ListBridges(CallContext(token).get(), {}, &response));
  }
  std::string ApplyAs(const std::string& token) {
    return Outcome(definitions_->Apply(CallContext(token).get(), Wanted(), &response_));
  }
};

TEST_F(WhoMayAskTest, NobodyWithoutAToken) {
  EXPECT_EQ(List(""), "UNAUTHENTICATED UNAUTHENTICATED");
}

TEST_F(WhoMayAskTest, NobodyWithATokenThatTheServerDoesNotKnow) {
  std::string other = token_;
  other.back() = other.back() == 'a' ? 'b' : 'a';
  EXPECT_EQ(List(other), "UNAUTHENTICATED TOKEN_INVALID");
  EXPECT_EQ(List("not a token"), "UNAUTHENTICATED TOKEN_INVALID");
}

TEST_F(WhoMayAskTest, AViewerOnlyToLook) {
  const std::string viewer = TokenOf("viewer");
  EXPECT_EQ(List(viewer), "OK");
  EXPECT_EQ(ApplyAs(viewer), "PERMISSION_DENIED PERMISSION_DENIED");
  EXPECT_THAT(State().bridges, IsEmpty());
}

TEST_F(WhoMayAskTest, NoUserToSpeakAsARelay) {
  Enrol("a");
  const auto session = std::make_unique<SessionClient>(ApiChannel(), token_);
  session->Say(Hello());
  EXPECT_NE(Outcome(session->HearOut()), "OK");
  EXPECT_FALSE(IsConnected("a"));
}

}  // namespace
}  // namespace drawbridge
