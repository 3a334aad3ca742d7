#include "server/control/fleet_controller.h"

#include <future>
#include <limits>
#include <new>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/mutex.h"
#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// A session that keeps what it was sent. Thread-safe.
class FakeSession final : public RelaySession {
 public:
  void ReadOn() override {
    const MutexLock lock(mutex_);
    if (is_failing_) throw std::bad_alloc();
    ++reads_;
  }
  void Send(ToRelay message) override {
    const MutexLock lock(mutex_);
    if (is_failing_) throw std::bad_alloc();
    sent_.push_back(std::move(message));
  }
  void Close(Status why) override {
    const MutexLock lock(mutex_);
    if (!closed_) closed_ = std::move(why);
  }

  // There is no memory for what it shall do.
  void SetFailing(bool is_failing) {
    const MutexLock lock(mutex_);
    is_failing_ = is_failing;
  }
  // "OPEN", or the reason of its end.
  std::string end() const {
    const MutexLock lock(mutex_);
    return closed_ ? WhyNot(*closed_) : "OPEN";
  }
  // How many messages it was told to read.
  int reads() const {
    const MutexLock lock(mutex_);
    return reads_;
  }
  template <typename Message>
  std::vector<Message> all() const {
    const MutexLock lock(mutex_);
    std::vector<Message> found;
    for (const ToRelay& message : sent_) {
      if (const auto* one = std::get_if<Message>(&message)) found.push_back(*one);
    }
    return found;
  }

 private:
  mutable Mutex mutex_;
  bool is_failing_ DRAWBRIDGE_GUARDED_BY(mutex_) = false;
  int reads_ DRAWBRIDGE_GUARDED_BY(mutex_) = 0;
  std::vector<ToRelay> sent_ DRAWBRIDGE_GUARDED_BY(mutex_);
  std::optional<Status> closed_ DRAWBRIDGE_GUARDED_BY(mutex_);
};

// The controller over the real store; relays are played by the test. Time stands still until the
// test lets it pass.
class FleetControllerTest : public StoreTest {
 protected:
  void StartFleet() {
    fleet_ = std::make_unique<FleetController>(FleetSettings{}, database(), streams(),
                                               checkpoints(), relays(), clock_);
  }
  // What was asked for is decided, and what follows from it.
  void Settle() {
    for (int i = 0; i < 4; ++i) {
      fleet_->Wake();
      ASSERT_TRUE(fleet_->View().ok());
    }
  }
  void Pass(Duration time) {
    clock_.Advance(time);
    Settle();
  }

  static RelayHello HelloOf(const std::string& relay, const std::string& boot = "boot") {
    RelayHello hello;
    hello.relay = {relay};
    hello.boot_id = boot;
    hello.version = "1.0";
    hello.librdkafka = "2.16.0";
    hello.certificate_not_after = WallTime::max();
    return hello;
  }
  std::shared_ptr<FakeSession> Connect(RelayHello hello) {
    auto session = std::make_shared<FakeSession>();
    fleet_->Connect(session, std::move(hello));
    Settle();
    return session;
  }
  std::shared_ptr<FakeSession> Connect(const std::string& relay, const std::string& boot = "boot") {
    return Connect(HelloOf(relay, boot));
  }
  void Disconnect(const std::shared_ptr<FakeSession>& session) {
    fleet_->Disconnect(session.get());
    Settle();
  }
  void Beat(const std::shared_ptr<FakeSession>& session) {
    fleet_->Receive(session.get(), RelayHeartbeat{.sent_at_ns = 1, .converged = {}});
  }

  // Answers what the relay was sent last, so that it can be sent more.
  void Acknowledge(const std::shared_ptr<FakeSession>& session) {
    const auto sent = session->all<NumberedAssignments>();
    ASSERT_FALSE(sent.empty());
    fleet_->Receive(session.get(), RelayAck{.nonce = sent.back().nonce,
                                            .revision = sent.back().assignments.revision,
                                            .status = {},
                                            .errors = {},
                                            .bridge_errors = {}});
    Settle();
  }
  void Refuse(const std::shared_ptr<FakeSession>& session, BridgeId bridge) {
    const auto sent = session->all<NumberedAssignments>();
    ASSERT_FALSE(sent.empty());
    fleet_->Receive(session.get(), RelayAck{.nonce = sent.back().nonce,
                                            .revision = sent.back().assignments.revision,
                                            .status = {},
                                            .errors = {},
                                            .bridge_errors = {{bridge, NoSecret()}}});
    Settle();
  }
  static Status NoSecret() {
    return {StatusCode::kUnavailable, Reason::kSecretUnavailable, "the key ring is closed"};
  }
  // Partitions that the newest assignments of a session name.
  static std::vector<PartitionNumber> Assigned(const std::shared_ptr<FakeSession>& session) {
    std::vector<PartitionNumber> partitions;
    const auto sent = session->all<NumberedAssignments>();
    if (sent.empty()) return partitions;
    for (const BridgeAssignment& bridge : sent.back().assignments.bridges) {
      for (const StreamAssignment& stream : bridge.streams) {
        for (const PartitionAssignment& one : stream.partitions) {
          partitions.push_back(one.partition);
        }
      }
    }
    return partitions;
  }
  void Release(const std::shared_ptr<FakeSession>& session, PartitionKey key, bool is_leaving) {
    const StoredPartition stored = Partition(key);
    fleet_->Receive(session.get(), RelayReleased{.key = key,
                                                 .token = stored.token,
                                                 .final_offset = stored.checkpoint.next,
                                                 .is_leaving = is_leaving});
    Settle();
  }
  std::string OwnerOf(PartitionKey key) {
    const auto owner = Partition(key).owner;
    return owner ? owner->value : "nobody";
  }
  std::vector<Condition> ConditionsOf(const std::string& relay) {
    return fleet_->View()->relays[RelayName{relay}].conditions;
  }

  std::unique_ptr<FleetController> fleet_;
};

// --- Who may connect ---

TEST_F(FleetControllerTest, WelcomesAnEnrolledRelayAndTellsItWhatToDo) {
  Enrol("fra-1");
  StartFleet();

  const auto session = Connect("fra-1");

  EXPECT_EQ(session->end(), "OPEN");
  ASSERT_THAT(session->all<Welcome>(), SizeIs(1));
  EXPECT_EQ(session->all<Welcome>()[0].deployment_id, State().deployment_id);
  EXPECT_THAT(session->all<NumberedAssignments>(), SizeIs(1));
  EXPECT_TRUE(fleet_->View()->relays[RelayName{"fra-1"}].is_connected);
}

TEST_F(FleetControllerTest, RefusesARelayThatNeverEnrolled) {
  StartFleet();
  EXPECT_EQ(Connect("stranger")->end(), "NOT_FOUND");
}

