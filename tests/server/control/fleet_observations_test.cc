#include "server/control/fleet_observations.h"

#include <gtest/gtest.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr PartitionKey kKey{.stream = StreamId{1}, .partition = 0};
const RelayName kRelay{"r1"};
constexpr BootTime kStart{1h};
constexpr WallTime kWallStart{1'790'000'000s};

class FleetObservationsTest : public testing::Test {
 protected:
  // All of 100 records confirmed, as its lane sees it.
  static PartitionReport CaughtUp() {
    PartitionReport report;
    report.key = kKey;
    report.token = {.incarnation = 1, .epoch = 1};
    report.confirmed = report.read_position = Offset{100};
    report.log_start = Offset{0};
    report.log_end = Offset{100};
    report.since_moved = 20s;
    report.since_source_seen = 1s;
    report.state = PartitionState::kRunning;
    return report;
  }
  void Report(const PartitionReport& partition, Duration at = 0s) {
    observations_.Take(kRelay, {.partitions = {partition}, .conditions = {}}, kStart + at,
                       kWallStart + std::chrono::floor<std::chrono::seconds>(at));
  }
  PartitionStatus StatusAfter(Duration time) {
    StoredPartition partition;
    partition.key = kKey;
    partition.token = {.incarnation = 1, .epoch = 1};
    partition.owner = kRelay;
    return observations_.StatusOf(partition, false, false, kStart + time,
                                  kWallStart + std::chrono::floor<std::chrono::seconds>(time));
  }

  FleetObservations observations_;
};

TEST_F(FleetObservationsTest, TellsNoLagFromWhatARelayLastSaidLongAgo) {
  Report(CaughtUp());
  EXPECT_EQ(StatusAfter(1s).lag_records, 0);
  EXPECT_EQ(StatusAfter(1s).lag, Duration(0s));

  const PartitionStatus status = StatusAfter(16s);

  EXPECT_EQ(status.lag_records, std::nullopt);
  EXPECT_EQ(status.lag, std::nullopt);
  EXPECT_EQ(status.log_end, std::nullopt);
  EXPECT_EQ(status.in_flight, std::nullopt);
  EXPECT_EQ(status.age, Duration(16s));
}

TEST_F(FleetObservationsTest, DoesNotKnowAPartitionThatItsRelayLeavesOut) {
  Report(CaughtUp());
  EXPECT_EQ(StatusAfter(1s).motion, Motion::kDelivering);

  observations_.Take(kRelay, {.partitions = {}, .conditions = {}}, kStart + 16s, kWallStart + 16s);

  EXPECT_EQ(StatusAfter(16s).motion, Motion::kUnknown);
  EXPECT_EQ(StatusAfter(16s).age, Duration(16s));
}

TEST_F(FleetObservationsTest, TellsNoLagWhileTheLaneDoesNotSeeTheSource) {
  PartitionReport report = CaughtUp();
  report.since_source_seen = 16s;
  Report(report);

  const PartitionStatus status = StatusAfter(1s);

  EXPECT_EQ(status.lag_records, std::nullopt);
  EXPECT_EQ(status.lag, std::nullopt);
}

TEST_F(FleetObservationsTest, TakesTheLagFromASurveyWhileTheLaneDoesNotSeeTheSource) {
  PartitionReport report = CaughtUp();
  report.since_source_seen = 16s;
  Report(report);
  observations_.TakeLog(kKey, Offset{0}, Offset{140}, kStart);

  EXPECT_EQ(StatusAfter(1s).lag_records, 40);
}

TEST_F(FleetObservationsTest, ForgetsASurveyThatNoOtherFollows) {
  observations_.TakeLog(kKey, Offset{0}, Offset{140}, kStart);
  EXPECT_EQ(StatusAfter(29s).lag_records, 140);

  const PartitionStatus status = StatusAfter(31s);

  EXPECT_EQ(status.lag_records, std::nullopt);
  EXPECT_EQ(status.log_end, std::nullopt);
}

TEST_F(FleetObservationsTest, LetsTheLagRiseWhileTheRelayThatHasTheRecordIsSilent) {
  PartitionReport report = CaughtUp();
  report.log_end = Offset{110};
  report.waiting_for = 1s;
  report.oldest_unconfirmed_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(kWallStart.time_since_epoch()).count();
  Report(report);

  EXPECT_EQ(StatusAfter(100s).lag, Duration(100s));
}

TEST_F(FleetObservationsTest, ForgetsWhatIsNotStoredAnyMore) {
  Report(CaughtUp());
  observations_.TakeLog(kKey, Offset{0}, Offset{140}, kStart);
  StoredPartition kept;
  kept.key = kKey;
  observations_.KeepOnly({kept});
  ASSERT_EQ(StatusAfter(1s).age, Duration(1s));

  observations_.KeepOnly({});

  EXPECT_EQ(StatusAfter(1s).age, std::nullopt);
  EXPECT_EQ(StatusAfter(1s).log_end, std::nullopt);
}

}  // namespace
}  // namespace drawbridge
