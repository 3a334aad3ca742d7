#include "relay/supervisor/supervisor.h"

#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/fake_lane_factory.h"
#include "tests/fakes/fake_log.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/relay/waiting.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr FencingToken kToken{.incarnation = 1, .epoch = 1};
constexpr FencingToken kNewer{.incarnation = 1, .epoch = 2};

// A supervisor over fake lanes, with a real journal. One bridge with one stream, whose topic has as
// many partitions as a test assigns.
class SupervisorTest : public testing::Test {
 protected:
  static PartitionKey KeyOf(int partition) { return {.stream = {1}, .partition = partition}; }

  // What the server wants: `partitions` of them, each from `next` on.
  static Assignments Wanted(int partitions, int lanes = 1, int64_t next = 0,
                            FencingToken token = kToken) {
    StreamAssignment stream{.stream = {1},
                            .topic = "source",
                            .target_topic = "target",
                            .source_epoch = 1,
                            .is_paused = false,
                            .partitions = {}};
    for (int partition = 0; partition < partitions; ++partition) {
      stream.partitions.push_back(
          {.partition = partition, .token = token, .start = {.next = {next}, .anchor = {}}});
    }
    BridgeAssignment bridge;
    bridge.bridge = {5};
    bridge.generation = 1;
    bridge.spec.name = "logs";
    bridge.spec.lanes = lanes;
    bridge.source_cluster_id = "one";
    bridge.target_cluster_id = "other";
    bridge.streams.push_back(std::move(stream));
    return {.incarnation = 1, .revision = 1, .bridges = {std::move(bridge)}};
  }
  void Apply(Assignments assignments) {
    EXPECT_THAT(supervisor_->Apply(std::move(assignments), {}), IsEmpty());
  }

  void Produce(int64_t records, int partition = 0) {
    factory_.WithLogs([&](FakeLogs& logs) { logs[KeyOf(partition)].AppendMany(records); });
  }
  void Expire(int64_t start, int partition = 0) {
    factory_.WithLogs([&](FakeLogs& logs) { logs[KeyOf(partition)].Expire({start}); });
  }
  // Records that have been in the target's cluster.
  void ProduceEchoes(int64_t records) {
    const Provenance provenance{.flags = 0,
                                .cluster = ClusterKeyOf("other"),
                                .source_epoch = 1,
                                .partition = 0,
                                .offset = {},
                                .topic = 1,
                                .passed = {}};
    factory_.WithLogs([&](FakeLogs& logs) {
      for (int64_t i = 0; i < records; ++i) {
        FakeRecord echo;
        echo.headers.emplace_back(kProvenanceHeader, provenance.Encode());
        logs[KeyOf(0)].Append(std::move(echo));
      }
    });
  }

  template <typename Condition>
  bool Until(Condition condition) {
    return TurnUntil({}, condition);
  }

  std::optional<PartitionNews> News(int partition = 0) const {
    for (PartitionNews& news : board_.News()) {
      if (news.commit.key == KeyOf(partition)) return std::move(news);
    }
    return std::nullopt;
  }
  std::vector<Condition> Conditions() const {
    return board_.ReportAt(Clock::System().Now()).conditions;
  }
  bool Reaches(int64_t next, int partition = 0) {
    return Until([&] {
      const auto news = News(partition);
      return news && news->commit.to.next == Offset{next};
    });
  }
  size_t lanes_made() {
    return factory_.With([](auto& lanes) { return lanes.size(); });
  }
  int64_t lanes_alive() {
    return factory_.With([](auto& lanes) {
      return std::ranges::count_if(lanes, [](const auto& lane) { return lane->is_alive; });
    });
  }
  // Which lanes, by the order of making, read a partition.
  std::vector<size_t> ReadersOf(int partition) {
    return factory_.With([&](auto& lanes) {
      std::vector<size_t> readers;
      for (size_t i = 0; i < lanes.size(); ++i) {
        if (lanes[i]->is_alive && lanes[i]->source.is_read(KeyOf(partition))) readers.push_back(i);
      }
      return readers;
    });
  }
  // What the target has of a partition, by the order in which lanes were made.
  std::vector<int64_t> Written(int partition = 0) {
    return factory_.With([&](auto& lanes) {
      std::vector<int64_t> written;
      for (const auto& lane : lanes) {
        const auto its = lane->sink.written_offsets(KeyOf(partition));
        written.insert(written.end(), its.begin(), its.end());
      }
      return written;
    });
  }
  static std::vector<int64_t> Offsets(int64_t first, int64_t end) {
    std::vector<int64_t> offsets;
    for (int64_t at = first; at < end; ++at) offsets.push_back(at);
    return offsets;
  }
  std::vector<GivenBack> given_back() {
    const MutexLock lock(mutex_);
    return given_back_;
  }
  bool WaitForGivenBack(size_t count) {
    return Until([&] { return given_back().size() >= count; });
  }
  // Another definition of the target: lanes with the clients of before cannot go on.
  static Assignments WithNewClients(Assignments assignments) {
    assignments.bridges[0].target.kafka().bootstrap = {"elsewhere:9092"};
    return assignments;
  }

