#include "tests/server/store/commit_rule.h"

#include <map>
#include <random>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/server/store/store_fixture.h"

namespace drawbridge {
namespace {

constexpr int kPartitions = 250;
constexpr int kSteps = 24;

// What the store should hold, by the rule.
struct World {
  int64_t incarnation = 1;
  std::vector<CheckpointRow> rows;         // by partition
  std::set<int> relays;                    // that may run: enrolled and not revoked
  std::set<std::pair<int, int64_t>> gaps;  // partition, where it begins
};

// The same random operations upon the rule and upon the real store: commits that are late, doubled,
// of old owners, too far ahead or behind; handovers that were decided on an old state; revocations,
// restarts, and backups that are restored. Each partition is a sequence of its own; the sequences
// run side by side, so that commits come in batches.
class CommitRuleTest : public StoreTest {
 protected:
  // The first thing on which the two do not agree.
  std::optional<std::string> Disagreement(uint64_t seed, const CommitRule& rule) {
    Begin(seed);
    for (int step = 0; step < kSteps; ++step) {
      std::optional<std::string> found = ReassignSome();
      if (!found) found = CommitSome(rule);
      if (!found) {
        ShakeTheServer();
        found = Compare();
      }
      if (found) return fmt::format("seed {}, step {}: {}", seed, step, *found);
    }
    return std::nullopt;
  }

 private:
  void Begin(uint64_t seed) {
    Stop();
    std::filesystem::remove(path());
    Start();
    random_.seed(seed);
    world_ = {};
    backup_.reset();
    sent_.clear();
    sent_.resize(kPartitions);
    names_.clear();
    stream_ = LearnStream(DefineBridge(), "audit", std::vector<int64_t>(kPartitions, 10));
    world_.rows.assign(kPartitions, {.token = {1, 0}, .owner = std::nullopt, .next = {10}});
    AddRelay();
    AddRelay();
  }

  int64_t Draw(int64_t from, int64_t to) {
    return std::uniform_int_distribution<int64_t>(from, to)(random_);
  }
  bool Chance(int percent) { return Draw(1, 100) <= percent; }
  int DrawRelay() { return static_cast<int>(Draw(0, std::ssize(names_) - 1)); }
  const std::string& NameOf(int relay) const { return names_.at(static_cast<size_t>(relay)); }
  PartitionKey Key(int partition) const { return {.stream = stream_, .partition = partition}; }

  void AddRelay() {
    const int relay = static_cast<int>(names_.size());
    names_.push_back(fmt::format("relay-{}", relay));
    world_.relays.insert(relay);
    Enrol(NameOf(relay));
  }

  // Each partition's owner changes now and then, by a decision that may be out of date.
  std::optional<std::string> ReassignSome() {
    std::vector<Reassignment> wishes;
    std::set<int> changed;
    for (int partition = 0; partition < kPartitions; ++partition) {
      if (!Chance(25)) continue;
      CheckpointRow& row = world_.rows[static_cast<size_t>(partition)];
      FencingToken expected = row.token;
      if (Chance(20)) expected.epoch += Draw(-1, 1);
      if (Chance(5)) expected.incarnation += Draw(-1, 1);
      const std::optional<int> owner = Chance(85) ? std::optional(DrawRelay()) : std::nullopt;
      const auto name = owner ? std::optional(RelayName{NameOf(*owner)}) : std::nullopt;
      wishes.push_back(
          {.key = Key(partition), .expected = expected, .owner = name, .reason = "drawn"});
      if (expected != row.token) continue;
      if (owner && !world_.relays.contains(*owner)) continue;
      ++row.token.epoch;
      row.owner = owner;
      changed.insert(partition);
    }
    const auto stored = checkpoints().Reassign(wishes);
    if (!stored.ok()) return stored.status().ToString();
    std::set<int> found;
    for (const StoredPartition& partition : *stored) found.insert(partition.key.partition);
    if (found != changed) return "other partitions were reassigned";
    return std::nullopt;
  }

  CommitAttempt DrawAttempt(int partition) {
    std::vector<CommitAttempt>& sent = sent_[static_cast<size_t>(partition)];
    if (!sent.empty() && Chance(25)) {
      return sent[static_cast<size_t>(Draw(0, std::ssize(sent) - 1))];
    }
    const CheckpointRow& row = world_.rows[static_cast<size_t>(partition)];
    CommitAttempt attempt{.token = row.token,
                          .sender = row.owner && Chance(80) ? *row.owner : DrawRelay(),
                          .base = {std::max<int64_t>(0, row.next.value - Draw(0, 4))},
                          .next = {row.next.value + Draw(0, 5)}};
    if (Chance(12)) attempt.token.epoch += Draw(-2, 1);
    if (Chance(6)) attempt.token.incarnation += Draw(-1, 1);
    if (Chance(12)) attempt.base.value += Draw(1, 8);
    if (Chance(12)) attempt.next.value -= Draw(1, 8);
    sent.push_back(attempt);
    return attempt;
  }