TEST_F(FleetControllerTest, CutsOffARelayThatIsRevoked) {
  Enrol("fra-1");
  StartFleet();
  const auto session = Connect("fra-1");

  ASSERT_EQ(WhyNot(relays().Revoke({"fra-1"}, Request())), "OK");
  Settle();

  EXPECT_EQ(session->end(), "RELAY_REVOKED");
  EXPECT_EQ(Connect("fra-1")->end(), "RELAY_REVOKED");
}

TEST_F(FleetControllerTest, TurnsASecondProcessOfOneIdentityAwayAndSaysSo) {
  Enrol("fra-1");
  StartFleet();
  const auto first = Connect("fra-1", "first");
  EXPECT_THAT(ConditionsOf("fra-1"), IsEmpty());

  const auto second = Connect("fra-1", "second");

  EXPECT_EQ(second->end(), "DUPLICATE_IDENTITY");
  EXPECT_EQ(first->end(), "OPEN");
  ASSERT_THAT(ConditionsOf("fra-1"), SizeIs(1));
  EXPECT_EQ(ConditionsOf("fra-1")[0].reason, Reason::kDuplicateIdentity);
}

TEST_F(FleetControllerTest, ForgetsTheSecondProcessWhenItComesNoMore) {
  Enrol("fra-1");
  StartFleet();
  const auto first = Connect("fra-1", "first");
  Connect("fra-1", "second");

  Beat(first);
  Pass(61s);

  EXPECT_THAT(ConditionsOf("fra-1"), IsEmpty());
}

TEST_F(FleetControllerTest, LetsTheSameProcessComeBackAtOnce) {
  Enrol("fra-1");
  StartFleet();
  const auto before = Connect("fra-1", "first");

  const auto after = Connect("fra-1", "first");

  EXPECT_EQ(after->end(), "OPEN");
  EXPECT_NE(before->end(), "OPEN");
}

TEST_F(FleetControllerTest, LetsAnotherProcessInWhenTheFirstHasFallenSilent) {
  Enrol("fra-1");
  StartFleet();
  const auto before = Connect("fra-1", "first");

  clock_.Advance(11s);
  const auto after = Connect("fra-1", "second");

  EXPECT_EQ(after->end(), "OPEN");
  EXPECT_NE(before->end(), "OPEN");
}

TEST_F(FleetControllerTest, LetsTheNextMessageInWhenItHasDealtWithTheLast) {
  Enrol("fra-1");
  StartFleet();

  const auto session = Connect("fra-1");
  EXPECT_EQ(session->reads(), 1) << "after Hello";
  Beat(session);
  Settle();

  EXPECT_EQ(session->reads(), 2);
  EXPECT_EQ(Connect("stranger")->reads(), 0);
}

TEST_F(FleetControllerTest, RefusesARelayThatClaimsMoreIncarnationsThanThereCanBe) {
  Enrol("fra-1");
  StartFleet();
  const int64_t incarnation = State().incarnation;

  for (const int64_t claimed : {int64_t{5000}, std::numeric_limits<int64_t>::max()}) {
    RelayHello hello = HelloOf("fra-1");
    hello.incarnation = claimed;
    EXPECT_EQ(Connect(hello)->end(), "FIELD_INVALID");
    hello = HelloOf("fra-1");
    hello.held = {{.key = {.stream = {1}, .partition = 0},
                   .token = {.incarnation = claimed, .epoch = 1},
                   .base = {0},
                   .checkpoint = {},
                   .is_running = false}};
    EXPECT_EQ(Connect(hello)->end(), "FIELD_INVALID");
  }

  EXPECT_EQ(State().incarnation, incarnation);
}

TEST_F(FleetControllerTest, EndsASessionWithItsCertificate) {
  Enrol("fra-1");
  StartFleet();
  RelayHello hello = HelloOf("fra-1");
  hello.certificate_not_after = clock_.WallNow() + 1h;
  const auto session = Connect(std::move(hello));

  Beat(session);
  Pass(61min);

  EXPECT_EQ(session->end(), "TLS_CERTIFICATE_EXPIRED");
}

// --- Bridges ---

TEST_F(FleetControllerTest, ShowsThatABridgeWithoutStreamsIsRefusedUntilItIsTaken) {
  const BridgeId bridge = DefineBridge();
  Enrol("fra-1");
  StartFleet();
  const auto session = Connect("fra-1");
  const auto reported = [&] {
    fleet_->Receive(session.get(), Report{});
    Settle();
    std::vector<Condition> conditions;
    const StatusOr<FleetView> view = fleet_->View();
    for (const SeenCondition& seen : view->bridges.at(bridge).conditions) {
      conditions.push_back(seen.condition);
    }
    return conditions;
  };

  Refuse(session, bridge);

  ASSERT_THAT(reported(), SizeIs(1));
  EXPECT_EQ(reported()[0].reason, Reason::kSecretUnavailable);
  EXPECT_EQ(reported()[0].text, "the key ring is closed");
  EXPECT_EQ(reported()[0].stream, std::nullopt);

  Pass(5s);
  ASSERT_THAT(session->all<NumberedAssignments>(), SizeIs(2)) << "it is offered again";
  Acknowledge(session);
  EXPECT_THAT(reported(), IsEmpty());
}

TEST_F(FleetControllerTest, TellsForHowLongABridgeHasNobodyToRunIt) {
  const BridgeId bridge = DefineBridge();
  StartFleet();
  Settle();

  Pass(30s);

  const auto view = fleet_->View();
  const std::vector<SeenCondition>& conditions = view->bridges.at(bridge).conditions;
  ASSERT_THAT(conditions, SizeIs(1));
  EXPECT_EQ(conditions[0].condition.reason, Reason::kNoRelay);
  EXPECT_EQ(conditions[0].condition.age, Duration(30s));
}

TEST_F(FleetControllerTest, IgnoresTheRefusalOfABridgeThatIsNotThere) {
  Enrol("fra-1");
  StartFleet();
  const auto session = Connect("fra-1");

  Refuse(session, BridgeId{4711});

  EXPECT_EQ(session->end(), "OPEN");
}

// --- Partitions ---

