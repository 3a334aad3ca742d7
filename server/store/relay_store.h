#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "server/store/reader.h"
#include "server/store/rows.h"
#include "server/store/writer.h"

namespace drawbridge {

// A one-time right to enrol a relay, without its secret.
struct EnrolmentGrant {
  std::string id;
  std::string hash;  // of the secret
  RelayName relay;
  Labels labels;
  WallTime expires_at{};
};

// What a signed certificate says of itself.
struct IssuedCertificate {
  std::string serial;
  WallTime not_after{};
};

// Relays and the tokens with which they enrol. Thread-safe; a success means durable.
class RelayStore {
 public:
  RelayStore(Writer& writer, Reader& reader, const Clock& clock)
      : writer_(writer), reader_(reader), clock_(clock) {}

  // NAME_TAKEN if a relay of that name was ever enrolled. A repeated request ends the token of the
  // first: its secret cannot be told again.
  Status AddToken(const EnrolmentGrant& grant, const Mutation& mutation);

  // Looks a token up by its id: TOKEN_INVALID, TOKEN_EXPIRED or TOKEN_USED if it is no good. The
  // caller compares the hash.
  StatusOr<EnrolmentGrant> FindToken(const std::string& id);

  // Uses the token up and stores the relay, in one transaction: of two that come together one gets
  // TOKEN_USED. Refuses what FindToken does.
  Status Enrol(const EnrolmentGrant& grant, const IssuedCertificate& certificate);

  // RELAY_REVOKED, and nothing is stored, if its identity has ended meanwhile.
  Status Renewed(const RelayName& relay, const IssuedCertificate& certificate);

  // Ends the identity; its partitions are fenced by the reassignment that follows.
  StatusOr<Receipt> Revoke(const RelayName& relay, const Mutation& mutation);

  // What a relay said of itself when it connected.
  Status Seen(const RelayName& relay, const std::string& version, const std::string& librdkafka);

  // An operator's token: its role, if the hash is known.
  StatusOr<std::optional<std::string>> RoleOfApiToken(const std::string& id,
                                                      const std::string& hash);
  Status AddApiToken(const std::string& id, const std::string& hash, const std::string& name,
                     const std::string& role);
  StatusOr<bool> HasApiTokens();

 private:
  Writer& writer_;
  Reader& reader_;
  const Clock& clock_;
};

}  // namespace drawbridge
