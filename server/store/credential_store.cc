#include "server/store/credential_store.h"

#include <fmt/format.h>

#include "server/store/mutation_log.h"

namespace drawbridge {
namespace {

std::string_view KindName(CredentialKind kind) {
  switch (kind) {
    case CredentialKind::kSaslPlain:
      return "sasl-plain";
    case CredentialKind::kSaslScramSha256:
      return "sasl-scram-sha-256";
    case CredentialKind::kSaslScramSha512:
      return "sasl-scram-sha-512";
    case CredentialKind::kMtls:
      return "mtls";
    case CredentialKind::kBasic:
      return "basic";
    case CredentialKind::kApiKey:
      return "api-key";
  }
  return "sasl-plain";
}

StatusOr<SecretRef> Upsert(Database& database, const StoredCredential& about, int64_t now) {
  Status put =
      database
          .Prepare(
              "INSERT INTO credentials "
              "(name, version, kind, username, not_after_us, updated_at_us) "
              "VALUES (?, 1, ?, ?, ?, ?) "
              "ON CONFLICT (name) DO UPDATE SET version = version + 1, kind = excluded.kind, "
              "username = excluded.username, not_after_us = excluded.not_after_us, "
              "updated_at_us = excluded.updated_at_us")
          .Bind(about.name)
          .Bind(KindName(about.kind))
          .Bind(about.username)
          .Bind(about.not_after ? std::optional(ToMicros(*about.not_after)) : std::nullopt)
          .Bind(now)
          .Run();
  if (!put.ok()) return put;
  Statement found = database.Prepare("SELECT id, version FROM credentials WHERE name = ?");
  found.Bind(about.name);
  if (!found.Step()) return found.status();
  return SecretRef{.credential = {found.Int(0)}, .version = found.Int(1)};
}

}  // namespace

StatusOr<StoredCredential> CredentialStore::Put(const StoredCredential& about, const Seal& seal,
                                                const Mutation& mutation) {
  StoredCredential stored = about;
  stored.updated_at = clock_.WallNow();
  const StatusOr<Receipt> receipt = Mutate(
      writer_, clock_, mutation, "set", "credential " + about.name,
      [&](Database& database) -> Status {
        const StatusOr<SecretRef> ref = Upsert(database, about, ToMicros(stored.updated_at));
        if (!ref.ok()) return ref.status();
        stored.id = ref->credential;
        stored.version = ref->version;
        const StatusOr<std::string> sealed = seal(*ref);
        if (!sealed.ok()) return sealed.status();
        Status done = database.Prepare("DELETE FROM credential_secrets WHERE credential_id = ?")
                          .Bind(ref->credential.value)
                          .Run();
        if (!done.ok()) return done;
        return database
            .Prepare(
                "INSERT INTO credential_secrets (credential_id, version, sealed) "
                "VALUES (?, ?, ?)")
            .Bind(ref->credential.value)
            .Bind(ref->version)
            .BindBlob(*sealed)
            .Run();
      });
  if (!receipt.ok()) return receipt.status();
  if (!receipt->is_replayed) return stored;
  return reader_.Get([&](Database& database) -> StatusOr<StoredCredential> {
    Statement found =
        database.Prepare("SELECT id, version, updated_at_us FROM credentials WHERE name = ?");
    found.Bind(about.name);
    if (!found.Step()) {
      return Status(StatusCode::kNotFound, Reason::kNotFound,
                    fmt::format("credential {} was deleted meanwhile", about.name));
    }
    stored.id = {found.Int(0)};
    stored.version = found.Int(1);
    stored.updated_at = FromMicros(found.Int(2));
    return stored;
  });
}

StatusOr<Receipt> CredentialStore::Delete(const std::string& name, const Mutation& mutation) {
  return Mutate(writer_, clock_, mutation, "delete", "credential " + name,
                [&](Database& database) -> Status {
                  Status deleted =
                      database.Prepare("DELETE FROM credentials WHERE name = ?").Bind(name).Run();
                  if (deleted.reason() == Reason::kInUse) {
                    return {StatusCode::kFailedPrecondition, Reason::kInUse,
                            fmt::format("credential {} is used by an endpoint: give the endpoint "
                                        "another one first",
                                        name)};
                  }
                  if (deleted.ok() && database.changes() == 0) {
                    return {StatusCode::kNotFound, Reason::kNotFound,
                            fmt::format("no credential is called {}", name)};
                  }
                  return deleted;
                });
}

StatusOr<std::string> CredentialStore::Sealed(SecretRef secret) {
  return reader_.Get([&](Database& database) -> StatusOr<std::string> {
    Statement found = database.Prepare(
        "SELECT sealed FROM credential_secrets WHERE credential_id = ? AND version = ?");
    found.Bind(secret.credential.value).Bind(secret.version);
    if (found.Step()) return found.Text(0);
    if (!found.status().ok()) return found.status();
    return Status(StatusCode::kNotFound, Reason::kSecretUnavailable,
                  "the secret of this credential is not stored (any more): set it again");
  });
}

}  // namespace drawbridge