class PartitionsTest : public FleetControllerTest {
 protected:
  PartitionsTest() {
    stream_ = LearnStream(DefineBridge(), "audit", {100, 200});
    for (const char* relay : {"fra-1", "fra-2"}) Enrol(relay);
  }
  PartitionKey Key(PartitionNumber partition) const {
    return {.stream = stream_, .partition = partition};
  }
  // The relay, which surveys the bridge, has found this, and not reached all that there is.
  void Survey(const std::shared_ptr<FakeSession>& session, std::vector<Condition> conditions,
              std::vector<SurveyedTopic> topics = {}, const std::string& target_cluster_id = "",
              bool is_complete = false) {
    const StoredBridge bridge = BridgeNamed("logs");
    fleet_->Receive(session.get(), SurveyResult{.bridge = bridge.id,
                                                .generation = bridge.generation,
                                                .source_cluster_id = "",
                                                .target_cluster_id = target_cluster_id,
                                                .topics = std::move(topics),
                                                .conditions = std::move(conditions),
                                                .is_complete = is_complete});
    Settle();
  }
  Condition SourceChanged() {
    Condition changed;
    changed.side = Side::kSource;
    changed.reason = Reason::kSourceChanged;
    changed.bridge = BridgeNamed("logs").id;
    return changed;
  }
  static Report ReportOf(std::vector<Condition> conditions) {
    Report report;
    report.conditions = std::move(conditions);
    return report;
  }
  // Of which life of the topic a stream is that is made for it next.
  int NextLife() {
    DefineBridge("next");
    const StreamId made = LearnStream(BridgeNamed("next").id, "audit", {0});
    for (const StoredStream& stored : State().streams) {
      if (stored.id == made) return stored.source_epoch;
    }
    return 0;
  }
  static Condition BrokenPromiseOf(const std::string& topic) {
    Condition broken;
    broken.side = Side::kTarget;
    broken.reason = Reason::kGuaranteeUnsupported;
    broken.topic = topic;
    broken.blocks = true;
    return broken;
  }
  // Whether the relay was told last to stop the stream of the partitions, and has taken that.
  bool IsStopped(const std::shared_ptr<FakeSession>& session) {
    Acknowledge(session);
    const auto sent = session->all<NumberedAssignments>();
    return sent.back().assignments.bridges.at(0).streams.at(0).is_paused;
  }

  StreamId stream_;
};

TEST_F(PartitionsTest, GoToARelayThatIsConnected) {
  StartFleet();

  const auto session = Connect("fra-1");
  Acknowledge(session);

  EXPECT_EQ(OwnerOf(Key(0)), "fra-1");
  EXPECT_THAT(Assigned(session), ElementsAre(0, 1));
}

TEST_F(PartitionsTest, AreNotWellWhenTheSourceHasTheirTopicNoMore) {
  StartFleet();
  const auto session = Connect("fra-1");
  Acknowledge(session);
  const BridgeId bridge = State().bridges.at(0).id;
  const auto survey = [&](std::vector<SurveyedTopic> topics, bool is_complete) {
    fleet_->Receive(session.get(), SurveyResult{.bridge = bridge,
                                                .generation = State().bridges.at(0).generation,
                                                .source_cluster_id = "",
                                                .target_cluster_id = "",
                                                .topics = std::move(topics),
                                                .conditions = {},
                                                .is_complete = is_complete});
    Settle();
    std::vector<std::string> reasons;
    const auto view = fleet_->View();
    for (const SeenCondition& seen : view->bridges.at(bridge).conditions) {
      reasons.emplace_back(Name(seen.condition.reason));
    }
    return reasons;
  };
  const SurveyedTopic audit{.topic = "audit",
                            .target_topic = "audit",
                            .target_partitions = 2,
                            .partitions = {},
                            .retention_ms = std::nullopt};

  EXPECT_THAT(survey({}, false), IsEmpty()) << "who did not look cannot tell";
  EXPECT_THAT(survey({audit}, true), IsEmpty());
  EXPECT_THAT(survey({}, true), ElementsAre("TOPIC_NOT_FOUND"));
  EXPECT_THAT(survey({audit}, true), IsEmpty()) << "it was made again";
}

TEST_F(PartitionsTest, WaitUntilTheirTargetPartitionIsThere) {
  ASSERT_EQ(WhyNot(writer().Run([](Database& database) {
              return database.Prepare("UPDATE streams SET target_partitions = 1").Run();
            })),
            "OK");
  StartFleet();

  const auto session = Connect("fra-1");
  Acknowledge(session);

  EXPECT_EQ(OwnerOf(Key(0)), "fra-1");
  EXPECT_EQ(OwnerOf(Key(1)), "nobody");
}

TEST_F(PartitionsTest, StopWhileTheirTopicWouldBreakAPromise) {
  StartFleet();
  const auto session = Connect("fra-1");
  ASSERT_FALSE(IsStopped(session));

  Survey(session, {BrokenPromiseOf("audit")});
  EXPECT_TRUE(IsStopped(session));
  EXPECT_THAT(Assigned(session), ElementsAre(0, 1)) << "they stay where they are";

  Survey(session, {BrokenPromiseOf("another")});
  EXPECT_FALSE(IsStopped(session)) << "it is mended";
}

TEST_F(PartitionsTest, EndALifeOfTheirTopicWhenAnotherOneIsThere) {
  StartFleet();
  const auto session = Connect("fra-1");
  Condition changed = SourceChanged();
  changed.stream = stream_;
  changed.partition = 0;

  fleet_->Receive(session.get(), ReportOf({changed}));
  Settle();

  EXPECT_EQ(NextLife(), 2);
}

TEST_F(PartitionsTest, StopWhereTheirTopicWasDeletedAndMadeAnew) {
  StartFleet();
  const auto session = Connect("fra-1");
  const auto found = [](const std::string& id) {
    SurveyedTopic topic;
    topic.topic = topic.target_topic = "audit";
    topic.topic_id = id;
    return std::vector<SurveyedTopic>{topic};
  };
  Survey(session, {}, found("first"));
  ASSERT_FALSE(IsStopped(session));

  Survey(session, {}, found("second"));

  EXPECT_TRUE(IsStopped(session));
  const auto view = fleet_->View();
  EXPECT_EQ(view->bridges.at(BridgeNamed("logs").id).conditions.at(0).condition.reason,
            Reason::kSourceChanged);
  EXPECT_EQ(NextLife(), 2);

  Survey(session, {}, found(""));
  EXPECT_TRUE(IsStopped(session)) << "a survey that cannot tell takes nothing back";
  Survey(session, {});
  EXPECT_TRUE(IsStopped(session)) << "nor does one that has not reached it";

  Survey(session, {}, found("first"));
  EXPECT_FALSE(IsStopped(session));
}

TEST_F(PartitionsTest, GoOnWhereTheSourceTellsNoIds) {
  StartFleet();
  const auto session = Connect("fra-1");
  SurveyedTopic topic;
  topic.topic = topic.target_topic = "audit";
  topic.topic_id = "first";
  Survey(session, {}, {topic});
  topic.topic_id.clear();

  Survey(session, {}, {topic});

  EXPECT_FALSE(IsStopped(session));
}

TEST_F(PartitionsTest, EndALifeOfTheirTopicThatIsNotFound) {
  StartFleet();
  const auto session = Connect("fra-1");
  Condition gone;
  gone.side = Side::kSource;
  gone.reason = Reason::kTopicNotFound;
  gone.topic = "audit";

  Survey(session, {gone});

  EXPECT_EQ(NextLife(), 2);
}

