#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "server/store/reader.h"
#include "server/store/rows.h"
#include "server/store/writer.h"

namespace drawbridge {

// Credentials: sealed before they come here, opened after they leave. Thread-safe.
class CredentialStore {
 public:
  CredentialStore(Writer& writer, Reader& reader, const Clock& clock)
      : writer_(writer), reader_(reader), clock_(clock) {}

  // Seals a secret for the version that it will have.
  using Seal = std::function<StatusOr<std::string>(SecretRef)>;

  // Stores the next version. `about` says what may be known of it (name, kind, user, end).
  StatusOr<StoredCredential> Put(const StoredCredential& about, const Seal& seal,
                                 const Mutation& mutation);

  // IN_USE while an endpoint names it.
  StatusOr<Receipt> Delete(const std::string& name, const Mutation& mutation);

  // What Put stored. kNotFound for another version than the newest.
  StatusOr<std::string> Sealed(SecretRef secret);

 private:
  Writer& writer_;
  Reader& reader_;
  const Clock& clock_;
};

}  // namespace drawbridge
