#include "server/store/checkpoint_store.h"

#include <algorithm>
#include <bit>
#include <memory>

#include "base/failpoint.h"
#include "server/store/mutation_log.h"
#include "server/store/stored_rows.h"

namespace drawbridge {
namespace {

constexpr int64_t kDeadLetterKindsMax = 100;
constexpr int64_t kFilteredRowMicros = 3'600'000'000;  // an hour to a row

std::string_view CauseName(GapCause cause) {
  return cause == GapCause::kSkipped ? "skipped" : "retention";
}

// Why the compare-and-set found no row.
StatusOr<CommitOutcome> Classify(Database& database, const RelayName& relay,
                                 const CommitItem& item) {
  Statement row = database.Prepare(
      "SELECT incarnation, epoch, owner_relay, next_offset FROM checkpoints "
      "WHERE stream_id = ? AND partition = ?");
  row.Bind(item.key.stream.value).Bind(int64_t{item.key.partition});
  if (!row.Step()) {
    if (!row.status().ok()) return row.status();
    return CommitOutcome::kUnknown;
  }
  if (row.Int(0) != item.token.incarnation) return CommitOutcome::kStaleIncarnation;
  if (row.Int(1) != item.token.epoch) return CommitOutcome::kStaleEpoch;
  if (row.IsNull(2) || row.Text(2) != relay.value) return CommitOutcome::kNotOwner;
  if (row.Int(3) > item.to.next.value) return CommitOutcome::kRegression;
  return CommitOutcome::kNotContiguous;
}

// Letters that a bridge of the same name counted before it was made anew, of records that this one
// has read again, are those that it has just counted: their ids are the same.
Status ForgetThoseOfBefore(Database& database, PartitionKey key, const std::string& error) {
  return database
      .Prepare(
          "DELETE FROM dead_letters WHERE (stream_id, partition, error) IN "
          "(SELECT old.stream_id, old.partition, old.error FROM dead_letters made "
          "JOIN dead_letters old ON old.bridge = made.bridge AND old.topic = made.topic "
          "AND old.partition = made.partition AND old.error = made.error "
          "AND old.source_cluster = made.source_cluster "
          "AND old.source_epoch = made.source_epoch "
          "AND old.from_offset >= made.from_offset AND old.to_offset <= made.to_offset "
          "WHERE made.stream_id = ?1 AND made.partition = ?2 AND made.error IN (?3, ?4) "
          "AND old.stream_id <> ?1)")
      .Bind(key.stream.value)
      .Bind(int64_t{key.partition})
      .Bind(error)
      .Bind(std::string(kOtherErrors))
      .Run();
}

// Those below `stored` came with a commit whose answer was lost, and are counted.
// Beyond so many kinds of errors a partition's others are counted together.
Status StoreDeadLetters(Database& database, const CommitItem& item, Offset stored, int64_t now) {
  for (const DeadLetters& letters : item.dead_letters) {
    if (letters.range.first < stored) continue;
    Status put =
        database
            .Prepare(
                "INSERT INTO dead_letters (stream_id, partition, error, from_offset, to_offset, "
                "records, bridge, topic, first_at_us, last_at_us, source_epoch, source_cluster) "
                "SELECT s.id, ?2, iif((SELECT count(*) FROM dead_letters WHERE stream_id = ?1 "
                "AND partition = ?2) < ?8 OR EXISTS (SELECT 1 FROM dead_letters "
                "WHERE stream_id = ?1 AND partition = ?2 AND error = ?3), ?3, ?9), ?4, ?5, ?6, "
                "b.name, s.topic, ?7, ?7, s.source_epoch, c.source_cluster FROM streams s "
                "JOIN bridges b ON b.id = s.bridge_id "
                "JOIN bridge_sources c ON c.bridge_id = b.id WHERE s.id = ?1 "
                "ON CONFLICT (stream_id, partition, error) DO UPDATE SET "
                "from_offset = min(from_offset, excluded.from_offset), "
                "to_offset = max(to_offset, excluded.to_offset), "
                "records = records + excluded.records, last_at_us = excluded.last_at_us, "
                "source_cluster = excluded.source_cluster")
            .Bind(item.key.stream.value)
            .Bind(int64_t{item.key.partition})
            .Bind(letters.error)
            .Bind(letters.range.first.value)
            .Bind(letters.range.end.value)
            .Bind(letters.records)
            .Bind(now)
            .Bind(kDeadLetterKindsMax)
            .Bind(std::string(kOtherErrors))
            .Run();
    if (put.ok()) put = ForgetThoseOfBefore(database, item.key, letters.error);
    if (!put.ok()) return put;
  }
  return {};
}

Status StoreGaps(Database& database, const CommitItem& item, int64_t now) {
  for (const Gap& gap : item.gaps) {
    if (gap.range.empty()) continue;
    Status stored =
        database
            .Prepare(
                "INSERT INTO gaps (stream_id, partition, from_offset, to_offset, cause, bridge, "
                "topic, at_us) SELECT s.id, ?2, ?3, ?4, ?5, b.name, s.topic, ?6 FROM streams s "
                "JOIN bridges b ON b.id = s.bridge_id WHERE s.id = ?1 "
                "ON CONFLICT DO NOTHING")
            .Bind(item.key.stream.value)
            .Bind(int64_t{item.key.partition})
            .Bind(gap.range.first.value)
            .Bind(gap.range.end.value)
            .Bind(CauseName(gap.cause))
            .Bind(now)
            .Run();
    if (!stored.ok()) return stored;
  }
  return {};
}

// Adds to the newest row of the partition while that is young, so that rows come with time and not
// with records. What is below `before`, the checkpoint until then, came with a commit whose answer
// was lost, and is counted.
Status StoreFiltered(Database& database, const CommitItem& item, Offset before, int64_t now) {
  for (const FilteredRange& filtered : item.filtered) {
    const OffsetRange range{std::max(filtered.range.first, before), filtered.range.end};
    const int64_t records = std::min(filtered.records, range.size());
    if (range.empty() || records <= 0) continue;
    Status stored =
        database
            .Prepare(
                "UPDATE filtered_ranges SET to_offset = max(to_offset, ?4), "
                "records = records + ?5 WHERE stream_id = ?1 AND partition = ?2 AND at_us > ?3 "
                "AND from_offset = (SELECT max(from_offset) FROM filtered_ranges "
                "WHERE stream_id = ?1 AND partition = ?2)")
            .Bind(item.key.stream.value)
            .Bind(int64_t{item.key.partition})
            .Bind(now - kFilteredRowMicros)
            .Bind(range.end.value)
            .Bind(records)
            .Run();
    if (!stored.ok()) return stored;
    if (database.changes() > 0) continue;
    stored = database
                 .Prepare(
                     "INSERT INTO filtered_ranges (stream_id, partition, from_offset, to_offset, "
                     "records, reason, at_us) VALUES (?, ?, ?, ?, ?, 'echo', ?) "
                     "ON CONFLICT (stream_id, partition, from_offset) DO UPDATE SET "
                     "to_offset = max(to_offset, excluded.to_offset), "
                     "records = records + excluded.records, at_us = excluded.at_us")
                 .Bind(item.key.stream.value)
                 .Bind(int64_t{item.key.partition})
                 .Bind(range.first.value)
                 .Bind(range.end.value)
                 .Bind(records)
                 .Bind(now)
                 .Run();
    if (!stored.ok()) return stored;
  }
  return {};
}

// The stored checkpoint of a partition; 0 if there is none.
StatusOr<Offset> StoredNext(Database& database, PartitionKey key) {
  Statement row =
      database.Prepare("SELECT next_offset FROM checkpoints WHERE stream_id = ? AND partition = ?");
  row.Bind(key.stream.value).Bind(int64_t{key.partition});
  if (row.Step()) return Offset{row.Int(0)};
  if (!row.status().ok()) return row.status();
  return Offset{0};
}

StatusOr<CommitOutcome> CommitOne(Database& database, const RelayName& relay,
                                  const CommitItem& item, int64_t now) {
  const bool counts = !item.filtered.empty() || !item.dead_letters.empty();
  const StatusOr<Offset> before = counts ? StoredNext(database, item.key) : Offset{0};
  if (!before.ok()) return before.status();
  Statement update = database.Prepare(
      "UPDATE checkpoints SET next_offset = ?1, anchor_offset = ?2, anchor_ts_ms = ?3, "
      "anchor_hash = ?4, updated_at_us = ?5 "
      "WHERE stream_id = ?6 AND partition = ?7 AND incarnation = ?8 AND epoch = ?9 "
      "AND owner_relay = ?10 AND next_offset <= ?1 AND ?11 <= next_offset");
  const std::optional<Anchor>& anchor = item.to.anchor;
  update.Bind(item.to.next.value)
      .Bind(anchor ? std::optional(anchor->offset.value) : std::nullopt)
      .Bind(anchor ? std::optional(anchor->timestamp_ms) : std::nullopt)
      .Bind(anchor ? std::optional(std::bit_cast<int64_t>(anchor->hash)) : std::nullopt)
      .Bind(now)
      .Bind(item.key.stream.value)
      .Bind(int64_t{item.key.partition})
      .Bind(item.token.incarnation)
      .Bind(item.token.epoch)
      .Bind(relay.value)
      .Bind(item.base.value);
  if (Status ran = update.Run(); !ran.ok()) return ran;
  if (database.changes() != 1) return Classify(database, relay, item);
  if (Status stored = StoreGaps(database, item, now); !stored.ok()) return stored;
  if (Status stored = StoreFiltered(database, item, *before, now); !stored.ok()) return stored;
  if (Status stored = StoreDeadLetters(database, item, *before, now); !stored.ok()) return stored;
  return CommitOutcome::kStored;
}

}  // namespace

void CheckpointStore::Commit(RelayName relay, std::vector<CommitItem> items,
                             std::function<void(std::vector<CommitResult>)> done) {
  auto results = std::make_shared<std::vector<CommitResult>>();
  for (const CommitItem& item : items) {
    results->push_back({.key = item.key,
                        .token = item.token,
                        .next = item.to.next,
                        .outcome = CommitOutcome::kNotStored});
  }
  writer_.Post(
      [this, relay = std::move(relay), items = std::move(items), results](Database& database) {
        const int64_t now = ToMicros(clock_.WallNow());
        for (size_t i = 0; i < items.size(); ++i) {
          const StatusOr<CommitOutcome> outcome = CommitOne(database, relay, items[i], now);
          if (!outcome.ok()) return outcome.status();
          (*results)[i].outcome = *outcome;
        }
        Failpoint("store.checkpoint_written");
        return Status();
      },
      [results, done = std::move(done)](const Status& status) {
        if (!status.ok()) {
          for (CommitResult& result : *results) result.outcome = CommitOutcome::kNotStored;
        }
        done(std::move(*results));
      });
}

StatusOr<std::vector<StoredPartition>> CheckpointStore::Reassign(
    const std::vector<Reassignment>& reassignments) {
  using Changed = std::vector<StoredPartition>;
  return writer_.Get<Changed>([&](Database& database) -> StatusOr<Changed> {
    const int64_t now = ToMicros(clock_.WallNow());
    Changed changed;
    for (const Reassignment& wish : reassignments) {
      Statement update = database.Prepare(
          "UPDATE checkpoints SET owner_relay = ?1, epoch = epoch + 1, "
          "incarnation = (SELECT incarnation FROM meta) "
          "WHERE stream_id = ?2 AND partition = ?3 AND incarnation = ?4 AND epoch = ?5 "
          "AND (?1 IS NULL OR EXISTS (SELECT 1 FROM relays WHERE name = ?1 AND is_revoked = 0))");
      update.Bind(wish.owner ? std::optional<std::string_view>(wish.owner->value) : std::nullopt)
          .Bind(wish.key.stream.value)
          .Bind(int64_t{wish.key.partition})
          .Bind(wish.expected.incarnation)
          .Bind(wish.expected.epoch);
      if (Status ran = update.Run(); !ran.ok()) return ran;
      if (database.changes() != 1) continue;
      StatusOr<StoredPartition> stored = ReadPartition(database, wish.key);
      if (!stored.ok()) return stored.status();
      Status logged =
          database
              .Prepare(
                  "INSERT INTO assignment_log (stream_id, partition, incarnation, epoch, relay, "
                  "start_offset, reason, at_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
              .Bind(wish.key.stream.value)
              .Bind(int64_t{wish.key.partition})
              .Bind(stored->token.incarnation)
              .Bind(stored->token.epoch)
              .Bind(wish.owner ? std::optional<std::string_view>(wish.owner->value) : std::nullopt)
              .Bind(stored->checkpoint.next.value)
              .Bind(wish.reason)
              .Bind(now)
              .Run();
      if (!logged.ok()) return logged;
      changed.push_back(*std::move(stored));
    }
    if (!changed.empty()) {
      if (Status bumped = BumpRevision(database); !bumped.ok()) return bumped;
    }
    return changed;
  });
}

StatusOr<int64_t> CheckpointStore::BumpIncarnation(const std::string& reason, int64_t at_least) {
  return writer_.Get<int64_t>([&](Database& database) -> StatusOr<int64_t> {
    Status done = database.Prepare("UPDATE meta SET incarnation = max(incarnation + 1, ?)")
                      .Bind(at_least)
                      .Run();
    if (!done.ok()) return done;
    done = database.Prepare("UPDATE checkpoints SET incarnation = (SELECT incarnation FROM meta)")
               .Run();
    if (!done.ok()) return done;
    done = database
               .Prepare(
                   "INSERT INTO audit (at_us, actor, action, object, reason, request_id) "
                   "VALUES (?, 'server', 'fence', 'all partitions', ?, '')")
               .Bind(ToMicros(clock_.WallNow()))
               .Bind(reason)
               .Run();
    if (!done.ok()) return done;
    if (Status bumped = BumpRevision(database); !bumped.ok()) return bumped;
    Statement found = database.Prepare("SELECT incarnation FROM meta");
    if (!found.Step()) return found.status();
    return found.Int(0);
  });
}

}  // namespace drawbridge