TEST_F(PartitionsTest, EndALifeOfTheirTopicWhenItIsGone) {
  StartFleet();
  const auto session = Connect("fra-1");

  Survey(session, {}, {}, "", true);

  EXPECT_EQ(NextLife(), 2);
}

TEST_F(PartitionsTest, GoOnWithTheirTopicsLifeWhereAnotherClusterAnswers) {
  StartFleet();
  const auto session = Connect("fra-1");
  fleet_->Receive(session.get(), ReportOf({SourceChanged()}));
  Survey(session, {}, {}, "", false);

  EXPECT_EQ(NextLife(), 1);
}

TEST_F(PartitionsTest, DoNotStartWhileTheirTopicWouldBreakAPromise) {
  StartFleet();
  const auto session = Connect("fra-1");
  Acknowledge(session);
  const SurveyedTopic found{.topic = "new",
                            .target_topic = "new",
                            .target_partitions = 1,
                            .partitions = {{.partition = 0,
                                            .log_start = Offset{5},
                                            .log_end = Offset{9},
                                            .start = Offset{5},
                                            .is_target_ready = true}},
                            .retention_ms = std::nullopt};

  Survey(session, {BrokenPromiseOf("new")}, {found});
  const PartitionKey key{.stream = StreamNamed("new").id, .partition = 0};
  EXPECT_EQ(OwnerOf(key), "nobody");

  Survey(session, {BrokenPromiseOf("another")}, {found});
  EXPECT_EQ(OwnerOf(key), "fra-1");
}

TEST_F(PartitionsTest, StopWhileAnotherClusterAnswers) {
  StartFleet();
  const auto session = Connect("fra-1");
  Acknowledge(session);
  Survey(session, {}, {}, "meant");
  ASSERT_FALSE(IsStopped(session));

  Survey(session, {}, {}, "another");
  EXPECT_TRUE(IsStopped(session));

  Survey(session, {}, {}, "meant");
  EXPECT_FALSE(IsStopped(session));
}

TEST_F(PartitionsTest, StayWithTheirOwnerUntilItHasReleasedThem) {
  StartFleet();
  const auto one = Connect("fra-1");
  Acknowledge(one);
  const auto two = Connect("fra-2");
  Acknowledge(two);
  Acknowledge(one);

  // One of the two shall move; which, the assigner decides.
  ASSERT_THAT(Assigned(one), SizeIs(1));
  const PartitionNumber moving = 1 - Assigned(one)[0];
  EXPECT_EQ(OwnerOf(Key(moving)), "fra-1");
  EXPECT_THAT(Assigned(two), IsEmpty());
  const int64_t epoch = Partition(Key(moving)).token.epoch;

  Release(one, Key(moving), false);
  Acknowledge(two);

  EXPECT_EQ(OwnerOf(Key(moving)), "fra-2");
  EXPECT_EQ(Partition(Key(moving)).token.epoch, epoch + 1);
  EXPECT_THAT(Assigned(two), ElementsAre(moving));
}

TEST_F(PartitionsTest, LeaveARelayThatDoesNotReleaseThem) {
  StartFleet();
  const auto one = Connect("fra-1");
  Acknowledge(one);
  const auto two = Connect("fra-2");
  Acknowledge(two);
  Acknowledge(one);
  ASSERT_THAT(Assigned(one), SizeIs(1));
  const PartitionNumber moving = 1 - Assigned(one)[0];
  const int64_t epoch = Partition(Key(moving)).token.epoch;

  for (int i = 0; i < 12; ++i) {
    Pass(5s);
    Beat(one);
    Beat(two);
  }
  EXPECT_EQ(OwnerOf(Key(moving)), "fra-1") << "it may still be draining";
  Pass(5s);

  EXPECT_EQ(OwnerOf(Key(moving)), "fra-2");
  EXPECT_EQ(Partition(Key(moving)).token.epoch, epoch + 1);
}

TEST_F(PartitionsTest, StayWithARelayThatWasGivenThemAgainBeforeItReleasedThem) {
  StartFleet();
  const auto one = Connect("fra-1");
  Acknowledge(one);
  const auto two = Connect("fra-2");
  Acknowledge(two);
  Acknowledge(one);
  ASSERT_THAT(Assigned(one), SizeIs(1));
  const PartitionNumber moving = 1 - Assigned(one)[0];

  // The other goes, so both are for the first again; what it says of before arrives after that.
  Release(two, Key(moving), true);
  ASSERT_THAT(Assigned(one), ElementsAre(0, 1));
  Release(one, Key(moving), false);
  Acknowledge(one);
  Disconnect(two);
  const auto three = Connect("fra-2");
  Acknowledge(three);

  EXPECT_EQ(OwnerOf(Key(0)), "fra-1");
  EXPECT_EQ(OwnerOf(Key(1)), "fra-1");
  EXPECT_THAT(Assigned(three), IsEmpty()) << "the first may run both until it releases one";
}

TEST_F(PartitionsTest, AreGivenBackWhenTheirTopicIsNotSelectedAnyMore) {
  StartFleet();
  const auto session = Connect("fra-1");
  Acknowledge(session);
  ASSERT_THAT(Assigned(session), ElementsAre(0, 1));
  BridgeSpec narrowed = BridgeNamed("logs").spec;
  narrowed.source.topics = {"another"};

  ASSERT_EQ(WhyNot(Apply({PutBridge{narrowed}})), "OK");
  Settle();
  EXPECT_THAT(Assigned(session), IsEmpty());
  EXPECT_EQ(OwnerOf(Key(0)), "fra-1") << "until it says what it has delivered";
  Acknowledge(session);
  for (const PartitionNumber partition : {0, 1}) Release(session, Key(partition), false);
  EXPECT_EQ(OwnerOf(Key(0)), "nobody");

  narrowed.source.topics = {"audit"};
  ASSERT_EQ(WhyNot(Apply({PutBridge{narrowed}})), "OK");
  Settle();
  EXPECT_THAT(Assigned(session), ElementsAre(0, 1));
  EXPECT_EQ(Partition(Key(0)).checkpoint.next, Offset{100});
}

TEST_F(PartitionsTest, GoOnFromARelayThatRefusedThem) {
  StartFleet();
  const auto one = Connect("fra-1");
  ASSERT_THAT(Assigned(one), ElementsAre(0, 1));
  fleet_->Receive(one.get(),
                  RelayAck{.nonce = one->all<NumberedAssignments>().back().nonce,
                           .revision = 1,
                           .status = {},
                           .errors = {{stream_, Status(StatusCode::kResourceExhausted, "no room")}},
                           .bridge_errors = {}});
  Settle();

  const auto two = Connect("fra-2");
  Acknowledge(two);

  EXPECT_THAT(Assigned(two), SizeIs(1)) << "nobody has to release what nobody runs";
}

