#include "server/store/definition_store.h"

#include <fmt/format.h>

#include "server/store/mutation_log.h"
#include "server/store/spec_json.h"

namespace drawbridge {
namespace {

Status Put(Database& database, const EndpointSpec& endpoint) {
  Statement put = database.Prepare(
      "INSERT INTO endpoints (name, generation, spec, credential) VALUES (?, 1, ?, ?) "
      "ON CONFLICT (name) DO UPDATE SET generation = generation + 1, spec = excluded.spec, "
      "credential = excluded.credential");
  put.Bind(endpoint.name).Bind(ToJson(endpoint));
  endpoint.credential().empty() ? put.BindNull() : put.Bind(endpoint.credential());
  return put.Run();
}

// Lets the streams of a bridge follow its definition. A new mapping keeps the checkpoints, and so
// does a topic that is not selected any more; whether the new target is there, the next survey
// says.
Status Follow(Database& database, const BridgeSpec& bridge) {
  struct Change {
    int64_t stream = 0;
    std::string target;
    bool is_renamed = false;
    bool is_selected = true;
  };
  const TopicSelection selection = FlowOf(bridge).selection;
  std::vector<Change> changes;
  {
    Statement streams = database.Prepare(
        "SELECT s.id, s.topic, s.target_topic, s.is_selected FROM streams s "
        "JOIN bridges b ON b.id = s.bridge_id WHERE b.name = ?");
    streams.Bind(bridge.name);
    while (streams.Step()) {
      const std::string topic = streams.Text(1);
      Change change{.stream = streams.Int(0),
                    .target = TargetNameOf(bridge, topic),
                    .is_selected = selection.Matches(topic)};
      change.is_renamed = change.target != streams.Text(2);
      if (change.is_renamed || change.is_selected != (streams.Int(3) != 0)) {
        changes.push_back(std::move(change));
      }
    }
    if (!streams.status().ok()) return streams.status();
  }
  for (const Change& change : changes) {
    Status put =
        database
            .Prepare(
                "UPDATE streams SET target_topic = ?, is_selected = ?, target_partitions = "
                "CASE WHEN ? THEN 0 ELSE target_partitions END WHERE id = ?")
            .Bind(change.target)
            .Bind(int64_t{change.is_selected})
            .Bind(int64_t{change.is_renamed})
            .Bind(change.stream)
            .Run();
    if (!put.ok()) return put;
  }
  return {};
}

Status Put(Database& database, const BridgeSpec& bridge, const std::string& actor, WallTime now) {
  // What the old target has says nothing of a new one; the next survey does.
  Status put = database
                   .Prepare(
                       "UPDATE streams SET target_partitions = 0 WHERE bridge_id = "
                       "(SELECT id FROM bridges WHERE name = ? AND target_endpoint <> ?)")
                   .Bind(bridge.name)
                   .Bind(bridge.target.endpoint)
                   .Run();
  if (!put.ok()) return put;
  const std::string spec = ToJson(bridge);
  put = database
            .Prepare(
                "INSERT INTO bridges (name, generation, spec, source_endpoint, target_endpoint) "
                "VALUES (?, 1, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET generation = generation + 1, "
                "spec = excluded.spec, target_endpoint = excluded.target_endpoint, "
                "target_cluster_id = CASE WHEN target_endpoint = excluded.target_endpoint "
                "THEN target_cluster_id ELSE '' END")
            .Bind(bridge.name)
            .Bind(spec)
            .Bind(bridge.source.endpoint)
            .Bind(bridge.target.endpoint)
            .Run();
  if (!put.ok()) return put;
  put = database
            .Prepare(
                "INSERT INTO bridge_revisions (bridge_id, generation, spec, actor, at_us) "
                "SELECT id, generation, spec, ?, ? FROM bridges WHERE name = ?")
            .Bind(actor)
            .Bind(ToMicros(now))
            .Bind(bridge.name)
            .Run();
  if (!put.ok()) return put;
  return Follow(database, bridge);
}

Status DeleteNamed(Database& database, std::string_view sql, const std::string& kind,
                   const std::string& name) {
  Status deleted = database.Prepare(sql).Bind(name).Run();
  if (deleted.reason() == Reason::kInUse) {
    return {StatusCode::kFailedPrecondition, Reason::kInUse,
            fmt::format("{} {} is still in use: delete what names it first", kind, name)};
  }
  if (deleted.ok() && database.changes() == 0) {
    return {StatusCode::kNotFound, Reason::kNotFound,
            fmt::format("no {} is called {}", kind, name)};
  }
  return deleted;
}

}  // namespace

StatusOr<Receipt> DefinitionStore::Apply(const std::vector<DefinitionStep>& steps,
                                         int64_t decided_at_revision, const Mutation& mutation) {
  const auto run = [&](Database& database) -> Status {
    const StatusOr<int64_t> revision = Revision(database);
    if (!revision.ok()) return revision.status();
    if (*revision != decided_at_revision) {
      return {StatusCode::kAborted, Reason::kGenerationMismatch,
              "something was changed meanwhile: try again"};
    }
    struct Run {
      Database& database;
      const Mutation& mutation;
      WallTime now;

      Status operator()(const PutEndpoint& step) { return Put(database, step.spec); }
      Status operator()(const PutBridge& step) {
        return Put(database, step.spec, mutation.actor, now);
      }
      Status operator()(const DeleteEndpoint& step) {
        return DeleteNamed(database, "DELETE FROM endpoints WHERE name = ?", "endpoint", step.name);
      }
      Status operator()(const DeleteBridge& step) {
        return DeleteNamed(database, "DELETE FROM bridges WHERE name = ?", "bridge", step.name);
      }
    };
    for (const DefinitionStep& step : steps) {
      if (Status ran = std::visit(Run{database, mutation, clock_.WallNow()}, step); !ran.ok()) {
        return ran;
      }
    }
    return {};
  };
  return Mutate(writer_, clock_, mutation, "apply", fmt::format("{} definitions", steps.size()),
                run);
}

StatusOr<std::optional<std::string>> DefinitionStore::FindResponse(const Mutation& mutation) {
  using Found = std::optional<std::string>;
  return writer_.Get<Found>([&](Database& database) -> StatusOr<Found> {
    const StatusOr<std::optional<Receipt>> receipt = FindReceipt(database, mutation);
    if (!receipt.ok()) return receipt.status();
    return receipt->has_value() ? Found((*receipt)->response) : Found();
  });
}

StatusOr<Receipt> DefinitionStore::SetBridgePaused(const std::string& name, bool is_paused,
                                                   const Mutation& mutation) {
  return Mutate(writer_, clock_, mutation, is_paused ? "pause" : "resume", "bridge " + name,
                [&](Database& database) -> Status {
                  Status set = database.Prepare("UPDATE bridges SET is_paused = ? WHERE name = ?")
                                   .Bind(int64_t{is_paused ? 1 : 0})
                                   .Bind(name)
                                   .Run();
                  if (set.ok() && database.changes() == 0) {
                    return {StatusCode::kNotFound, Reason::kNotFound,
                            fmt::format("no bridge is called {}", name)};
                  }
                  return set;
                });
}

}  // namespace drawbridge