  const TemporaryFolder folder_;
  std::unique_ptr<Journal> journal_ = *Journal::Open(folder_.path());
  ProgressBoard board_{[] {}};
  FakeLaneFactory factory_{Clock::System()};
  Mutex mutex_;
  std::vector<GivenBack> given_back_;
  std::vector<SurveyResult> surveys_;
  std::unique_ptr<Supervisor> supervisor_ = std::make_unique<Supervisor>(
      SupervisorSettings{}, factory_, *journal_, board_, Clock::System(),
      [this](GivenBack back) {
        const MutexLock lock(mutex_);
        given_back_.push_back(std::move(back));
      },
      [this](SurveyResult result) {
        const MutexLock lock(mutex_);
        surveys_.push_back(std::move(result));
      });
};

TEST_F(SupervisorTest, CarriesAPartitionFromWhereItsAssignmentSays) {
  Produce(10);
  Apply(Wanted(1, 1, 4));

  ASSERT_TRUE(Reaches(10));
  EXPECT_EQ(Written(), Offsets(4, 10));
}

TEST_F(SupervisorTest, GoesOnFromTheJournalThatKnowsMoreThanTheServer) {
  Produce(10);
  ASSERT_TRUE(journal_->Reserve(KeyOf(0)).ok());
  journal_->Write(
      {.key = KeyOf(0), .token = kToken, .base = {2}, .checkpoint = {.next = {7}, .anchor = {}}});
  Apply(Wanted(1, 1, 2));

  ASSERT_TRUE(Reaches(10));
  EXPECT_EQ(Written(), Offsets(7, 10));
  EXPECT_EQ(News()->commit.base, Offset{2});
}

TEST_F(SupervisorTest, DoesNotTrustTheJournalOfAnOlderToken) {
  Produce(10);
  ASSERT_TRUE(journal_->Reserve(KeyOf(0)).ok());
  journal_->Write(
      {.key = KeyOf(0), .token = kToken, .base = {0}, .checkpoint = {.next = {7}, .anchor = {}}});
  Apply(Wanted(1, 1, 3, kNewer));

  ASSERT_TRUE(Reaches(10));
  EXPECT_EQ(Written(), Offsets(3, 10));
}

// --- Partitions that change lanes ---------------------------------------------------------------

TEST_F(SupervisorTest, MovesToNewClientsWithoutSendingAnythingTwice) {
  Produce(10);
  Apply(Wanted(1));
  ASSERT_TRUE(Reaches(10));

  Apply(WithNewClients(Wanted(1)));
  ASSERT_TRUE(Until([&] { return ReadersOf(0) == std::vector<size_t>{1}; }));
  Produce(5);

  ASSERT_TRUE(Reaches(15));
  EXPECT_EQ(Written(), Offsets(0, 15));
  EXPECT_TRUE(Until([&] { return lanes_alive() == 1; }));
}