TEST_F(PartitionsTest, GoOnFromARelayThatRefusedTheirBridge) {
  StartFleet();
  const auto one = Connect("fra-1");
  ASSERT_THAT(Assigned(one), ElementsAre(0, 1));
  Refuse(one, BridgeNamed("logs").id);

  const auto two = Connect("fra-2");
  Acknowledge(two);

  EXPECT_THAT(Assigned(two), SizeIs(1)) << "nobody has to release what nobody runs";
}

TEST_F(PartitionsTest, StayWithADeadRelayUntilItsLeaseHasRunOut) {
  StartFleet();
  const auto one = Connect("fra-1");
  Acknowledge(one);
  Disconnect(one);
  const auto two = Connect("fra-2");
  Acknowledge(two);

  for (int i = 0; i < 8; ++i) {
    Pass(5s);
    Beat(two);
  }
  EXPECT_EQ(OwnerOf(Key(0)), "fra-1") << "30 s of lease, a quarter more, and 5 s";

  Beat(two);
  Pass(5s);
  EXPECT_EQ(OwnerOf(Key(0)), "fra-2");
  EXPECT_EQ(OwnerOf(Key(1)), "fra-2");
}

TEST_F(PartitionsTest, StayWithASilentRelayWhileNobodyElseCanTakeThem) {
  StartFleet();
  const auto session = Connect("fra-1");
  Acknowledge(session);
  const StoredPartition before = Partition(Key(0));
  ASSERT_EQ(before.owner, RelayName{"fra-1"});

  Disconnect(session);
  Pass(1h);

  EXPECT_EQ(OwnerOf(Key(0)), "fra-1");
  EXPECT_EQ(Partition(Key(0)).token, before.token);
  const auto view = fleet_->View();
  EXPECT_EQ(view->partitions.at(Key(0)).motion, Motion::kUnknown) << "it may be delivering";
  EXPECT_EQ(view->relays.at({"fra-1"}).partitions, 2);

  // It was cut off and went on: what it delivered counts, and is not delivered again.
  RelayHello hello = HelloOf("fra-1");
  hello.held = {{.key = Key(0),
                 .token = before.token,
                 .base = {100},
                 .checkpoint = {.next = {150}, .anchor = std::nullopt},
                 .is_running = true}};
  const auto again = Connect(std::move(hello));
  EXPECT_THAT(Assigned(again), ElementsAre(0, 1));
  EXPECT_EQ(Partition(Key(0)).token, before.token);
  EXPECT_EQ(Partition(Key(0)).checkpoint.next, Offset{150});
}

TEST_F(PartitionsTest, ForgetWhatASilentRelaySaidWasWrong) {
  StartFleet();
  const auto session = Connect("fra-1");
  Acknowledge(session);
  const BridgeId bridge = BridgeNamed("logs").id;
  Report report;
  report.conditions = {{.side = Side::kTarget,
                        .reason = Reason::kUnreachable,
                        .text = "nobody is there",
                        .bridge = bridge,
                        .stream = std::nullopt,
                        .partition = std::nullopt,
                        .topic = {},
                        .age = std::nullopt,
                        .blocks = false}};
  fleet_->Receive(session.get(), report);
  const auto reasons = [&] {
    std::vector<std::string> all;
    const auto view = fleet_->View();
    for (const SeenCondition& seen : view->bridges.at(bridge).conditions) {
      all.emplace_back(Name(seen.condition.reason));
    }
    return all;
  };
  ASSERT_THAT(reasons(), ElementsAre("UNREACHABLE"));

  Disconnect(session);
  Pass(43s);

  EXPECT_THAT(reasons(), ElementsAre("NO_RELAY"));
}

TEST_F(PartitionsTest, LeaveASilentRelayWhenTheyAreNotToRunAnyMore) {
  StartFleet();
  const auto session = Connect("fra-1");
  Acknowledge(session);
  Disconnect(session);
  Pass(1h);
  BridgeSpec narrowed = BridgeNamed("logs").spec;
  narrowed.source.topics = {"another"};

  ASSERT_EQ(WhyNot(Apply({PutBridge{narrowed}})), "OK");
  Settle();

  EXPECT_EQ(OwnerOf(Key(0)), "nobody");
}

TEST_F(PartitionsTest, LeaveASilentRelayThatIsRevoked) {
  StartFleet();
  const auto session = Connect("fra-1");
  Acknowledge(session);
  const FencingToken token = Partition(Key(0)).token;
  Disconnect(session);
  Pass(1h);

  ASSERT_EQ(WhyNot(relays().Revoke({"fra-1"}, Request())), "OK");
  Settle();

  EXPECT_EQ(OwnerOf(Key(0)), "nobody");
  EXPECT_GT(Partition(Key(0)).token, token) << "what it may still send is fenced";
}

TEST_F(PartitionsTest, StayWithARelayThatComesBackAfterTheOtherWhenBothWereCutOff) {
  StartFleet();
  const auto one = Connect("fra-1");
  Acknowledge(one);
  ASSERT_EQ(OwnerOf(Key(0)), "fra-1");
  Disconnect(one);
  Pass(1h);

  const auto two = Connect("fra-2");
  Acknowledge(two);
  Pass(42s);
  EXPECT_EQ(OwnerOf(Key(0)), "fra-1") << "it has a lease's time to come back too";

  Pass(1s);
  EXPECT_EQ(OwnerOf(Key(0)), "fra-2");
}

TEST_F(PartitionsTest, AreNotTakenFromARelayRightAfterAStartOfTheServer) {
  GrantTo("fra-1", Key(0));
  StartFleet();

  const auto two = Connect("fra-2");
  Acknowledge(two);

  EXPECT_EQ(OwnerOf(Key(0)), "fra-1");
}

TEST_F(PartitionsTest, GoAwayFromARelayThatIsStopping) {
  StartFleet();
  const auto one = Connect("fra-1");
  Acknowledge(one);
  const auto two = Connect("fra-2");
  Acknowledge(two);
  Acknowledge(one);

  Release(one, Key(0), true);
  Release(one, Key(1), true);
  Acknowledge(two);

  EXPECT_EQ(OwnerOf(Key(0)), "fra-2");
  EXPECT_EQ(OwnerOf(Key(1)), "fra-2");
}

TEST_F(FleetControllerTest, ARevokedRelayNeedsNoSecretAnyMore) {
  Enrol("fra-1");
  StoredCredential about;
  about.name = "oci-user";
  about.kind = CredentialKind::kSaslPlain;
  const auto credential = credentials().Put(
      about, [](SecretRef) { return StatusOr<std::string>("sealed"); }, Request());
  ASSERT_EQ(WhyNot(credential), "OK");
  const SecretRef secret{.credential = credential->id, .version = 1};
  DefineBridge();
  ASSERT_EQ(WhyNot(Apply({PutEndpoint{Endpoint("oci", "oci-user")}})), "OK");
  StartFleet();
  Connect("fra-1");  // surveys the bridge
  ASSERT_TRUE(fleet_->NeedsSecret({"fra-1"}, secret));

  ASSERT_EQ(WhyNot(relays().Revoke({"fra-1"}, Request())), "OK");
  Settle();

  EXPECT_FALSE(fleet_->NeedsSecret({"fra-1"}, secret));
}

