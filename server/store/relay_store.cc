#include "server/store/relay_store.h"

#include <fmt/format.h>

#include "server/store/mutation_log.h"
#include "server/store/spec_json.h"

namespace drawbridge {
namespace {

// A token that is still good.
StatusOr<EnrolmentGrant> ReadToken(Database& database, const std::string& id, WallTime now) {
  Statement row = database.Prepare(
      "SELECT hash, relay, labels, expires_at_us, used_at_us FROM enrolment_tokens WHERE id = ?");
  row.Bind(id);
  if (!row.Step()) {
    if (!row.status().ok()) return row.status();
    return Status(StatusCode::kUnauthenticated, Reason::kTokenInvalid,
                  "no such enrolment token: make one with `drawbridge relay token create`");
  }
  if (!row.IsNull(4)) {
    return Status(
        StatusCode::kFailedPrecondition, Reason::kTokenUsed,
        "this enrolment token was used already: make another with `drawbridge relay token create`");
  }
  const WallTime expires_at = FromMicros(row.Int(3));
  if (expires_at <= now) {
    return Status(StatusCode::kFailedPrecondition, Reason::kTokenExpired,
                  fmt::format("this enrolment token ended at {}: make another with `drawbridge "
                              "relay token create`",
                              ToRfc3339(expires_at)));
  }
  StatusOr<Labels> labels = LabelsFromJson(row.Text(2));
  if (!labels.ok()) return labels.status();
  return EnrolmentGrant{.id = id,
                        .hash = row.Text(0),
                        .relay = {row.Text(1)},
                        .labels = *std::move(labels),
                        .expires_at = expires_at};
}

StatusOr<bool> Exists(Database& database, std::string_view sql, const std::string& name) {
  Statement found = database.Prepare(sql);
  found.Bind(name);
  const bool is_there = found.Step();
  if (!found.status().ok()) return found.status();
  return is_there;
}

}  // namespace

Status RelayStore::AddToken(const EnrolmentGrant& grant, const Mutation& mutation) {
  const auto add = [&](Database& database) -> Status {
    const StatusOr<bool> is_taken =
        Exists(database, "SELECT 1 FROM relays WHERE name = ?", grant.relay.value);
    if (!is_taken.ok()) return is_taken.status();
    if (*is_taken) {
      return {StatusCode::kAlreadyExists, Reason::kNameTaken,
              fmt::format("a relay called {} was enrolled before, and names are never used again: "
                          "choose another",
                          grant.relay),
              "relay"};
    }
    Status done = database.Prepare("DELETE FROM enrolment_tokens WHERE relay = ? OR request_id = ?")
                      .Bind(grant.relay.value)
                      .Bind(mutation.request_id)
                      .Run();
    if (!done.ok()) return done;
    done = database
               .Prepare(
                   "INSERT INTO enrolment_tokens (id, hash, relay, labels, request_id, "
                   "expires_at_us) VALUES (?, ?, ?, ?, ?, ?)")
               .Bind(grant.id)
               .BindBlob(grant.hash)
               .Bind(grant.relay.value)
               .Bind(ToJson(grant.labels))
               .Bind(mutation.request_id)
               .Bind(ToMicros(grant.expires_at))
               .Run();
    if (!done.ok()) return done;
    return database
        .Prepare(
            "INSERT INTO audit (at_us, actor, action, object, reason, request_id) "
            "VALUES (?, ?, 'create', ?, ?, ?)")
        .Bind(ToMicros(clock_.WallNow()))
        .Bind(mutation.actor)
        .Bind("enrolment token for " + grant.relay.value)
        .Bind(mutation.reason)
        .Bind(mutation.request_id)
        .Run();
  };
  return writer_.Run(add);
}

StatusOr<EnrolmentGrant> RelayStore::FindToken(const std::string& id) {
  return reader_.Get([&](Database& database) { return ReadToken(database, id, clock_.WallNow()); });
}

Status RelayStore::Enrol(const EnrolmentGrant& grant, const IssuedCertificate& certificate) {
  return writer_.Run([&](Database& database) -> Status {
    const WallTime wall_now = clock_.WallNow();
    const int64_t now = ToMicros(wall_now);
    // Much may have happened since it was found: another relay may have used it.
    const StatusOr<EnrolmentGrant> token = ReadToken(database, grant.id, wall_now);
    if (!token.ok()) return token.status();
    Status done = database.Prepare("UPDATE enrolment_tokens SET used_at_us = ? WHERE id = ?")
                      .Bind(now)
                      .Bind(grant.id)
                      .Run();
    if (!done.ok()) return done;
    done = database
               .Prepare(
                   "INSERT INTO relays (name, labels, certificate_serial, "
                   "certificate_not_after_us, enrolled_at_us) VALUES (?, ?, ?, ?, ?)")
               .Bind(grant.relay.value)
               .Bind(ToJson(grant.labels))
               .Bind(certificate.serial)
               .Bind(ToMicros(certificate.not_after))
               .Bind(now)
               .Run();
    if (!done.ok()) return done;
    return BumpRevision(database);
  });
}

Status RelayStore::Renewed(const RelayName& relay, const IssuedCertificate& certificate) {
  return writer_.Run([&](Database& database) -> Status {
    Status stored =
        database
            .Prepare(
                "UPDATE relays SET certificate_serial = ?, certificate_not_after_us = ? "
                "WHERE name = ? AND is_revoked = 0")
            .Bind(certificate.serial)
            .Bind(ToMicros(certificate.not_after))
            .Bind(relay.value)
            .Run();
    if (stored.ok() && database.changes() == 0) {
      return {
          StatusCode::kPermissionDenied, Reason::kRelayRevoked,
          fmt::format("the identity of relay {} was revoked: enrol it under another name", relay)};
    }
    return stored;
  });
}

StatusOr<Receipt> RelayStore::Revoke(const RelayName& relay, const Mutation& mutation) {
  return Mutate(writer_, clock_, mutation, "revoke", "relay " + relay.value,
                [&](Database& database) -> Status {
                  Status done = database.Prepare("UPDATE relays SET is_revoked = 1 WHERE name = ?")
                                    .Bind(relay.value)
                                    .Run();
                  if (done.ok() && database.changes() == 0) {
                    return {StatusCode::kNotFound, Reason::kNotFound,
                            fmt::format("no relay is called {}", relay)};
                  }
                  if (!done.ok()) return done;
                  // From here on its commits are stale, whatever the session does.
                  return database
                      .Prepare(
                          "UPDATE checkpoints SET owner_relay = NULL, epoch = epoch + 1 "
                          "WHERE owner_relay = ?")
                      .Bind(relay.value)
                      .Run();
                });
}

Status RelayStore::Seen(const RelayName& relay, const std::string& version,
                        const std::string& librdkafka) {
  return writer_.Run([&](Database& database) {
    return database
        .Prepare("UPDATE relays SET version = ?, librdkafka = ?, last_seen_us = ? WHERE name = ?")
        .Bind(version)
        .Bind(librdkafka)
        .Bind(ToMicros(clock_.WallNow()))
        .Bind(relay.value)
        .Run();
  });
}

StatusOr<std::optional<std::string>> RelayStore::RoleOfApiToken(const std::string& id,
                                                                const std::string& hash) {
  return reader_.Get([&](Database& database) -> StatusOr<std::optional<std::string>> {
    Statement row = database.Prepare("SELECT hash, role FROM api_tokens WHERE id = ?");
    row.Bind(id);
    if (!row.Step()) {
      if (!row.status().ok()) return row.status();
      return std::optional<std::string>();
    }
    if (!EqualInConstantTime(row.Text(0), hash)) return std::optional<std::string>();
    return std::optional(row.Text(1));
  });
}

Status RelayStore::AddApiToken(const std::string& id, const std::string& hash,
                               const std::string& name, const std::string& role) {
  return writer_.Run([&](Database& database) {
    return database
        .Prepare(
            "INSERT INTO api_tokens (id, hash, name, role, created_at_us) "
            "VALUES (?, ?, ?, ?, ?)")
        .Bind(id)
        .BindBlob(hash)
        .Bind(name)
        .Bind(role)
        .Bind(ToMicros(clock_.WallNow()))
        .Run();
  });
}

StatusOr<bool> RelayStore::HasApiTokens() {
  return reader_.Get([&](Database& database) -> StatusOr<bool> {
    Statement row = database.Prepare("SELECT 1 FROM api_tokens LIMIT 1");
    const bool has = row.Step();
    if (!row.status().ok()) return row.status();
    return has;
  });
}

}  // namespace drawbridge