TEST_F(SupervisorTest, DoesNotWaitForALaneWhoseClientsTakeLongToEnd) {
  Produce(10);
  Apply(Wanted(1));
  ASSERT_TRUE(Reaches(10));
  factory_.HoldEnds(true);
  Apply(WithNewClients(Wanted(1)));
  EXPECT_TRUE(Until([&] { return ReadersOf(0) == std::vector<size_t>{1}; }));

  auto held = std::async(std::launch::async, [&] { return supervisor_->Held().size(); });
  const bool is_answered = Until([&] { return held.wait_for(0s) == std::future_status::ready; });
  EXPECT_TRUE(is_answered);
  EXPECT_EQ(lanes_alive(), 2);

  factory_.HoldEnds(false);
  EXPECT_TRUE(Until([&] { return lanes_alive() == 1; }));
}

TEST_F(SupervisorTest, WaitsForWhatIsInFlightBeforeAPartitionChangesLanes) {
  factory_.SetAutomatic(false);
  Produce(10);
  Apply(Wanted(1));
  ASSERT_TRUE(Until([&] { return News() && News()->report.in_flight_records == 10; }));

  Apply(WithNewClients(Wanted(1)));
  ASSERT_TRUE(Until([&] { return ReadersOf(0).empty(); }));
  EXPECT_EQ(lanes_made(), 1U);
  factory_.SetAutomatic(true);

  ASSERT_TRUE(Until([&] { return ReadersOf(0) == std::vector<size_t>{1}; }));
  EXPECT_EQ(Written(), Offsets(0, 10));
}

TEST_F(SupervisorTest, CommitsAGapFromTheNextLaneWhenTheServerHasNotStoredIt) {
  Produce(10);
  Expire(4);
  Apply(Wanted(1));
  ASSERT_TRUE(Reaches(10));

  Apply(WithNewClients(Wanted(1)));
  ASSERT_TRUE(Until([&] { return ReadersOf(0) == std::vector<size_t>{1} && News(); }));

  EXPECT_THAT(News()->commit.gaps,
              ElementsAre(Gap{.range = {{0}, {4}}, .cause = GapCause::kRetention}));
  EXPECT_TRUE(News()->must_commit);
  EXPECT_EQ(journal_->Read(KeyOf(0))->checkpoint.next, Offset{0}) << "a kill would lose the gap";

  supervisor_->Stored(KeyOf(0), kToken, {10});
  ASSERT_TRUE(Until([&] { return journal_->Read(KeyOf(0))->checkpoint.next == Offset{10}; }));
  EXPECT_TRUE(Until([&] { return News()->commit.gaps.empty() && !News()->must_commit; }));
}

TEST_F(SupervisorTest, CommitsFilteredRangesFromTheNextLaneWhenTheServerHasNotStoredThem) {
  ProduceEchoes(6);
  Produce(1);
  Apply(Wanted(1));
  ASSERT_TRUE(Reaches(7));

  Apply(WithNewClients(Wanted(1)));
  ASSERT_TRUE(Until([&] { return ReadersOf(0) == std::vector<size_t>{1} && News(); }));

  EXPECT_THAT(News()->commit.filtered,
              ElementsAre(FilteredRange{.range = {{0}, {6}}, .records = 6}));
  EXPECT_TRUE(News()->must_commit);
}

TEST_F(SupervisorTest, SpreadsPartitionsOverMoreLanesAndBack) {
  for (int partition = 0; partition < 4; ++partition) Produce(10, partition);
  Apply(Wanted(4, 1));
  for (int partition = 0; partition < 4; ++partition) ASSERT_TRUE(Reaches(10, partition));

  Apply(Wanted(4, 2));
  ASSERT_TRUE(Until([&] {
    std::map<size_t, int> of_lane;
    for (int partition = 0; partition < 4; ++partition) {
      for (const size_t lane : ReadersOf(partition)) ++of_lane[lane];
    }
    return of_lane == std::map<size_t, int>{{0, 2}, {1, 2}};
  }));
  for (int partition = 0; partition < 4; ++partition) Produce(10, partition);
  for (int partition = 0; partition < 4; ++partition) ASSERT_TRUE(Reaches(20, partition));

  Apply(Wanted(4, 1));
  ASSERT_TRUE(Until([&] { return lanes_alive() == 1; }));
  for (int partition = 0; partition < 4; ++partition) Produce(10, partition);
  for (int partition = 0; partition < 4; ++partition) {
    ASSERT_TRUE(Reaches(30, partition));
    EXPECT_THAT(Written(partition), testing::UnorderedElementsAreArray(Offsets(0, 30)));
  }
}

