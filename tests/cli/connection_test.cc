#include "cli/connection.h"

#include <regex>

#include <gmock/gmock.h>

#include "drawbridge/v1/bridge.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "model/convert/status.h"
#include "tests/cli/test_certificate.h"
#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

const grpc::Status kLost(grpc::StatusCode::UNAVAILABLE, "Socket closed");

class ConnectionTest : public VerbTest {
 protected:
  // The exit code and error of a read with this context.
  ExitCode Ask(const std::string& context) {
    return RunBare({"--context", folder_.Write("other.yaml", context), "get", "bridges"});
  }

  std::string ContextWith(const std::string& from, const std::string& to) const {
    std::string text = server_.ContextText();
    return text.replace(text.find(from), from.size(), to);
  }

  std::string ContextWithCa(const std::string& ca_pem) const {
    std::string indented = "  ";
    for (const char byte : ca_pem) indented += byte == '\n' ? "\n  " : std::string(1, byte);
    std::string text = server_.ContextText();
    const size_t ca = text.find("  -----BEGIN");
    return text.replace(ca, text.find("token:") - ca, indented + "\n");
  }
};

TEST_F(ConnectionTest, MakesADifferentRandomIdEachTime) {
  const std::regex uuid("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");

  EXPECT_TRUE(std::regex_match(NewRequestId(), uuid));
  EXPECT_NE(NewRequestId(), NewRequestId());
}

TEST_F(ConnectionTest, RepeatsALostChangeOnceWithTheSameId) {
  server_.WillRefuseOnce(v1::PauseBridgeRequest{}, kLost);

  EXPECT_EQ(Run({"pause", "bridge", "b"}), ExitCode::kOk) << err();

  const auto requests = server_.Requests<v1::PauseBridgeRequest>();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].request_id(), requests[1].request_id());
  EXPECT_EQ(requests[0].request_id().size(), 36U);
}

TEST_F(ConnectionTest, GivesUpAfterTheSecondLoss) {
  server_.WillRefuse(v1::PauseBridgeRequest{}, kLost);

  EXPECT_EQ(Run({"pause", "bridge", "b"}), ExitCode::kUnreachable);

  EXPECT_EQ(server_.Requests<v1::PauseBridgeRequest>().size(), 2U);
}

TEST_F(ConnectionTest, DoesNotRepeatWhatTheServerRefused) {
  server_.WillRefuse(v1::PauseBridgeRequest{},
                     Status(StatusCode::kUnavailable, Reason::kNoRelay, "no relay"));

  EXPECT_EQ(Run({"pause", "bridge", "b"}), ExitCode::kRefused);

  EXPECT_EQ(server_.Requests<v1::PauseBridgeRequest>().size(), 1U);
}

TEST_F(ConnectionTest, DoesNotRepeatWhatTheServerGotNoAnswerToItself) {
  server_.WillRefuse(v1::PauseBridgeRequest{}, Status(StatusCode::kDeadlineExceeded,
                                                      Reason::kUnavailable, "the relay is away"));

  EXPECT_EQ(Run({"pause", "bridge", "b"}), ExitCode::kRefused) << "the server was reached";

  EXPECT_EQ(err(), "error: UNAVAILABLE: the relay is away\n");
  EXPECT_EQ(server_.Requests<v1::PauseBridgeRequest>().size(), 1U);
}

TEST_F(ConnectionTest, RepeatsWhatTheServerCannotDoAtPresent) {
  server_.WillRefuseOnce(v1::PauseBridgeRequest{},
                         ToGrpc(Status(StatusCode::kUnavailable, Reason::kUnavailable, "not now")));

  EXPECT_EQ(Run({"pause", "bridge", "b"}), ExitCode::kOk) << err();

  EXPECT_EQ(server_.Requests<v1::PauseBridgeRequest>().size(), 2U);
}

TEST_F(ConnectionTest, UsesAnotherIdForAnotherChange) {
  EXPECT_EQ(Run({"pause", "bridge", "b"}), ExitCode::kOk);
  EXPECT_EQ(Run({"pause", "bridge", "b"}), ExitCode::kOk);

  const auto requests = server_.Requests<v1::PauseBridgeRequest>();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_NE(requests[0].request_id(), requests[1].request_id());
}

TEST_F(ConnectionTest, ShowsReasonSentenceAndField) {
  server_.WillRefuse(v1::GetBridgeRequest{}, Status(StatusCode::kNotFound, Reason::kNotFound,
                                                    "no bridge is called b", "name"));

  EXPECT_EQ(Run({"get", "bridges", "b"}), ExitCode::kRefused);

  EXPECT_EQ(err(), "error: NOT_FOUND: no bridge is called b (name)\n");
  EXPECT_EQ(out(), "");
}

TEST_F(ConnectionTest, ShowsErrorsAsJsonWhenAskedTo) {
  server_.WillRefuse(v1::GetBridgeRequest{}, Status(StatusCode::kNotFound, Reason::kNotFound,
                                                    "no bridge is called b", "name"));

  EXPECT_EQ(Run({"get", "bridges", "b", "-o", "json"}), ExitCode::kRefused);

  EXPECT_EQ(ErrJson()["errors"][0]["reason"], "NOT_FOUND");
  EXPECT_EQ(ErrJson()["errors"][0]["field"], "name");
}

