#include <gmock/gmock.h>

#include "drawbridge/v1/bridge.pb.h"
#include "drawbridge/v1/stream.pb.h"
#include "tests/cli/verb_fixture.h"

namespace drawbridge::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

class StatusTest : public VerbTest {
 protected:
  StatusTest() {
    AddBridge("oci-logs");
    v1::Stream& audit = AddStream("audit", v1::MOTION_CATCHING_UP);
    audit.mutable_status()->set_lag_records(12345);
    audit.mutable_status()->mutable_lag()->set_seconds(12);
    audit.mutable_status()->set_records_per_second(3210.5);
    audit.mutable_status()->set_bytes_per_second(4.25e6);
    audit.mutable_status()->mutable_age()->set_seconds(1);
    AddStream("waf", v1::MOTION_UNSPECIFIED);
    Tell();
  }

  v1::Bridge& AddBridge(const std::string& name) {
    v1::Bridge& bridge = *bridges_.add_bridges();
    bridge.set_name(name);
    return bridge;
  }

  v1::Stream& AddStream(const std::string& topic, v1::Motion motion) {
    v1::Stream& stream = *streams_.add_streams();
    stream.set_bridge("oci-logs");
    stream.set_topic(topic);
    stream.mutable_status()->set_motion(motion);
    return stream;
  }

  void Tell() {
    server_.WillAnswer(v1::ListBridgesRequest{}, bridges_);
    server_.WillAnswer(v1::ListStreamsRequest{}, streams_);
  }

  // What happens between two looks at the server, one step after the other.
  void Between(std::vector<std::function<void()>> steps) {
    terminal_.wait = [this, steps, next = size_t{0}](Duration interval) mutable {
      clock_.Advance(interval);
      if (next == steps.size()) return false;
      steps[next++]();
      return true;
    };
  }

  v1::ListBridgesResponse bridges_;
  v1::ListStreamsResponse streams_;
};

TEST_F(StatusTest, ShowsALinePerStream) {
  EXPECT_EQ(Run({"status"}), ExitCode::kOk) << err();

  EXPECT_EQ(out(),
            "2026-03-14T09:00:00Z  2 streams: 1 unknown, 1 catching-up\n"
            "BRIDGE    TOPIC  STATE           LAG  BEHIND  RECORDS/S  MB/S  AGE  LAST ERROR\n"
            "oci-logs  audit  catching-up  12,345     12s      3,210   4.2   1s\n"
            "oci-logs  waf    ?                 ?       ?          ?     ?    ?\n");
}

TEST_F(StatusTest, ShowsBridgesWithoutAStreamAndTheirProblems) {
  AddBridge("new");
  v1::Condition& condition = *AddBridge("broken").mutable_status()->add_conditions();
  condition.set_side("source");
  condition.set_reason(v1::REASON_UNREACHABLE);
  condition.set_text("connection refused");
  Tell();

  EXPECT_EQ(Run({"status"}), ExitCode::kOk);

  EXPECT_THAT(out(), HasSubstr("new       (bridge)  no stream yet"));
  EXPECT_THAT(out(), HasSubstr("broken    (bridge)  has problems"));
  EXPECT_THAT(out(), HasSubstr("UNREACHABLE source: connection refused\n"));
}

TEST_F(StatusTest, ShowsOneBridgeOnly) {
  server_.WillAnswer(v1::GetBridgeRequest{}, bridges_.bridges(0));

  EXPECT_EQ(Run({"status", "oci-logs", "-o", "json"}), ExitCode::kOk);

  EXPECT_EQ(server_.Requests<v1::ListStreamsRequest>().at(0).bridge(), "oci-logs");
  EXPECT_EQ(OutJson()["server"]["reachable"], true);
  EXPECT_EQ(OutJson()["streams"][0]["status"]["lag_records"], 12345);
}

TEST_F(StatusTest, PrintsABlockPerIntervalWhereNobodyLooks) {
  Between({[] {}});

  EXPECT_EQ(Run({"status", "--follow", "--interval", "10s"}), ExitCode::kOk);

  EXPECT_THAT(out(), StartsWith("2026-03-14T09:00:00Z  2 streams"));
  EXPECT_THAT(out(), HasSubstr("\n\n2026-03-14T09:00:10Z  2 streams"));
  EXPECT_THAT(out(), Not(HasSubstr("\x1b")));
}