TEST_F(SupervisorTest, TakesNoMoreFromALaneThanOthersShallHave) {
  factory_.SetAutomatic(false);
  for (int partition = 0; partition < 4; ++partition) Produce(10, partition);
  Apply(Wanted(4, 1));
  const auto in_flight = [&](int partition) {
    const auto news = News(partition);
    return news ? news->report.in_flight_records : 0;
  };
  ASSERT_TRUE(Until([&] { return in_flight(0) == 10 && in_flight(3) == 10; }));

  Apply(Wanted(4, 2));
  ASSERT_TRUE(Until([&] { return ReadersOf(0).empty() && ReadersOf(1).empty(); }));
  for (int partition = 2; partition < 4; ++partition) Produce(10, partition);

  EXPECT_TRUE(Until([&] { return in_flight(2) == 20 && in_flight(3) == 20; }));
  factory_.SetAutomatic(true);
}

TEST_F(SupervisorTest, MakesALaneAnewWhenItsThreadFails) {
  Produce(10);
  Apply(Wanted(1));
  ASSERT_TRUE(Reaches(10));

  factory_.With([](auto& lanes) { lanes[0]->fails = true; });
  ASSERT_TRUE(Until([&] { return ReadersOf(0) == std::vector<size_t>{1}; }));
  Produce(5);

  ASSERT_TRUE(Reaches(15));
  EXPECT_EQ(Written(), Offsets(0, 15));
}

TEST_F(SupervisorTest, ShowsNothingThatAFailedLaneSaid) {
  Produce(10);
  Apply(Wanted(1));
  ASSERT_TRUE(Reaches(10));
  factory_.RefuseLanes(Status(StatusCode::kUnavailable, Reason::kInternal, "no memory"));

  factory_.With([](auto& lanes) { lanes[0]->fails = true; });

  EXPECT_TRUE(Until([&] { return !News(); }));
}

TEST_F(SupervisorTest, ShowsWhyNoLaneCanBeMadeUntilOneIs) {
  factory_.RefuseLanes(Status(StatusCode::kUnavailable, Reason::kBrokerError, "no memory"));
  Produce(10);
  Apply(Wanted(1));

  const std::vector<Condition> shown = Conditions();
  ASSERT_EQ(shown.size(), 1U);
  EXPECT_EQ(shown[0].side, Side::kRelay);
  EXPECT_EQ(shown[0].reason, Reason::kBrokerError);
  EXPECT_EQ(shown[0].bridge, BridgeId{5});
  EXPECT_EQ(shown[0].text, "no lane can be made, which is tried every second: no memory");
  EXPECT_TRUE(shown[0].blocks);

  factory_.RefuseLanes(std::nullopt);
  ASSERT_TRUE(Reaches(10));
  EXPECT_TRUE(Until([&] { return Conditions().empty(); }));
}

TEST_F(SupervisorTest, ShowsNoMissingLaneOfABridgeThatHasLeft) {
  factory_.RefuseLanes(Status(StatusCode::kUnavailable, Reason::kInternal, "no memory"));
  Apply(Wanted(1));
  ASSERT_EQ(Conditions().size(), 1U);

  Apply(Wanted(0));

  EXPECT_THAT(Conditions(), IsEmpty());
}