// --- Queries ---

class QueryTest : public FleetControllerTest {
 protected:
  // A bridge into an engine, which relays of cloud=aws may run.
  void DefineSearch() {
    EndpointSpec engine;
    engine.name = "search";
    OpenSearchEndpoint at;
    at.addresses = {"https://search.example:9200"};
    engine.cluster = at;
    BridgeSpec bridge = Bridge("to-search");
    bridge.target.endpoint = "search";
    bridge.target.index = "logs-{topic}";
    ASSERT_EQ(WhyNot(Apply({PutEndpoint{Endpoint("oci")}, PutEndpoint{engine}, PutBridge{bridge}})),
              "OK");
  }
  // The one query that the session was sent, when it has been.
  Query Asked(const std::shared_ptr<FakeSession>& session) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (session->all<Query>().empty() && std::chrono::steady_clock::now() < deadline) {
      EXPECT_TRUE(fleet_->View().ok());
    }
    return session->all<Query>().at(0);
  }
};

TEST_F(QueryTest, GoToARelayThatMayRunTheBridgeAndComeBack) {
  Enrol("fra-1");
  DefineSearch();
  StartFleet();
  const auto session = Connect("fra-1");

  auto answer = std::async(std::launch::async, [&] {
    return fleet_->RetryDeadLetters("to-search", {.topic = "audit", .error = "e"}, "turn");
  });
  const Query query = Asked(session);
  fleet_->AnswerQuery({"another"}, query.query_id, RetriedDeadLetters{});
  fleet_->AnswerQuery({"fra-1"}, query.query_id,
                      RetriedDeadLetters{.groups = {}, .refused = 0, .left = 7, .turn = "turn"});

  EXPECT_EQ(answer.get()->left, 7) << "of the relay that was asked";
  EXPECT_EQ(query.endpoint.name, "search");
  EXPECT_EQ(query.source, std::nullopt) << "nobody needs it";
  const auto& question = std::get<DeadLetterRetryQuestion>(query.question);
  EXPECT_EQ(question.bridge.name, "to-search");
  EXPECT_EQ(question.selection.topic, "audit");
  EXPECT_EQ(question.selection.error, "e");
  EXPECT_EQ(question.turn, "turn");
}

TEST_F(QueryTest, SayWhereATopicOfDeadLettersIs) {
  Enrol("fra-1");
  DefineSearch();
  BridgeSpec bridge = State().bridges.at(0).spec;
  bridge.target.dead_letter_topic = "dead";
  ASSERT_EQ(WhyNot(Apply({PutBridge{bridge}})), "OK");
  StartFleet();
  const auto session = Connect("fra-1");

  auto answer = std::async(std::launch::async,
                           [&] { return fleet_->ReadDeadLetters("to-search", {}, 3).status(); });
  const Query query = Asked(session);
  fleet_->AnswerQuery({"fra-1"}, query.query_id, DeadLetterPage{});

  EXPECT_TRUE(answer.get().ok());
  ASSERT_TRUE(query.source);
  EXPECT_EQ(query.source->name, "oci");
}

TEST_F(QueryTest, SendDeadLettersOfABridgeAgainOnceAtATime) {
  Enrol("fra-1");
  DefineSearch();
  StartFleet();
  const auto session = Connect("fra-1");
  auto first = std::async(std::launch::async,
                          [&] { return fleet_->RetryDeadLetters("to-search", {}, "").status(); });
  const Query query = Asked(session);

  EXPECT_EQ(fleet_->RetryDeadLetters("to-search", {}, "").status().code(),
            StatusCode::kResourceExhausted);

  fleet_->AnswerQuery({"fra-1"}, query.query_id, RetriedDeadLetters{});
  EXPECT_TRUE(first.get().ok());
}

TEST_F(QueryTest, AreAnsweredWithWhyTheRelayCouldNot) {
  Enrol("fra-1");
  DefineSearch();
  StartFleet();
  const auto session = Connect("fra-1");

  auto answer = std::async(std::launch::async,
                           [&] { return fleet_->ReadDeadLetters("to-search", {}, 3).status(); });
  const Query query = Asked(session);
  fleet_->AnswerQuery({"fra-1"}, query.query_id,
                      Status(StatusCode::kUnavailable, Reason::kUnreachable, "nobody is there"));

  EXPECT_EQ(answer.get().message(), "nobody is there");
  EXPECT_EQ(std::get<DeadLetterReadQuestion>(query.question).limit, 3);
}

TEST_F(QueryTest, AreRefusedOfARelayThatDoesNotKnowTheQuestion) {
  Enrol("fra-1");
  DefineSearch();
  StartFleet();
  const auto session = Connect("fra-1");

  auto answer = std::async(std::launch::async,
                           [&] { return fleet_->ReadDeadLetters("to-search", {}, 3).status(); });
  fleet_->AnswerQuery({"fra-1"}, Asked(session).query_id, std::vector<EndpointCheck>{});

  EXPECT_EQ(answer.get().code(), StatusCode::kUnimplemented);
}

TEST_F(QueryTest, AreNotTakenForATestThatFoundNothingWhenTheAnswerIsToAnother) {
  Enrol("fra-1");
  DefineSearch();
  StartFleet();
  const auto session = Connect("fra-1");

  auto answer = std::async(std::launch::async,
                           [&] { return fleet_->TestEndpoint("search", "", {}).status(); });
  fleet_->AnswerQuery({"fra-1"}, Asked(session).query_id, DeadLetterPage{});

  EXPECT_EQ(answer.get().code(), StatusCode::kInternal);
}

TEST_F(QueryTest, AreFewAtATime) {
  Enrol("fra-1");
  DefineSearch();
  StartFleet();
  const auto session = Connect("fra-1");
  std::vector<std::future<Status>> waiting;
  for (size_t asked = 1; asked <= 4; ++asked) {
    waiting.push_back(std::async(
        std::launch::async, [&] { return fleet_->ReadDeadLetters("to-search", {}, 1).status(); }));
    while (session->all<Query>().size() < asked) ASSERT_TRUE(fleet_->View().ok());
  }

  EXPECT_EQ(fleet_->ReadDeadLetters("to-search", {}, 1).status().code(),
            StatusCode::kResourceExhausted);

  for (const Query& query : session->all<Query>()) {
    fleet_->AnswerQuery({"fra-1"}, query.query_id, DeadLetterPage{});
  }
  for (auto& one : waiting) EXPECT_TRUE(one.get().ok());
}

