#include "server/store/mutation_log.h"

#include <fmt/format.h>

namespace drawbridge {
namespace {

using namespace std::chrono_literals;

constexpr auto kKeepRequests = std::chrono::hours(24 * 7);

Status Record(Database& database, const Clock& clock, const Mutation& mutation,
              std::string_view action, std::string_view object) {
  const int64_t now = ToMicros(clock.WallNow());
  Status done = database
                    .Prepare(
                        "INSERT INTO requests (request_id, body_hash, response, at_us) "
                        "VALUES (?, ?, ?, ?)")
                    .Bind(mutation.request_id)
                    .BindBlob(mutation.body_hash)
                    .BindBlob(mutation.response)
                    .Bind(now)
                    .Run();
  if (!done.ok()) return done;
  done = database.Prepare("DELETE FROM requests WHERE at_us < ?")
             .Bind(now - std::chrono::microseconds(kKeepRequests).count())
             .Run();
  if (!done.ok()) return done;
  done = database
             .Prepare(
                 "INSERT INTO audit (at_us, actor, action, object, reason, request_id) "
                 "VALUES (?, ?, ?, ?, ?, ?)")
             .Bind(now)
             .Bind(mutation.actor)
             .Bind(action)
             .Bind(object)
             .Bind(mutation.reason)
             .Bind(mutation.request_id)
             .Run();
  return done;
}

}  // namespace

StatusOr<std::optional<Receipt>> FindReceipt(Database& database, const Mutation& mutation) {
  Statement found =
      database.Prepare("SELECT body_hash, response FROM requests WHERE request_id = ?");
  found.Bind(mutation.request_id);
  if (!found.Step()) {
    if (!found.status().ok()) return found.status();
    return std::optional<Receipt>();
  }
  if (found.Text(0) != mutation.body_hash) {
    return Status(StatusCode::kAlreadyExists, Reason::kRequestIdReused,
                  "this request_id was used for another request: use a new one", "request_id");
  }
  return std::optional(Receipt{.is_replayed = true, .response = found.Text(1)});
}

StatusOr<Receipt> Mutate(Writer& writer, const Clock& clock, const Mutation& mutation,
                         std::string_view action, std::string_view object,
                         const std::function<Status(Database&)>& change) {
  return writer.Get<Receipt>([&](Database& database) -> StatusOr<Receipt> {
    StatusOr<std::optional<Receipt>> before = FindReceipt(database, mutation);
    if (!before.ok()) return before.status();
    if (before->has_value()) return **std::move(before);
    if (Status changed = change(database); !changed.ok()) return changed;
    if (Status bumped = BumpRevision(database); !bumped.ok()) return bumped;
    if (Status recorded = Record(database, clock, mutation, action, object); !recorded.ok()) {
      return recorded;
    }
    return Receipt{.is_replayed = false, .response = mutation.response};
  });
}

Status BumpRevision(Database& database) {
  return database.Prepare("UPDATE meta SET revision = revision + 1").Run();
}

StatusOr<int64_t> Revision(Database& database) {
  Statement revision = database.Prepare("SELECT revision FROM meta");
  if (!revision.Step()) return revision.status();
  return revision.Int(0);
}

}  // namespace drawbridge