TEST_F(SupervisorTest, TriesAgainToMakeALane) {
  factory_.RefuseLanes(Status(StatusCode::kUnavailable, Reason::kInternal, "no memory"));
  Produce(10);
  Apply(Wanted(1));
  EXPECT_THAT(supervisor_->Converged(), IsEmpty());

  factory_.RefuseLanes(std::nullopt);
  EXPECT_TRUE(Reaches(10));
  EXPECT_THAT(supervisor_->Converged(), ElementsAre(std::pair(BridgeId{5}, int64_t{1})));
}

// --- Partitions that leave ----------------------------------------------------------------------

TEST_F(SupervisorTest, GivesAPartitionBackWithTheCommitThatTheServerHasNotStored) {
  Produce(10);
  Expire(4);
  Apply(Wanted(1));
  ASSERT_TRUE(Reaches(10));

  Apply(Wanted(0));
  ASSERT_TRUE(WaitForGivenBack(1));

  const GivenBack back = given_back().front();
  EXPECT_EQ(back.key, KeyOf(0));
  EXPECT_EQ(back.token, kToken);
  EXPECT_FALSE(back.is_leaving);
  EXPECT_EQ(back.last.to.next, Offset{10});
  EXPECT_THAT(back.last.gaps, ElementsAre(Gap{.range = {{0}, {4}}, .cause = GapCause::kRetention}));
}

TEST_F(SupervisorTest, GivesBackWhatNoLaneCouldBeMadeFor) {
  factory_.RefuseLanes(Status(StatusCode::kUnavailable, Reason::kInternal, "no memory"));
  Apply(Wanted(1, 1, 3));
  Apply(Wanted(0));

  ASSERT_TRUE(WaitForGivenBack(1));
  EXPECT_EQ(given_back().front().last.to.next, Offset{3});
}

TEST_F(SupervisorTest, GivesBackWhatABridgeHadThatIsNotAssignedAnyMore) {
  Produce(10, 0);
  Produce(10, 1);
  Apply(Wanted(2));
  ASSERT_TRUE(Reaches(10, 0));
  ASSERT_TRUE(Reaches(10, 1));

  Apply({.incarnation = 1, .revision = 2, .bridges = {}});

  ASSERT_TRUE(WaitForGivenBack(2));
  EXPECT_TRUE(Until([&] { return lanes_alive() == 0; }));
  EXPECT_THAT(board_.News(), IsEmpty());
}

TEST_F(SupervisorTest, KeepsAPartitionThatIsWantedAgainWhileItLeaves) {
  factory_.SetAutomatic(false);
  Produce(10);
  Apply(Wanted(1));
  ASSERT_TRUE(Until([&] { return News() && News()->report.in_flight_records == 10; }));

  Apply(Wanted(0));
  Apply(Wanted(1));
  factory_.SetAutomatic(true);
  Produce(5);

  ASSERT_TRUE(Reaches(15));
  EXPECT_EQ(Written(), Offsets(0, 15));
  EXPECT_THAT(given_back(), IsEmpty());
}

TEST_F(SupervisorTest, TakesANewPositionAtOnceWhileTheOldOneLeaves) {
  factory_.SetAutomatic(false);
  Produce(10);
  Apply(Wanted(1));
  ASSERT_TRUE(Until([&] { return News() && News()->report.in_flight_records == 10; }));
  Apply(WithNewClients(Wanted(1)));

  Apply(WithNewClients(Wanted(1, 1, 2, kNewer)));
  factory_.SetAutomatic(true);

  ASSERT_TRUE(Reaches(10));
  EXPECT_EQ(News()->commit.token, kNewer);
  EXPECT_EQ(News()->commit.base, Offset{2});
  EXPECT_THAT(given_back(), IsEmpty());
}

TEST_F(SupervisorTest, GivesEverythingBackBeforeItStops) {
  Produce(10);
  Apply(Wanted(3));
  ASSERT_TRUE(Reaches(10));

  supervisor_->Drain();

  ASSERT_EQ(given_back().size(), 3U);
  for (const GivenBack& back : given_back()) EXPECT_TRUE(back.is_leaving);
}

