#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "relay/pipeline/lane.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_sink.h"
#include "tests/fakes/fake_source.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/relay/pipeline/batches.h"

namespace drawbridge {

// A lane between a fake source and a fake sink, with a real journal. Tests speak in plain numbers:
// a partition is 0 unless they say otherwise, and -1 is an offset that nobody knows.
class LaneFixture : public testing::Test {
 protected:
  static constexpr ClusterKey kTargetCluster = 0xAAAA;
  static constexpr FencingToken kToken{.incarnation = 1, .epoch = 1};

  LaneFixture() {
    settings_.lane = 1;
    settings_.bridge = {5};
    settings_.target_cluster = kTargetCluster;
    source_->SetBatchRecords(10);
  }
  void SetUp() override { MakeLane(); }

  // --- What happens ---

  void MakeLane() {
    lane_.reset();
    lane_ = std::make_unique<Lane>(settings_, *source_, *sink_, *journal_, board_, clock_);
  }

  // The relay dies with all that it had in hand, and another one opens its journal.
  void Kill() {
    lane_.reset();
    source_ = std::make_unique<FakeSource>(logs_, clock_);
    sink_ = std::make_unique<FakeSink>();
    journal_.reset();
    journal_ = OpenJournal();
    MakeLane();
  }

  FakeLog& log(int partition = 0) { return logs_[KeyOf(partition)]; }
  void Produce(int64_t records, int partition = 0) { log(partition).AppendMany(records); }
  // Records that have been in the target's cluster.
  void ProduceEchoes(int64_t records, int partition = 0) {
    const Provenance provenance{.flags = 0,
                                .cluster = kTargetCluster,
                                .source_epoch = 1,
                                .partition = 0,
                                .offset = {},
                                .topic = 1,
                                .passed = {}};
    for (int64_t i = 0; i < records; ++i) {
      FakeRecord echo;
      echo.headers.emplace_back(kProvenanceHeader, provenance.Encode());
      log(partition).Append(std::move(echo));
    }
  }

  static LanePartition OrderOf(int partition, int64_t next) {
    LanePartition order;
    order.route.key = KeyOf(partition);
    order.route.source_topic = "source";
    order.route.target_topic = "target";
    order.route.partition = partition;
    order.last.key = order.route.key;
    order.last.token = kToken;
    order.last.base = {next};
    order.last.to.next = {next};
    return order;
  }
  void Start(int partition = 0, int64_t next = 0) { Start(OrderOf(partition, next)); }
  void Start(LanePartition order) {
    ASSERT_TRUE(journal_->Reserve(order.route.key).ok());
    lane_->Start(std::move(order));
    Turn();
  }
  // Starts at a checkpoint that rests on the record at `anchor`, as it is in the log now.
  void StartAfter(int64_t anchor, int64_t next, int partition = 0) {
    LanePartition order = OrderOf(partition, next);
    order.last.to.anchor = AnchorAt(anchor, partition);
    Start(std::move(order));
  }
  Anchor AnchorAt(int64_t offset, int partition = 0) {
    const FakeRecord& record = *log(partition).records().at(Offset{offset});
    Record view = RecordAt(offset, record.key, record.value);
    view.timestamp_ms = record.timestamp_ms;
    return AnchorOf(view);
  }

  // The lane does all that it can do without time passing.
  void Turn() {
    for (int i = 0; i < 10'000; ++i) {
      next_turn_ = lane_->Step();
      if (next_turn_ > clock_.Now()) return;
    }
    FAIL() << "the lane does not come to rest";
  }

  // Time passes, and the lane wakes when it said that it would.
  void Pass(Duration span) {
    const BootTime end = clock_.Now() + span;
    while (clock_.Now() < end && !HasFatalFailure()) {
      clock_.Advance(std::min(end, std::max(next_turn_, clock_.Now())) - clock_.Now());
      Turn();
    }
  }

  void Confirm(int64_t first, int64_t end, int partition = 0) {
    sink_->Confirm(KeyOf(partition), RangeOf(first, end));
    Turn();
  }
  void ConfirmAll(int partition = 0) {
    sink_->Confirm(KeyOf(partition));
    Turn();
  }
  void Fail(int64_t offset, Disposition disposition, int partition = 0) {
    sink_->Fail(KeyOf(partition), Offset{offset}, disposition);
    Turn();
  }
  void SetPaused(bool is_paused, int partition = 0) {
    lane_->SetPaused(KeyOf(partition), is_paused);
    Turn();
  }
  void Release(Duration within, int partition = 0) {
    lane_->Release(KeyOf(partition), clock_.Now() + within);
    Turn();
  }
  void Stored(int64_t next, int partition = 0) {
    lane_->Stored(KeyOf(partition), kToken, Offset{next});
    Turn();
  }

  // --- What is seen ---

  static PartitionKey KeyOf(int partition) { return {.stream = {1}, .partition = partition}; }

  int64_t journaled(int partition = 0) const {
    const auto entry = journal_->Read(KeyOf(partition));
    return entry ? entry->checkpoint.next.value : -1;
  }
  std::vector<int64_t> written(int partition = 0) {
    return sink_->written_offsets(KeyOf(partition));
  }
  std::vector<int64_t> pending(int partition = 0) {
    return sink_->pending_offsets(KeyOf(partition));
  }
  static std::vector<int64_t> Offsets(int64_t first, int64_t end) {
    std::vector<int64_t> offsets;
    for (int64_t at = first; at < end; ++at) offsets.push_back(at);
    return offsets;
  }

  // What the board shows of a partition.
  PartitionNews shown(int partition = 0) const {
    for (PartitionNews& news : board_.News()) {
      if (news.commit.key == KeyOf(partition)) return std::move(news);
    }
    ADD_FAILURE() << "nothing on the board about partition " << partition;
    return {};
  }
  // The same after the time within which a lane shows everything.
  PartitionNews news(int partition = 0) {
    Pass(std::chrono::milliseconds(500));
    return shown(partition);
  }
  PartitionState state(int partition = 0) { return news(partition).report.state; }
  // Why a partition does not move.
  std::vector<Reason> reasons(int partition = 0) const {
    std::vector<Reason> reasons;
    for (const Condition& condition : shown(partition).conditions) {
      reasons.push_back(condition.reason);
    }
    return reasons;
  }

  const TemporaryFolder folder_;
  FakeClock clock_;
  FakeLogs logs_;
  LaneSettings settings_;
  int wakes_ = 0;
  ProgressBoard board_{[this] { ++wakes_; }};
  std::unique_ptr<Journal> journal_ = OpenJournal();
  std::unique_ptr<FakeSource> source_ = std::make_unique<FakeSource>(logs_, clock_);
  std::unique_ptr<FakeSink> sink_ = std::make_unique<FakeSink>();
  std::unique_ptr<Lane> lane_;
  BootTime next_turn_;

 private:
  std::unique_ptr<Journal> OpenJournal() const {
    StatusOr<std::unique_ptr<Journal>> opened = Journal::Open(folder_.path());
    EXPECT_TRUE(opened.ok()) << opened.status().ToString();
    return *std::move(opened);
  }
};

}  // namespace drawbridge
