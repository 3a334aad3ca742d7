#include "model/convert/status.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "drawbridge/v1/endpoint.grpc.pb.h"
#include "google/rpc/error_details.pb.h"

namespace drawbridge {
namespace {

const Status kRefused(StatusCode::kInvalidArgument, Reason::kPatternInvalid, "\"(\" is no pattern",
                      "bridges[oci-logs].source.topics[1]");

void ExpectSame(const Status& kept, const Status& status) {
  EXPECT_EQ(kept.code(), status.code());
  EXPECT_EQ(kept.reason(), status.reason());
  EXPECT_EQ(kept.message(), status.message());
  EXPECT_EQ(kept.field(), status.field());
}

class RpcStatusTest : public testing::Test {
 protected:
  static google::rpc::ErrorInfo Info(std::string reason, std::string domain) {
    google::rpc::ErrorInfo info;
    info.set_reason(std::move(reason));
    info.set_domain(std::move(domain));
    return info;
  }
};

TEST_F(RpcStatusTest, SurvivesTheWire) {
  ExpectSame(FromProto(ToProto(kRefused)), kRefused);
  ExpectSame(FromProto(ToProto(Status())), Status());

  const Status plain(StatusCode::kCancelled, "the caller has left");
  ExpectSame(FromProto(ToProto(plain)), plain);
}

TEST_F(RpcStatusTest, CarriesReasonAndFieldAsDetails) {
  const google::rpc::Status message = ToProto(kRefused);

  google::rpc::ErrorInfo info;
  google::rpc::BadRequest request;
  ASSERT_EQ(message.details_size(), 2);
  ASSERT_TRUE(message.details(0).UnpackTo(&info));
  ASSERT_TRUE(message.details(1).UnpackTo(&request));
  EXPECT_EQ(message.code(), 3);
  EXPECT_EQ(info.reason(), "PATTERN_INVALID");
  EXPECT_EQ(info.domain(), "drawbridge");
  EXPECT_EQ(request.field_violations(0).field(), "bridges[oci-logs].source.topics[1]");
  EXPECT_EQ(request.field_violations(0).description(), kRefused.message());
}

TEST_F(RpcStatusTest, IsUnknownWithACodeOutsideTheSet) {
  for (const int code : {-1, 17, 2'000'000'000}) {
    google::rpc::Status message;
    message.set_code(code);

    EXPECT_EQ(FromProto(message).code(), StatusCode::kUnknown);
  }
}

TEST_F(RpcStatusTest, HasNoReasonThatThisVersionDoesNotKnow) {
  google::rpc::Status message = ToProto({StatusCode::kNotFound, "gone"});
  message.add_details()->PackFrom(Info("MOON_IN_THE_WAY", "drawbridge"));

  EXPECT_EQ(FromProto(message).reason(), Reason::kUnspecified);
}

TEST_F(RpcStatusTest, TakesNoReasonFromAnotherDomain) {
  google::rpc::Status message = ToProto({StatusCode::kNotFound, "gone"});
  message.add_details()->PackFrom(Info("UNREACHABLE", "googleapis.com"));
  message.add_details()->PackFrom(Info("TOPIC_NOT_FOUND", "drawbridge"));

  EXPECT_EQ(FromProto(message).reason(), Reason::kTopicNotFound);
}

TEST_F(RpcStatusTest, PassesOverDetailsThatAreBroken) {
  google::rpc::Status message = ToProto({StatusCode::kNotFound, "gone"});
  google::protobuf::Any& broken = *message.add_details();
  broken.set_type_url("type.googleapis.com/google.rpc.ErrorInfo");
  broken.set_value("\xFF\xFF\xFF");
  message.add_details()->set_type_url("nonsense");
  message.add_details()->PackFrom(google::rpc::BadRequest());

  ExpectSame(FromProto(message), {StatusCode::kNotFound, "gone"});
}

TEST(GrpcStatusTest, SurvivesTheCall) {
  ExpectSame(FromGrpc(ToGrpc(kRefused)), kRefused);
  EXPECT_TRUE(ToGrpc(Status()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
}

TEST(GrpcStatusTest, HasTheReasonOfItsCodeWhenNobodyOfOursAnswered) {
  ExpectSame(FromGrpc({grpc::StatusCode::UNAVAILABLE, "connection refused"}),
             {StatusCode::kUnavailable, Reason::kUnavailable, "connection refused"});
  ExpectSame(FromGrpc({grpc::StatusCode::UNAUTHENTICATED, "no token"}),
             {StatusCode::kUnauthenticated, Reason::kUnauthenticated, "no token"});
  ExpectSame(FromGrpc({grpc::StatusCode::DEADLINE_EXCEEDED, "too late"}),
             {StatusCode::kDeadlineExceeded, "too late"});
}

TEST(GrpcStatusTest, IsNoSuccessBecauseItsDetailsSaySo) {
  const std::string details("\x08\x00", 2);  // code: 0
  const Status status = FromGrpc({grpc::StatusCode::PERMISSION_DENIED, "no", details});

  EXPECT_EQ(status.code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(status.message(), "no");
}

TEST(GrpcStatusTest, StandsWithoutDetailsThatAreBroken) {
  const Status status = FromGrpc({grpc::StatusCode::UNAVAILABLE, "away", "\xFF\xFF"});

  ExpectSame(status, {StatusCode::kUnavailable, Reason::kUnavailable, "away"});
}

// Answers every call with one error, over a real connection.
class Refusing final : public v1::EndpointService::Service {
 public:
  explicit Refusing(Status status) : status_(std::move(status)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }

  grpc::Status GetEndpoint(grpc::ServerContext* /*context*/,
                           const v1::GetEndpointRequest* /*request*/,
                           v1::Endpoint* /*response*/) override {
    return ToGrpc(status_);
  }

  Status Ask() const {
    const auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port_),
                                             grpc::InsecureChannelCredentials());
    grpc::ClientContext context;
    v1::Endpoint answer;
    return FromGrpc(v1::EndpointService::NewStub(channel)->GetEndpoint(&context, {}, &answer));
  }

 private:
  Status status_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST(GrpcCallTest, BringsTheErrorToTheCaller) { ExpectSame(Refusing(kRefused).Ask(), kRefused); }

TEST(GrpcCallTest, BringsAnErrorThatRepeatsWhateverAUserSent) {
  std::string euros;
  for (int i = 0; i < 100'000; ++i) euros += "\xE2\x82\xAC";
  const std::string control = std::string(100'000, '\n');
  const std::string binary = std::string(100'000, '\xFF');
  for (const std::string& text : {euros, control, binary}) {
    const Status status(StatusCode::kInvalidArgument, Reason::kGuaranteeUnsupported, text, text);

    const Status kept = Refusing(status).Ask();

    EXPECT_EQ(kept.code(), StatusCode::kInvalidArgument) << kept.ToString();
    EXPECT_EQ(kept.reason(), Reason::kGuaranteeUnsupported);
    EXPECT_GT(kept.message().size(), 1000U);
    EXPECT_GT(kept.field().size(), 500U);
  }
}

}  // namespace
}  // namespace drawbridge