  std::optional<std::string> CommitSome(const CommitRule& rule) {
    std::map<int, std::vector<CommitItem>> batches;
    std::map<int, std::vector<CommitOutcome>> expected;
    for (int partition = 0; partition < kPartitions; ++partition) {
      if (!Chance(80)) continue;
      const CommitAttempt attempt = DrawAttempt(partition);
      CheckpointRow& row = world_.rows[static_cast<size_t>(partition)];
      CommitItem item;
      item.key = Key(partition);
      item.token = attempt.token;
      item.base = attempt.base;
      item.to.next = attempt.next;
      const Offset passed{std::max<int64_t>(0, attempt.next.value - 1)};
      item.gaps = {{.range = {passed, Next(passed)}, .cause = {}}};
      const CommitOutcome outcome = Judge(row, attempt, rule);
      if (outcome == CommitOutcome::kStored) {
        row.next = attempt.next;
        world_.gaps.emplace(partition, passed.value);
      }
      batches[attempt.sender].push_back(std::move(item));
      expected[attempt.sender].push_back(outcome);
    }
    for (auto& [relay, items] : batches) {
      const auto results = Commit(NameOf(relay), std::move(items));
      for (size_t i = 0; i < results.size(); ++i) {
        const CommitOutcome by_rule = expected[relay].at(i);
        if (results[i].outcome == by_rule) continue;
        return fmt::format("partition {}: the store says {}, the rule {}", results[i].key.partition,
                           Name(results[i].outcome), Name(by_rule));
      }
    }
    return std::nullopt;
  }

  void ShakeTheServer() {
    if (Chance(8)) Restart();
    if (Chance(8)) {
      const int64_t at_least = Chance(50) ? 0 : world_.incarnation + Draw(0, 3);
      FenceAll(at_least);
    }
    if (Chance(8)) RevokeOne();
    if (!backup_ && Chance(15)) {
      CopyFile(path(), folder_ / "backup");
      backup_ = world_;
    } else if (backup_ && Chance(15)) {
      CopyFile(folder_ / "backup", path());
      world_ = *std::exchange(backup_, std::nullopt);
      FenceAll(0);
    }
  }

  void FenceAll(int64_t at_least) {
    world_.incarnation = std::max(world_.incarnation + 1, at_least);
    for (CheckpointRow& row : world_.rows) row.token.incarnation = world_.incarnation;
    EXPECT_EQ(*checkpoints().BumpIncarnation("drawn", at_least), world_.incarnation);
  }

  void RevokeOne() {
    const int relay = *world_.relays.begin();
    world_.relays.erase(relay);
    for (CheckpointRow& row : world_.rows) {
      if (row.owner != relay) continue;
      row.owner = std::nullopt;
      ++row.token.epoch;
    }
    EXPECT_TRUE(relays().Revoke({NameOf(relay)}, Request()).ok());
    AddRelay();
  }

  void CopyFile(const std::filesystem::path& from, const std::filesystem::path& to) {
    Stop();
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
    Start();
  }

  std::optional<std::string> Compare() {
    for (const StoredPartition& stored : State().partitions) {
      const CheckpointRow& row = world_.rows.at(static_cast<size_t>(stored.key.partition));
      const std::string owner = stored.owner ? stored.owner->value : "nobody";
      const std::string by_rule = row.owner ? NameOf(*row.owner) : "nobody";
      if (stored.token != row.token || stored.checkpoint.next != row.next || owner != by_rule) {
        return fmt::format("partition {} is at {} of {}, by the rule at {} of {}",
                           stored.key.partition, stored.checkpoint.next, owner, row.next, by_rule);
      }
    }
    std::set<std::pair<int, int64_t>> gaps;
    const auto stored_gaps = streams().Gaps("", "", 0, 1'000'000);
    for (const StoredGap& gap : *stored_gaps) {
      gaps.emplace(gap.key.partition, gap.gap.range.first.value);
    }
    if (gaps != world_.gaps) return "other gaps are stored";
    return std::nullopt;
  }

  std::mt19937_64 random_;
  World world_;
  std::optional<World> backup_;
  std::vector<std::vector<CommitAttempt>> sent_;  // by partition; they may arrive again
  StreamId stream_;
  std::vector<std::string> names_;  // of all relays that ever were, also of those that a restore
                                    // made unknown: their commits may still arrive
};

TEST_F(CommitRuleTest, IsWhatTheStoreDoes) {
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    EXPECT_EQ(Disagreement(seed, {}).value_or("none"), "none");
  }
}

// Else nothing that is drawn would tell a store that lacks it from one that has it.
TEST_F(CommitRuleTest, ShowsEveryPartOfItInWhatIsDrawn) {
  EXPECT_TRUE(Disagreement(1, {.checks_incarnation = false}));
  EXPECT_TRUE(Disagreement(1, {.checks_epoch = false}));
  EXPECT_TRUE(Disagreement(1, {.checks_owner = false}));
  EXPECT_TRUE(Disagreement(1, {.checks_base = false}));
  EXPECT_TRUE(Disagreement(1, {.is_monotonic = false}));
}

}  // namespace
}  // namespace drawbridge
