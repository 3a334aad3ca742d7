#include "server/store/stream_store.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "server/store/mutation_log.h"

namespace drawbridge {
namespace {

// A stream that is made for a topic which has another id than the last one had carries another life
// of it, though nobody was there to see the old one gone.
Status TellLives(Database& database, BridgeId bridge, const LearntStream& stream) {
  return database
      .Prepare(
          "INSERT INTO source_lives (source_cluster, topic, source_epoch) "
          "SELECT k.source_cluster, k.topic, 2 FROM bridge_sources b "
          "JOIN source_topics k ON k.topic = ?2 AND k.source_cluster = b.source_cluster "
          "WHERE b.bridge_id = ?1 AND ?3 <> '' AND k.topic_id <> ?3 AND NOT EXISTS "
          "(SELECT 1 FROM streams s WHERE s.bridge_id = ?1 AND s.topic = ?2) "
          "ON CONFLICT (source_cluster, topic) DO UPDATE SET source_epoch = source_epoch + 1")
      .Bind(bridge.value)
      .Bind(stream.topic)
      .Bind(stream.topic_id)
      .Run();
}

Status KeepTopicId(Database& database, BridgeId bridge, const LearntStream& stream) {
  return database
      .Prepare(
          "INSERT INTO source_topics (source_cluster, topic, topic_id) "
          "SELECT b.source_cluster, s.topic, s.topic_id FROM streams s "
          "JOIN bridge_sources b ON b.bridge_id = s.bridge_id "
          "WHERE s.bridge_id = ?1 AND s.topic = ?2 AND s.topic_id <> '' AND s.topic_id = ?3 "
          "ON CONFLICT (source_cluster, topic) DO UPDATE SET topic_id = excluded.topic_id")
      .Bind(bridge.value)
      .Bind(stream.topic)
      .Bind(stream.topic_id)
      .Run();
}

StatusOr<int64_t> Put(Database& database, BridgeId bridge, const LearntStream& stream,
                      int64_t now) {
  if (Status told = TellLives(database, bridge, stream); !told.ok()) return told;
  Status put = database
                   .Prepare(
                       "INSERT INTO streams (bridge_id, topic, target_topic, target_partitions, "
                       "created_at_us, topic_id, source_epoch) "
                       "SELECT b.bridge_id, ?2, ?3, ?4, ?5, ?6, coalesce(l.source_epoch, 1) "
                       "FROM bridge_sources b LEFT JOIN source_lives l "
                       "ON l.topic = ?2 AND l.source_cluster = b.source_cluster "
                       "WHERE b.bridge_id = ?1 "
                       "ON CONFLICT (bridge_id, topic) DO UPDATE SET "
                       "target_topic = excluded.target_topic, "
                       "target_partitions = excluded.target_partitions, "
                       "topic_id = iif(topic_id = '', excluded.topic_id, topic_id)")
                   .Bind(bridge.value)
                   .Bind(stream.topic)
                   .Bind(stream.target_topic)
                   .Bind(int64_t{stream.target_partitions})
                   .Bind(now)
                   .Bind(stream.topic_id)
                   .Run();
  if (put.ok()) put = KeepTopicId(database, bridge, stream);
  if (!put.ok()) return put;
  Statement found = database.Prepare("SELECT id FROM streams WHERE bridge_id = ? AND topic = ?");
  found.Bind(bridge.value).Bind(stream.topic);
  if (!found.Step()) return found.status();
  return found.Int(0);
}

Status LearnInto(Database& database, const Learnt& learnt, int64_t now) {
  Status put = database
                   .Prepare(
                       "UPDATE bridges SET "
                       "source_cluster_id = CASE WHEN source_cluster_id = '' THEN ? "
                       "ELSE source_cluster_id END, "
                       "target_cluster_id = CASE WHEN target_cluster_id = '' THEN ? "
                       "ELSE target_cluster_id END, "
                       "is_start_resolved = max(is_start_resolved, ?) WHERE id = ?")
                   .Bind(learnt.source_cluster_id)
                   .Bind(learnt.target_cluster_id)
                   .Bind(int64_t{learnt.resolves_start ? 1 : 0})
                   .Bind(learnt.bridge.value)
                   .Run();
  if (!put.ok()) return put;
  if (database.changes() == 0) return {};  // the bridge was deleted meanwhile
  put = database
            .Prepare(
                "UPDATE endpoints SET cluster_id = coalesce((SELECT b.source_cluster_id FROM "
                "bridges b WHERE b.id = ? AND b.source_endpoint = endpoints.name AND "
                "b.source_cluster_id <> ''), (SELECT b.target_cluster_id FROM bridges b WHERE "
                "b.id = ? AND b.target_endpoint = endpoints.name AND b.target_cluster_id <> ''), "
                "cluster_id)")
            .Bind(learnt.bridge.value)
            .Bind(learnt.bridge.value)
            .Run();
  if (!put.ok()) return put;
  for (const LearntStream& stream : learnt.streams) {
    const StatusOr<int64_t> id = Put(database, learnt.bridge, stream, now);
    if (!id.ok()) return id.status();
    for (const auto& [partition, start] : stream.new_partitions) {
      put = database
                .Prepare(
                    "INSERT INTO checkpoints "
                    "(stream_id, partition, incarnation, epoch, next_offset, updated_at_us) "
                    "SELECT ?, ?, incarnation, 0, ?, ? FROM meta WHERE true "
                    "ON CONFLICT (stream_id, partition) DO NOTHING")
                .Bind(*id)
                .Bind(int64_t{partition})
                .Bind(start.value)
                .Bind(now)
                .Run();
      if (!put.ok()) return put;
    }
  }
  return BumpRevision(database);
}

// Counts records that were brought in where they were counted as refused: in the group of their
// error, and what finds no room there among the others of the partition. A bridge may have been
// made anew under the name: its newest life comes first.
Status Settle(Database& database, const std::string& bridge, const RetriedGroup& group) {
  struct Room {
    int64_t stream = 0;
    std::string error;
    int64_t records = 0;
  };
  Statement found = database.Prepare(
      "SELECT stream_id, error, records - retried FROM dead_letters WHERE bridge = ?1 "
      "AND topic = ?2 AND partition = ?3 AND error IN (?4, ?5) AND records > retried "
      "ORDER BY error = ?5, stream_id DESC");
  found.Bind(bridge).Bind(group.topic).Bind(int64_t{group.partition});
  found.Bind(group.error).Bind(std::string(kOtherErrors));
  std::vector<Room> rooms;
  while (found.Step()) rooms.push_back({found.Int(0), found.Text(1), found.Int(2)});
  if (!found.status().ok()) return found.status();
  int64_t left = group.records;
  for (const Room& room : rooms) {
    const int64_t settled = std::min(left, room.records);
    if (settled == 0) break;
    Status put = database
                     .Prepare(
                         "UPDATE dead_letters SET retried = retried + ?1 "
                         "WHERE stream_id = ?2 AND partition = ?3 AND error = ?4")
                     .Bind(settled)
                     .Bind(room.stream)
                     .Bind(int64_t{group.partition})
                     .Bind(room.error)
                     .Run();
    if (!put.ok()) return put;
    left -= settled;
  }
  return {};
}

}  // namespace

Status StreamStore::Learn(const Learnt& learnt) {
  return writer_.Run(
      [&](Database& database) { return LearnInto(database, learnt, ToMicros(clock_.WallNow())); });
}

Status StreamStore::EndLife(StreamId stream) {
  return writer_.Run([&](Database& database) {
    return database
        .Prepare(
            "INSERT INTO source_lives (source_cluster, topic, source_epoch) "
            "SELECT b.source_cluster, s.topic, s.source_epoch + 1 FROM streams s "
            "JOIN bridge_sources b ON b.bridge_id = s.bridge_id WHERE s.id = ? "
            "ON CONFLICT (source_cluster, topic) DO UPDATE SET "
            "source_epoch = max(source_epoch, excluded.source_epoch)")
        .Bind(stream.value)
        .Run();
  });
}

StatusOr<Receipt> StreamStore::SetPaused(StreamId stream, const std::string& name, bool is_paused,
                                         const Mutation& mutation) {
  return Mutate(writer_, clock_, mutation, is_paused ? "pause" : "resume", "stream " + name,
                [&](Database& database) -> Status {
                  Status set = database.Prepare("UPDATE streams SET is_paused = ? WHERE id = ?")
                                   .Bind(int64_t{is_paused ? 1 : 0})
                                   .Bind(stream.value)
                                   .Run();
                  if (set.ok() && database.changes() == 0) {
                    return {StatusCode::kNotFound, Reason::kNotFound,
                            fmt::format("there is no stream {} any more", name)};
                  }
                  return set;
                });
}

StatusOr<std::vector<StoredGap>> StreamStore::Gaps(const std::string& bridge,
                                                   const std::string& topic, int64_t offset,
                                                   int64_t limit) {
  return reader_.Get([&](Database& database) -> StatusOr<std::vector<StoredGap>> {
    Statement rows = database.Prepare(
        "SELECT stream_id, partition, from_offset, to_offset, cause, bridge, topic, at_us "
        "FROM gaps WHERE (?1 = '' OR bridge = ?1) AND (?2 = '' OR topic = ?2) "
        "ORDER BY at_us, stream_id, partition, from_offset LIMIT ?3 OFFSET ?4");
    rows.Bind(bridge).Bind(topic).Bind(limit).Bind(offset);
    std::vector<StoredGap> gaps;
    while (rows.Step()) {
      gaps.push_back(
          {.key = {.stream = {rows.Int(0)}, .partition = static_cast<PartitionNumber>(rows.Int(1))},
           .gap = {.range = {{rows.Int(2)}, {rows.Int(3)}},
                   .cause = rows.Text(4) == "skipped" ? GapCause::kSkipped : GapCause::kRetention},
           .bridge = rows.Text(5),
           .topic = rows.Text(6),
           .at = FromMicros(rows.Int(7))});
    }
    if (!rows.status().ok()) return rows.status();
    return gaps;
  });
}

StatusOr<std::vector<StoredDeadLetters>> StreamStore::DeadLettersOf(const std::string& bridge,
                                                                    const std::string& topic,
                                                                    int64_t offset, int64_t limit) {
  return reader_.Get([&](Database& database) -> StatusOr<std::vector<StoredDeadLetters>> {
    Statement rows = database.Prepare(
        "SELECT stream_id, bridge, topic, error, sum(records), min(first_at_us), max(last_at_us), "
        "sum(retried) "
        "FROM dead_letters WHERE (?1 = '' OR bridge = ?1) AND (?2 = '' OR topic = ?2) "
        "GROUP BY stream_id, bridge, topic, error "
        "ORDER BY max(last_at_us) DESC, bridge, topic, error LIMIT ?3 OFFSET ?4");
    rows.Bind(bridge).Bind(topic).Bind(limit).Bind(offset);
    std::vector<StoredDeadLetters> groups;
    while (rows.Step()) {
      groups.push_back({.stream = {rows.Int(0)},
                        .bridge = rows.Text(1),
                        .topic = rows.Text(2),
                        .error = rows.Text(3),
                        .records = rows.Int(4),
                        .retried = rows.Int(7),
                        .first_at = FromMicros(rows.Int(5)),
                        .last_at = FromMicros(rows.Int(6))});
    }
    if (!rows.status().ok()) return rows.status();
    return groups;
  });
}

StatusOr<Receipt> StreamStore::AddRetried(const std::string& bridge,
                                          const std::vector<RetriedGroup>& groups,
                                          const Mutation& mutation) {
  return Mutate(writer_, clock_, mutation, "retry", "dead letters of bridge " + bridge,
                [&](Database& database) -> Status {
                  for (const RetriedGroup& group : groups) {
                    if (Status put = Settle(database, bridge, group); !put.ok()) return put;
                  }
                  return {};
                });
}

StatusOr<std::vector<StreamStore::Passed>> StreamStore::PassedByStream() {
  return reader_.Get([&](Database& database) -> StatusOr<std::vector<Passed>> {
    std::map<int64_t, Passed> by_stream;
    Statement gaps = database.Prepare(
        "SELECT stream_id, sum(to_offset - from_offset) FROM gaps GROUP BY stream_id");
    while (gaps.Step()) by_stream[gaps.Int(0)].gap_offsets = gaps.Int(1);
    if (!gaps.status().ok()) return gaps.status();
    Statement filtered =
        database.Prepare("SELECT stream_id, sum(records) FROM filtered_ranges GROUP BY stream_id");
    while (filtered.Step()) by_stream[filtered.Int(0)].filtered_records = filtered.Int(1);
    if (!filtered.status().ok()) return filtered.status();
    Statement dead = database.Prepare(
        "SELECT stream_id, sum(records - retried) FROM dead_letters GROUP BY stream_id");
    while (dead.Step()) by_stream[dead.Int(0)].dead_letters = dead.Int(1);
    if (!dead.status().ok()) return dead.status();
    std::vector<Passed> all;
    for (auto& [stream, passed] : by_stream) {
      passed.stream = {stream};
      all.push_back(passed);
    }
    return all;
  });
}

}  // namespace drawbridge