TEST_F(SupervisorTest, TakesNothingUpAgainWhileItStops) {
  factory_.SetAutomatic(false);
  Produce(10);
  Apply(Wanted(1));
  ASSERT_TRUE(Until([&] { return News() && News()->report.in_flight_records == 10; }));

  std::thread stopping([this] { supervisor_->Drain(); });
  EXPECT_TRUE(Until([&] { return ReadersOf(0).empty(); }));
  Apply(Wanted(2));  // on their way when it began to stop
  factory_.SetAutomatic(true);
  stopping.join();

  ASSERT_EQ(given_back().size(), 1U);
  EXPECT_EQ(given_back().front().last.to.next, Offset{10});
  EXPECT_EQ(lanes_made(), 1U);
}

// --- What others ask ----------------------------------------------------------------------------

TEST_F(SupervisorTest, PausesAndResumesWithoutAnotherGrant) {
  Produce(10);
  Apply(Wanted(1));
  ASSERT_TRUE(Reaches(10));

  Assignments paused = Wanted(1);
  paused.bridges[0].streams[0].is_paused = true;
  Apply(paused);
  ASSERT_TRUE(Until([&] { return ReadersOf(0).empty(); }));
  Produce(5);
  EXPECT_TRUE(Until([&] { return News()->report.state == PartitionState::kPaused; }));
  EXPECT_EQ(Written(), Offsets(0, 10));

  Apply(Wanted(1));
  ASSERT_TRUE(Reaches(15));
  EXPECT_EQ(lanes_made(), 1U);
}

TEST_F(SupervisorTest, SaysWhatRunsAndWhatOnlyTheJournalHas) {
  ASSERT_TRUE(journal_->Reserve(KeyOf(7)).ok());
  journal_->Write(
      {.key = KeyOf(7), .token = kToken, .base = {1}, .checkpoint = {.next = {2}, .anchor = {}}});
  EXPECT_EQ(supervisor_->Held().size(), 1U);
  EXPECT_FALSE(supervisor_->Held().front().is_running);

  Apply(Wanted(1));

  const std::vector<HeldPartition> held = supervisor_->Held();
  ASSERT_EQ(held.size(), 1U) << "the server has been told of what is not wanted here";
  EXPECT_EQ(held.front().key, KeyOf(0));
  EXPECT_TRUE(held.front().is_running);
}

TEST_F(SupervisorTest, ConvergesOnAGenerationOnlyWhenItsLanesRun) {
  factory_.SetAutomatic(false);
  Produce(1);
  Apply(Wanted(1));
  ASSERT_TRUE(Until([&] { return News() && News()->report.in_flight_records == 1; }));

  Assignments changed = WithNewClients(Wanted(1));
  changed.bridges[0].generation = 2;
  Apply(changed);
  EXPECT_THAT(supervisor_->Converged(), IsEmpty());
  factory_.SetAutomatic(true);

  EXPECT_TRUE(Until(
      [&] { return supervisor_->Converged() == std::vector{std::pair(BridgeId{5}, int64_t{2})}; }));
}

TEST_F(SupervisorTest, GivesASecondLaneNoMoreThanHalfOfTheMemory) {
  Apply(Wanted(2, 2));
  ASSERT_TRUE(Until([&] { return lanes_made() == 2; }));

  factory_.With([](auto& lanes) {
    const LaneBudget budget = lanes[1]->budget;
    EXPECT_LE(budget.window_bytes + budget.prefetch_bytes, SupervisorSettings{}.memory_limit / 2);
  });
}

TEST_F(SupervisorTest, SurveysWhileItIsToldTo) {
  Assignments assignments = Wanted(0);
  assignments.bridges[0].surveys = true;
  Apply(assignments);

  ASSERT_TRUE(Until([&] {
    const MutexLock lock(mutex_);
    return !surveys_.empty();
  }));
  const MutexLock lock(mutex_);
  EXPECT_EQ(surveys_.front().bridge, BridgeId{5});
  EXPECT_EQ(surveys_.front().generation, 1);
}

}  // namespace
}  // namespace drawbridge