TEST_F(ConnectionTest, ShowsEveryFieldAndReasonsOfANewerServer) {
  google::rpc::ErrorInfo info;
  info.set_domain("drawbridge");
  info.set_reason("REASON_FROM_THE_FUTURE");
  google::rpc::BadRequest request;
  for (const char* field : {"a", "b"}) {
    auto& violation = *request.add_field_violations();
    violation.set_field(field);
    violation.set_description("is wrong");
  }
  google::rpc::Status rich;
  rich.add_details()->PackFrom(info);
  rich.add_details()->PackFrom(request);
  server_.WillRefuse(v1::GetBridgeRequest{}, grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no",
                                                          rich.SerializeAsString()));

  EXPECT_EQ(Run({"get", "bridges", "b"}), ExitCode::kRefused);

  EXPECT_EQ(err(), "error: FROM_THE_FUTURE: is wrong (a)\nerror: FROM_THE_FUTURE: is wrong (b)\n");
}

TEST_F(ConnectionTest, KeepsTheWordsOfOthersFromTheTerminal) {
  server_.WillRefuse(v1::GetBridgeRequest{},
                     Status(StatusCode::kNotFound, Reason::kBrokerError, "\x1b[2Jboo"));

  EXPECT_EQ(Run({"get", "bridges", "b"}), ExitCode::kRefused);

  EXPECT_EQ(err(), "error: BROKER_ERROR: \\x1b[2Jboo\n");
}

TEST_F(ConnectionTest, SaysThatNothingListens) {
  server_.Stop();

  EXPECT_EQ(Run({"get", "bridges"}), ExitCode::kUnreachable);

  EXPECT_THAT(err(), HasSubstr("UNREACHABLE: cannot talk to localhost:"));
  EXPECT_THAT(err(), HasSubstr("is the server running?"));
}

TEST_F(ConnectionTest, SaysThatTheHostIsNotKnown) {
  EXPECT_EQ(Ask(ContextWith(server_.address(), "no-such-host.invalid:1")), ExitCode::kUnreachable);

  EXPECT_THAT(err(), HasSubstr("UNREACHABLE"));
}

// Also if it has the same name: all servers call theirs alike.
TEST_F(ConnectionTest, RefusesAServerOfAnotherCa) {
  for (const char* name : {"test CA", "another CA"}) {
    EXPECT_EQ(Ask(ContextWithCa(MakeTestCertificate("localhost", name).ca_pem)),
              ExitCode::kUnreachable);

    EXPECT_THAT(err(), HasSubstr("TLS_UNTRUSTED")) << name;
  }
  EXPECT_TRUE(server_.Requests<v1::ListBridgesRequest>().empty());
}

TEST_F(ConnectionTest, RefusesAServerOfAnotherName) {
  const std::string port = server_.address().substr(server_.address().find(':'));

  EXPECT_EQ(Ask(ContextWith(server_.address(), "127.0.0.1" + port)), ExitCode::kUnreachable);

  EXPECT_THAT(err(), HasSubstr("TLS_UNTRUSTED"));
  EXPECT_THAT(err(), HasSubstr("for another host"));
}

TEST_F(ConnectionTest, SaysThatTheCaCannotBeUsed) {
  EXPECT_EQ(Ask(ContextWith("MII", "???")), ExitCode::kUnreachable);

  EXPECT_THAT(err(), HasSubstr("TLS_FAILED"));
}

TEST_F(ConnectionTest, SaysThatTheTokenIsNotKnown) {
  EXPECT_EQ(Ask(ContextWith(FakeServer::kToken, "drawbridge_wrong-canary")),
            ExitCode::kUnreachable);

  EXPECT_THAT(err(), HasSubstr("UNAUTHENTICATED"));
  EXPECT_THAT(err(), Not(HasSubstr("canary")));
}

TEST_F(ConnectionTest, SaysThatTheServerIsTooOld) {
  server_.WillRefuse(v1::ListBridgesRequest{}, grpc::Status(grpc::StatusCode::UNIMPLEMENTED, ""));

  EXPECT_EQ(Run({"get", "bridges"}), ExitCode::kRefused);

  EXPECT_THAT(err(), HasSubstr("it is older than this program"));
}

TEST_F(ConnectionTest, NamesTheDeadlineThatRanOut) {
  server_.WillRefuse(v1::ListBridgesRequest{},
                     grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded"));

  EXPECT_EQ(Run({"get", "bridges", "--timeout", "7s"}), ExitCode::kUnreachable);

  EXPECT_THAT(err(), HasSubstr("has not answered within 7s"));
}

TEST_F(ConnectionTest, ShowsAnAccessRefusalAsRefused) {
  server_.WillRefuse(v1::ListBridgesRequest{},
                     Status(StatusCode::kPermissionDenied, Reason::kPermissionDenied, "no"));

  EXPECT_EQ(Run({"get", "bridges"}), ExitCode::kRefused);
}

}  // namespace
}  // namespace drawbridge::cli