TEST_F(QueryTest, AreRefusedAtOnceWhereNobodyCanAnswer) {
  DefineSearch();
  DefineBridge("to-kafka");
  StartFleet();

  EXPECT_EQ(fleet_->ReadDeadLetters("nope", {}, 1).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(fleet_->ReadDeadLetters("to-kafka", {}, 1).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(fleet_->ReadDeadLetters("to-search", {}, 1).status().reason(), Reason::kNoRelay);
}

// --- What a relay brings along ---

TEST_F(PartitionsTest, TakeOverWhatARelayConfirmedWhileNobodyListened) {
  const Grant grant = GrantTo("fra-1", Key(0));
  StartFleet();
  RelayHello hello = HelloOf("fra-1");
  hello.held = {{.key = Key(0),
                 .token = grant.token,
                 .base = {100},
                 .checkpoint = {.next = {150}, .anchor = std::nullopt},
                 .is_running = true}};

  Connect(std::move(hello));

  EXPECT_EQ(Partition(Key(0)).checkpoint.next, Offset{150});
}

TEST_F(PartitionsTest, DoNotTakeOverWhatWasConfirmedUnderAnOlderToken) {
  const Grant before = GrantTo("fra-1", Key(0));
  GrantTo("fra-1", Key(0));
  StartFleet();
  RelayHello hello = HelloOf("fra-1");
  hello.held = {{.key = Key(0),
                 .token = before.token,
                 .base = {100},
                 .checkpoint = {.next = {150}, .anchor = std::nullopt},
                 .is_running = true}};

  Connect(std::move(hello));

  EXPECT_EQ(Partition(Key(0)).checkpoint.next, Offset{100});
}

TEST_F(PartitionsTest, AreFencedWhenARelayKnowsANewerStateThanTheDatabase) {
  const Grant grant = GrantTo("fra-1", Key(0));
  StartFleet();
  RelayHello hello = HelloOf("fra-1");
  hello.held = {{.key = Key(0),
                 .token = {.incarnation = grant.token.incarnation, .epoch = grant.token.epoch + 1},
                 .base = {100},
                 .checkpoint = {.next = {150}, .anchor = std::nullopt},
                 .is_running = true}};

  Connect(std::move(hello));

  EXPECT_EQ(State().incarnation, grant.token.incarnation + 1);
  EXPECT_EQ(Partition(Key(0)).token.incarnation, grant.token.incarnation + 1);
  EXPECT_EQ(Partition(Key(0)).checkpoint.next, Offset{100}) << "repeats, but loses nothing";
}

TEST_F(PartitionsTest, AreGivenToNobodyWhenAFenceCannotBeStored) {
  const Grant grant = GrantTo("fra-1", Key(0));
  ASSERT_EQ(WhyNot(writer().Run([](Database& database) {
              return database
                  .Prepare(
                      "CREATE TEMP TRIGGER no_fence BEFORE UPDATE OF incarnation ON meta "
                      "BEGIN SELECT RAISE(ABORT, 'no'); END")
                  .Run();
            })),
            "OK");
  StartFleet();
  RelayHello hello = HelloOf("fra-1");
  hello.held = {{.key = Key(0),
                 .token = {.incarnation = grant.token.incarnation, .epoch = grant.token.epoch + 1},
                 .base = {100},
                 .checkpoint = {.next = {150}, .anchor = std::nullopt},
                 .is_running = true}};

  const auto session = Connect(hello);

  EXPECT_EQ(session->end(), "STORAGE_DEGRADED") << "so it comes again";
  EXPECT_THAT(session->all<Welcome>(), IsEmpty());
  EXPECT_THAT(session->all<NumberedAssignments>(), IsEmpty());

  ASSERT_EQ(WhyNot(writer().Run([](Database& database) {
              return database.Prepare("DROP TRIGGER no_fence").Run();
            })),
            "OK");
  EXPECT_EQ(Connect(hello)->end(), "OPEN");
  EXPECT_EQ(Partition(Key(0)).token.incarnation, grant.token.incarnation + 1);
}

// --- Silence ---

// Six relays, each with a partition of its own.
class SilenceTest : public FleetControllerTest {
 protected:
  SilenceTest() {
    stream_ = LearnStream(DefineBridge(), "audit", std::vector<int64_t>(kRelays, 0));
    for (int i = 0; i < kRelays; ++i) Enrol(NameOf(i));
    for (int i = 0; i < kRelays; ++i) GrantTo(NameOf(i), KeyOf(i));
    StartFleet();
  }
  static std::string NameOf(int relay) { return "fra-" + std::to_string(relay); }
  PartitionKey KeyOf(int relay) const { return {.stream = stream_, .partition = relay}; }

  // A relay that runs its partition comes.
  void Come(int relay) {
    RelayHello hello = HelloOf(NameOf(relay));
    const StoredPartition partition = Partition(KeyOf(relay));
    if (partition.owner == RelayName{NameOf(relay)}) {
      hello.held = {{.key = KeyOf(relay),
                     .token = partition.token,
                     .base = partition.checkpoint.next,
                     .checkpoint = partition.checkpoint,
                     .is_running = true}};
    }
    sessions_[relay] = Connect(std::move(hello));
    Acknowledge(sessions_[relay]);
  }
  void ComeAll(const std::vector<int>& relays) {
    for (const int relay : relays) Come(relay);
  }
  void CutOff(const std::vector<int>& relays) {
    for (const int relay : relays) {
      Disconnect(sessions_.at(relay));
      sessions_.erase(relay);
    }
  }
  // Those that are connected go on saying so, and take what they are given.
  void PassBeating(Duration time) {
    for (Duration passed{}; passed < time; passed += 5s) {
      for (const auto& [relay, session] : sessions_) {
        Beat(session);
        Acknowledge(session);
      }
      Pass(5s);
    }
  }
  // Which of these relays have what they had.
  std::vector<int> Keeping(const std::vector<int>& relays) {
    std::vector<int> keeping;
    for (const int relay : relays) {
      if (OwnerOf(KeyOf(relay)) == NameOf(relay)) keeping.push_back(relay);
    }
    return keeping;
  }

  static constexpr int kRelays = 6;
  StreamId stream_;
  std::map<int, std::shared_ptr<FakeSession>> sessions_;
};

TEST_F(SilenceTest, OfMostRelaysTakesNothingFromThemHoweverLongItLasts) {
  ComeAll({0, 1, 2, 3, 4, 5});

  CutOff({0, 1, 2, 3});
  PassBeating(10min);

  EXPECT_THAT(Keeping({0, 1, 2, 3}), ElementsAre(0, 1, 2, 3));
}

TEST_F(SilenceTest, OfMostRelaysSinceTheServerStartedTakesNothingFromThemEither) {
  ComeAll({4, 5});

  PassBeating(10min);

  EXPECT_THAT(Keeping({0, 1, 2, 3}), ElementsAre(0, 1, 2, 3)) << "they have not come back yet";
}

TEST_F(SilenceTest, OfMostRelaysLeavesThemWhatIsNotToRunAnyMoreToo) {
  ComeAll({0, 1, 2, 3, 4, 5});
  CutOff({0, 1, 2, 3});
  PassBeating(1min);
  BridgeSpec narrowed = BridgeNamed("logs").spec;
  narrowed.source.topics = {"another"};

  ASSERT_EQ(WhyNot(Apply({PutBridge{narrowed}})), "OK");
  PassBeating(1min);

  EXPECT_THAT(Keeping({0, 1, 2, 3}), ElementsAre(0, 1, 2, 3)) << "until they give it back";
}

TEST_F(SilenceTest, IsOverWhenHalfAreBackAndTheOthersHaveHadTheirTime) {
  ComeAll({0, 1, 2, 3, 4, 5});
  CutOff({0, 1, 2, 3});
  PassBeating(10min);

  Come(0);
  PassBeating(2min);
  EXPECT_THAT(Keeping({1, 2, 3}), ElementsAre(1, 2, 3));

  Come(1);
  PassBeating(40s);
  EXPECT_THAT(Keeping({0, 1, 2, 3}), ElementsAre(0, 1, 2, 3)) << "they may be slower to come back";
  PassBeating(30s);
  EXPECT_THAT(Keeping({0, 1, 2, 3}), ElementsAre(0, 1));
}

TEST_F(SilenceTest, IsOverWhenTheRestIsRevoked) {
  ComeAll({0, 1, 2, 3, 4, 5});
  CutOff({0, 1, 2, 3});
  PassBeating(10min);

  for (const int relay : {0, 1, 2, 3}) {
    ASSERT_EQ(WhyNot(relays().Revoke({NameOf(relay)}, Request())), "OK");
  }
  Settle();
  EXPECT_THAT(Keeping({0, 1, 2, 3}), IsEmpty());

  CutOff({4});
  PassBeating(1min);
  EXPECT_THAT(Keeping({4, 5}), ElementsAre(5)) << "deaths are believed again";
}

TEST_F(SilenceTest, OfRelaysThatSaidThatTheyLeaveIsNone) {
  ComeAll({0, 1, 2, 3, 4, 5});
  for (const int relay : {0, 1, 2, 3}) {
    const auto session = sessions_.at(relay);
    fleet_->Receive(session.get(), RelayReleased{.key = KeyOf(relay),
                                                 .token = Partition(KeyOf(relay)).token,
                                                 .final_offset = {0},
                                                 .is_leaving = true});
  }
  CutOff({0, 1, 2, 3});
  PassBeating(2min);

  CutOff({4});
  PassBeating(1min);

  EXPECT_EQ(OwnerOf(KeyOf(4)), "fra-5");
}

TEST_F(SilenceTest, OfRelaysThatDiedLongAgoIsNoneWhenTheOthersWereCutOffMeanwhile) {
  ComeAll({0, 1, 2, 3, 4, 5});
  for (const int relay : {0, 1, 2, 3}) {
    CutOff({relay});
    PassBeating(1min);
  }
  ASSERT_THAT(Keeping({0, 1, 2, 3}), IsEmpty());
  CutOff({4, 5});
  Pass(1h);
  ComeAll({4, 5});
  PassBeating(2min);

  CutOff({4});
  PassBeating(1min);

  EXPECT_EQ(OwnerOf(KeyOf(4)), "fra-5");
}

TEST_F(SilenceTest, LetsOneRelayInTenSecondsLoseWhatItHas) {
  ComeAll({0, 1, 2, 3, 4, 5});

  CutOff({0, 1});
  Pass(42s);
  EXPECT_THAT(Keeping({0, 1}), ElementsAre(0, 1));
  Pass(1s);
  EXPECT_THAT(Keeping({0, 1}), ElementsAre(1));
  Pass(9s);
  EXPECT_THAT(Keeping({0, 1}), ElementsAre(1));
  Pass(1s);
  EXPECT_THAT(Keeping({0, 1}), IsEmpty());
}

// --- Failures of our own ---

TEST_F(FleetControllerTest, GoesOnAfterAFailureAndLetsTheRelayConnectAgain) {
  Enrol("fra-1");
  StartFleet();
  auto session = std::make_shared<FakeSession>();
  session->SetFailing(true);
  fleet_->Connect(session, HelloOf("fra-1"));
  Settle();
  EXPECT_EQ(session->end(), "INTERNAL") << "its Hello was not dealt with";

  session = Connect("fra-1");
  EXPECT_EQ(session->end(), "OPEN");
  session->SetFailing(true);
  Beat(session);
  Settle();
  EXPECT_EQ(session->end(), "INTERNAL");

  EXPECT_EQ(Connect("fra-1")->end(), "OPEN");
}

TEST_F(FleetControllerTest, GoesOnAfterAFailureOfItsOwnStep) {
  Enrol("fra-1");
  StartFleet();
  const auto session = Connect("fra-1");
  Acknowledge(session);
  session->SetFailing(true);

  DefineBridge();  // the relay is to be told
  Settle();
  session->SetFailing(false);
  clock_.Advance(29s);
  Beat(session);
  Pass(2s);

  EXPECT_EQ(session->end(), "UNAVAILABLE") << "it never answered what it was never sent";
  EXPECT_THAT(Connect("fra-1")->all<NumberedAssignments>(), SizeIs(1));
}

TEST_F(QueryTest, FailForTheCallerAloneWhenTheyCannotBeSent) {
  Enrol("fra-1");
  DefineSearch();
  StartFleet();
  const auto session = Connect("fra-1");
  session->SetFailing(true);

  EXPECT_THROW(std::ignore = fleet_->ReadDeadLetters("to-search", {}, 1), std::bad_alloc);

  EXPECT_TRUE(fleet_->View().ok());
}

TEST_F(PartitionsTest, AreSurveyedByARelayThatIsRevokedMeanwhile) {
  StartFleet();
  const auto session = Connect("fra-1");
  Acknowledge(session);

  ASSERT_EQ(WhyNot(relays().Revoke({"fra-1"}, Request())), "OK");
  fleet_->Receive(session.get(), SurveyResult{.bridge = BridgeNamed("logs").id,
                                              .generation = BridgeNamed("logs").generation,
                                              .source_cluster_id = "",
                                              .target_cluster_id = "",
                                              .topics = {},
                                              .conditions = {},
                                              .is_complete = true});
  Settle();

  EXPECT_EQ(session->end(), "RELAY_REVOKED");
}

}  // namespace
}  // namespace drawbridge