TEST_F(StatusTest, KeepsTheValuesWithTheirAgeWhileTheServerIsAway) {
  Between({[&] { server_.Stop(); }, [&] { out_.str(""); }});

  EXPECT_EQ(Run({"status", "--follow", "--interval", "40s"}), ExitCode::kOk) << err();

  EXPECT_THAT(
      out(), AllOf(HasSubstr("SERVER AWAY, the values are 1m20s old"),
                   HasSubstr("is the server running?"), HasSubstr("12,345"), HasSubstr("1m21s\n")));
}

TEST_F(StatusTest, GoesOnWhenTheServerIsBack) {
  server_.Stop();
  // The channel waits for up to a second before it tries again: look until it has.
  int looks = 0;
  terminal_.wait = [&](Duration) {
    if (looks == 0) {
      EXPECT_THAT(out(), HasSubstr("SERVER AWAY, nothing is known yet"));
      server_.Start();
    }
    out_.flush();
    return ++looks < 100'000 && out().find("2 streams") == std::string::npos;
  };

  EXPECT_EQ(Run({"status", "--follow"}), ExitCode::kOk);

  EXPECT_THAT(out(), HasSubstr("2 streams"));
}

TEST_F(StatusTest, EndsWhenTheServerRefuses) {
  server_.WillRefuse(v1::GetBridgeRequest{},
                     Status(StatusCode::kNotFound, Reason::kNotFound, "no such bridge"));

  EXPECT_EQ(Run({"status", "--follow", "x"}), ExitCode::kRefused);

  EXPECT_EQ(err(), "error: NOT_FOUND: no such bridge\n");
}

TEST_F(StatusTest, EndsWhenTheTokenIsNotKnown) {
  server_.WillRefuse(v1::ListBridgesRequest{},
                     Status(StatusCode::kUnauthenticated, Reason::kTokenExpired, "make another"));

  EXPECT_EQ(Run({"status", "--follow"}), ExitCode::kUnreachable);

  EXPECT_EQ(err(), "error: TOKEN_EXPIRED: make another\n");
}

TEST_F(StatusTest, RedrawsInPlaceOnATerminal) {
  terminal_.is_interactive = true;
  Between({[&] {
    out_.str("");
    streams_.mutable_streams()->RemoveLast();
    Tell();
  }});

  EXPECT_EQ(Run({"status", "--follow"}), ExitCode::kOk);

  EXPECT_THAT(out(), StartsWith("\x1b[4A\r2026-03-14T09:00:01Z  1 stream"));
  EXPECT_THAT(out(), testing::EndsWith("\x1b[K\n\x1b[J"));
}

TEST_F(StatusTest, FitsIntoTheWindow) {
  for (int topic = 0; topic < 100; ++topic) AddStream("t", v1::MOTION_IDLE);
  Tell();
  terminal_.is_interactive = true;
  terminal_.size = [] { return Terminal::Size{30, 10}; };

  EXPECT_EQ(Run({"status", "--follow"}), ExitCode::kOk);

  EXPECT_EQ(std::ranges::count(out(), '\n'), 9);
  EXPECT_THAT(out(), HasSubstr("\rand 96 more: make the window …\x1b[K"));
  EXPECT_THAT(out(), HasSubstr("\roci-logs  audit  catching-up\x1b[K"));
}

TEST_F(StatusTest, GivesScriptsALinePerInterval) {
  Between({[&] { server_.Stop(); }});

  EXPECT_EQ(Run({"status", "--follow", "-o", "json"}), ExitCode::kOk);

  std::istringstream lines(out());
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(nlohmann::json::parse(line)["server"]["reachable"], true);
  ASSERT_TRUE(std::getline(lines, line));
  const nlohmann::json away = nlohmann::json::parse(line);
  EXPECT_EQ(away["server"]["reachable"], false);
  EXPECT_EQ(away["server"]["age_seconds"], 1.0);
  EXPECT_EQ(away["server"]["error"]["reason"], "UNREACHABLE");
  EXPECT_EQ(away["streams"][0]["status"]["lag_records"], 12345);
}

}  // namespace
}  // namespace drawbridge::cli
